#include "common/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct bytes none;

static void test_bytes_compare_orders_like_memcmp_then_by_size(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        int wanted_sign;
    } rows[] = {
        {"", "", 0},    {"", "a", -1},  {"a", "", 1},      {"a", "a", 0},
        {"a", "b", -1}, {"b", "ab", 1}, {"ab", "abc", -1}, {"\xff", "a", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes a = bytes_of(rows[i].a);
        struct bytes b = bytes_of(rows[i].b);
        int order = bytes_compare(a, b);
        assert_int_equal((order > 0) - (order < 0), rows[i].wanted_sign);
        assert_int_equal(bytes_equal(a, b), rows[i].wanted_sign == 0);
    }
}

static void test_bytes_equal_takes_null_when_empty(void **state)
{
    (void)state;
    assert_true(bytes_equal(none, bytes_of("")));
    assert_int_equal(bytes_compare(none, bytes_of("")), 0);
    assert_int_equal(bytes_from(none, 0).size, 0);
}

static void test_bytes_from_drops_the_front(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_from(bytes_of("topic"), 3), bytes_of("ic")));
    assert_int_equal(bytes_from(bytes_of("topic"), 5).size, 0);
}

static void test_reader_reads_back_what_writer_wrote(void **state)
{
    uint8_t memory[64];
    struct writer w = writer_of(memory, sizeof memory);

    (void)state;
    writer_u8(&w, 0x81);
    writer_u16(&w, 0x8182);
    writer_u32(&w, 0x81828384);
    writer_u64(&w, UINT64_C(0x8182838485868788));
    writer_bytes16(&w, bytes_of("abc"));
    writer_bytes(&w, none);
    writer_bytes(&w, bytes_of("de"));
    assert_false(w.bad);
    assert_int_equal(writer_left(&w), sizeof memory - 22);
    assert_memory_equal(memory, "\x81\x81\x82\x81\x82\x83\x84\x81\x82", 9);

    struct reader r = reader_of((struct bytes){memory, 22});
    assert_int_equal(reader_u8(&r), 0x81);
    assert_int_equal(reader_u16(&r), 0x8182);
    assert_int_equal(reader_u32(&r), 0x81828384);
    assert_true(reader_u64(&r) == UINT64_C(0x8182838485868788));
    assert_true(bytes_equal(reader_bytes16(&r), bytes_of("abc")));
    assert_true(bytes_equal(reader_bytes(&r, 2), bytes_of("de")));
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.bad);
}

static void test_reader_goes_bad_on_overrun_and_stays_bad(void **state)
{
    static const uint8_t input[] = {1, 2, 3};

    (void)state;
    struct reader r = reader_of((struct bytes){input, sizeof input});
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_u16(&r), 0);
    assert_true(reader_u64(&r) == 0);
    assert_int_equal(reader_varint(&r), 0);
    assert_int_equal(reader_bytes(&r, 1).size, 0);
    assert_int_equal(reader_bytes16(&r).size, 0);
    assert_true(r.bad);
}

static void test_reader_bytes16_refuses_a_length_beyond_the_end(void **state)
{
    static const uint8_t input[] = {0, 3, 'a', 'b'};

    (void)state;
    struct reader r = reader_of((struct bytes){input, sizeof input});
    assert_int_equal(reader_bytes16(&r).size, 0);
    assert_true(r.bad);
}

static void test_reader_bytes_refuses_a_size_that_would_wrap(void **state)
{
    static const uint8_t input[] = {1};

    (void)state;
    struct reader r = reader_of((struct bytes){input, sizeof input});
    assert_int_equal(reader_bytes(&r, SIZE_MAX).size, 0);
    assert_true(r.bad);
}

static void test_reader_of_nothing_is_good_until_it_is_read(void **state)
{
    (void)state;
    struct reader r = reader_of(none);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_bytes(&r, 0).size, 0);
    assert_false(r.bad);
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.bad);
}

static void test_varint_goes_there_and_back_at_each_limit(void **state)
{
    static const struct {
        uint32_t value;
        size_t size;
    } rows[] = {
        {0, 1},     {127, 1},     {128, 2},     {16383, 2},
        {16384, 3}, {2097151, 3}, {2097152, 4}, {268435455, 4},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t memory[4];
        struct writer w = writer_of(memory, sizeof memory);
        writer_varint(&w, rows[i].value);
        assert_false(w.bad);
        assert_int_equal(sizeof memory - writer_left(&w), rows[i].size);
        assert_int_equal(writer_varint_size(rows[i].value), rows[i].size);

        struct reader r = reader_of((struct bytes){memory, rows[i].size});
        assert_int_equal(reader_varint(&r), rows[i].value);
        assert_false(r.bad);
        struct reader cut = reader_of((struct bytes){memory, rows[i].size - 1});
        assert_int_equal(reader_varint(&cut), 0);
        assert_true(cut.bad);
    }
}

static void test_reader_varint_refuses_a_fifth_byte(void **state)
{
    static const uint8_t input[] = {0x80, 0x80, 0x80, 0x80, 0x01};

    (void)state;
    struct reader r = reader_of((struct bytes){input, sizeof input});
    assert_int_equal(reader_varint(&r), 0);
    assert_true(r.bad);
}

static void test_writer_varint_refuses_too_large_a_value(void **state)
{
    uint8_t memory[8];
    struct writer w = writer_of(memory, sizeof memory);

    (void)state;
    writer_varint(&w, 268435456);
    assert_true(w.bad);
}

static void test_writer_goes_bad_on_overrun_and_writes_no_more(void **state)
{
    uint8_t memory[4] = {9, 9, 9, 9};
    struct writer w = writer_of(memory, 3);

    (void)state;
    writer_u16(&w, 0x0102);
    writer_u16(&w, 0x0304);
    assert_true(w.bad);
    assert_int_equal(writer_left(&w), 0);
    writer_u8(&w, 5);
    writer_u32(&w, 5);
    writer_u64(&w, 5);
    writer_bytes(&w, bytes_of("x"));
    assert_memory_equal(memory, "\x01\x02\x09\x09", 4);
}

static void test_writer_bytes16_refuses_what_two_bytes_cannot_count(void **state)
{
    static uint8_t input[65536];
    static uint8_t memory[65536 + 2];
    struct writer w = writer_of(memory, sizeof memory);

    (void)state;
    writer_bytes16(&w, (struct bytes){input, 65535});
    assert_false(w.bad);
    w = writer_of(memory, sizeof memory);
    writer_bytes16(&w, (struct bytes){input, 65536});
    assert_true(w.bad);
}

static void test_writer_of_nothing_goes_bad_on_the_first_byte(void **state)
{
    struct writer w = writer_of(NULL, 0);

    (void)state;
    writer_bytes(&w, none);
    assert_false(w.bad);
    writer_u8(&w, 1);
    assert_true(w.bad);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_compare_orders_like_memcmp_then_by_size),
        cmocka_unit_test(test_bytes_equal_takes_null_when_empty),
        cmocka_unit_test(test_bytes_from_drops_the_front),
        cmocka_unit_test(test_reader_reads_back_what_writer_wrote),
        cmocka_unit_test(test_reader_goes_bad_on_overrun_and_stays_bad),
        cmocka_unit_test(test_reader_bytes16_refuses_a_length_beyond_the_end),
        cmocka_unit_test(test_reader_bytes_refuses_a_size_that_would_wrap),
        cmocka_unit_test(test_reader_of_nothing_is_good_until_it_is_read),
        cmocka_unit_test(test_varint_goes_there_and_back_at_each_limit),
        cmocka_unit_test(test_reader_varint_refuses_a_fifth_byte),
        cmocka_unit_test(test_writer_varint_refuses_too_large_a_value),
        cmocka_unit_test(test_writer_goes_bad_on_overrun_and_writes_no_more),
        cmocka_unit_test(test_writer_bytes16_refuses_what_two_bytes_cannot_count),
        cmocka_unit_test(test_writer_of_nothing_goes_bad_on_the_first_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
