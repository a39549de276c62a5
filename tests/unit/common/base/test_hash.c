#include "common/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct bytes none;

static struct hash_key counting_key(void)
{
    struct hash_key key;

    for (size_t i = 0; i < sizeof key.bytes; i++)
        key.bytes[i] = (uint8_t)i;
    return key;
}

/* The vector in the appendix of the SipHash paper. */
static void test_hash_short_is_siphash_2_4(void **state)
{
    static const uint8_t wanted[] = {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1};
    struct hash_key key = counting_key();
    uint8_t input[15];

    (void)state;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)i;
    uint64_t hash = hash_short(&key, (struct bytes){input, sizeof input});
    assert_memory_equal(&hash, wanted, sizeof wanted);
}

static void test_hash_short_depends_on_key_and_bytes(void **state)
{
    struct hash_key a = counting_key();
    struct hash_key b = a;

    (void)state;
    b.bytes[15] ^= 1;
    assert_true(hash_short(&a, bytes_of("x")) == hash_short(&a, bytes_of("x")));
    assert_true(hash_short(&a, bytes_of("x")) != hash_short(&b, bytes_of("x")));
    assert_true(hash_short(&a, bytes_of("x")) != hash_short(&a, bytes_of("y")));
}

static void test_hash_long_depends_on_key_and_bytes(void **state)
{
    struct hash_key a = counting_key();
    struct hash_key b = a;

    (void)state;
    b.bytes[15] ^= 1;
    struct hash128 x = hash_long(&a, bytes_of("x"));
    struct hash128 again = hash_long(&a, bytes_of("x"));
    struct hash128 other_key = hash_long(&b, bytes_of("x"));
    struct hash128 other_bytes = hash_long(&a, bytes_of("y"));
    assert_memory_equal(&x, &again, sizeof x);
    assert_memory_not_equal(&x, &other_key, sizeof x);
    assert_memory_not_equal(&x, &other_bytes, sizeof x);
}

static void test_hash_takes_no_bytes_at_all(void **state)
{
    struct hash_key key = counting_key();
    struct hash128 a = hash_long(&key, none);
    struct hash128 b = hash_long(&key, bytes_of(""));

    (void)state;
    assert_true(hash_short(&key, none) == hash_short(&key, bytes_of("")));
    assert_memory_equal(&a, &b, sizeof a);
}

static void test_hash_make_key_differs_each_time(void **state)
{
    struct hash_key a;
    struct hash_key b;

    (void)state;
    hash_make_key(&a);
    hash_make_key(&b);
    assert_memory_not_equal(&a, &b, sizeof a);
}

static void test_hash_random_fills_the_memory_and_no_more(void **state)
{
    uint8_t a[17] = {0};
    uint8_t b[17] = {0};

    (void)state;
    hash_random(a, 16);
    hash_random(b, 16);
    assert_memory_not_equal(a, b, 16);
    assert_int_equal(a[16], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_short_is_siphash_2_4),
        cmocka_unit_test(test_hash_short_depends_on_key_and_bytes),
        cmocka_unit_test(test_hash_long_depends_on_key_and_bytes),
        cmocka_unit_test(test_hash_takes_no_bytes_at_all),
        cmocka_unit_test(test_hash_make_key_differs_each_time),
        cmocka_unit_test(test_hash_random_fills_the_memory_and_no_more),
    };

    hash_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
