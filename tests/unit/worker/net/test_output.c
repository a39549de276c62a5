#include "worker/net/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct output output;
    struct output_pool pool;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    output_pool_init(&f->pool);
    output_init(&f->output);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    output_clear(&f->output, &f->pool);
    output_pool_done(&f->pool);
    free(f);
    return 0;
}

static void put(struct fixture *f, const void *data, size_t size)
{
    uint8_t *room = output_reserve(&f->output, &f->pool, size);

    assert_non_null(room);
    memcpy(room, data, size);
    output_commit(&f->output, size);
}

/* What would be sent, in one piece. */
static size_t gather(const struct fixture *f, char *memory)
{
    struct iovec iov[64];
    unsigned count = output_iov(&f->output, iov, 64);
    size_t size = 0;

    for (unsigned i = 0; i < count; i++) {
        assert_true(iov[i].iov_len > 0);
        memcpy(memory + size, iov[i].iov_base, iov[i].iov_len);
        size += iov[i].iov_len;
    }
    return size;
}

static void count_call(void *owner)
{
    ++*(unsigned *)owner;
}

static void test_output_reserve_keeps_order(void **state)
{
    struct fixture *f = *state;
    char seen[16];

    put(f, "one", 3);
    put(f, "two", 3);
    assert_int_equal(f->output.size, 6);
    assert_int_equal(gather(f, seen), 6);
    assert_memory_equal(seen, "onetwo", 6);
}

static void test_output_commit_keeps_less_than_reserved(void **state)
{
    struct fixture *f = *state;
    char seen[16];

    memcpy(output_reserve(&f->output, &f->pool, 100), "abc", 3);
    output_commit(&f->output, 3);
    assert_non_null(output_reserve(&f->output, &f->pool, 10));
    output_commit(&f->output, 0);
    put(f, "d", 1);
    assert_int_equal(gather(f, seen), 4);
    assert_memory_equal(seen, "abcd", 4);
}

static void test_output_append_shared_stands_between(void **state)
{
    struct fixture *f = *state;
    unsigned calls = 0;
    char seen[16];

    put(f, "a", 1);
    assert_true(output_append_shared(
        &f->output, &f->pool, (struct bytes){(const uint8_t *)"SHARED", 6}, count_call, &calls));
    put(f, "z", 1);
    assert_int_equal(gather(f, seen), 8);
    assert_memory_equal(seen, "aSHAREDz", 8);
    output_consume(&f->output, &f->pool, 6);
    assert_int_equal(calls, 0);
    assert_int_equal(gather(f, seen), 2);
    output_consume(&f->output, &f->pool, 1);
    assert_int_equal(calls, 1);
    output_consume(&f->output, &f->pool, 1);
    assert_null(f->output.first);
    assert_int_equal(calls, 1);
}

static void test_output_append_shared_empty_body(void **state)
{
    struct fixture *f = *state;
    unsigned calls = 0;
    char seen[4];

    assert_true(
        output_append_shared(&f->output, &f->pool, (struct bytes){NULL, 0}, count_call, &calls));
    put(f, "z", 1);
    assert_int_equal(gather(f, seen), 1);
    output_consume(&f->output, &f->pool, 1);
    assert_int_equal(calls, 1);
    assert_null(f->output.first);
}

static void test_output_clear_gives_back(void **state)
{
    struct fixture *f = *state;
    unsigned calls = 0;

    put(f, "a", 1);
    for (unsigned i = 0; i < 3; i++)
        assert_true(output_append_shared(
            &f->output, &f->pool, (struct bytes){(const uint8_t *)"b", 1}, count_call, &calls));
    output_clear(&f->output, &f->pool);
    assert_int_equal(calls, 3);
    assert_int_equal(f->output.size, 0);
    assert_null(f->output.first);
}

/* Packets of all sizes, consumed in bites of all sizes: the bytes come out as
 * they went in. */
static void test_output_consume_any_bites(void **state)
{
    struct fixture *f = *state;
    static uint8_t packet[40000];
    struct iovec iov[3];
    uint8_t in = 0;
    uint8_t out = 0;

    srand(3);
    for (unsigned round = 0; round < 3000; round++) {
        size_t size = (size_t)rand() % (round % 50 == 0 ? sizeof(packet) : 500);
        for (size_t i = 0; i < size; i++)
            packet[i] = in++;
        put(f, packet, size);
        unsigned count = output_iov(&f->output, iov, 3);
        size_t bite = 0;
        for (unsigned i = 0; i < count; i++) {
            const uint8_t *bytes = iov[i].iov_base;
            size_t part = (size_t)rand() % (iov[i].iov_len + 1);
            for (size_t k = 0; k < part; k++)
                assert_int_equal(bytes[k], out++);
            bite += part;
            if (part < iov[i].iov_len)
                break;
        }
        output_consume(&f->output, &f->pool, bite);
    }
}

static void test_output_consume_all_owns_nothing(void **state)
{
    struct fixture *f = *state;
    static uint8_t packet[100000];

    put(f, "small", 5);
    put(f, packet, 3000);
    put(f, packet, sizeof(packet));
    output_consume(&f->output, &f->pool, f->output.size);
    assert_null(f->output.first);
    assert_null(f->output.last);
    assert_true(f->pool.free[1] != NULL); /* and the next small one is hot */
}

static void test_output_iov_is_bounded(void **state)
{
    struct fixture *f = *state;
    static uint8_t packet[9000];
    struct iovec iov[4];

    for (unsigned i = 0; i < 10; i++)
        put(f, packet, sizeof(packet));
    assert_int_equal(output_iov(&f->output, iov, 4), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output_reserve_keeps_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_commit_keeps_less_than_reserved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_output_append_shared_stands_between, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_output_append_shared_empty_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_clear_gives_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_consume_any_bites, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_consume_all_owns_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_output_iov_is_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
