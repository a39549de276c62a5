#include "tests/unit/master/store/store_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_store_live_counts_retained(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_retained(b, 0, "a", 10);
    store_bench_put_retained(b, 1, "b", 20000);
    store_bench_put_retained(b, 1, "a", 5);
    store_bench_run(b, 0);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 2);
    assert_int_equal(store_bench_stat(b, STAT_retained_bytes), 20005);
    store_bench_put_retained(b, 0, "b", 0);
    store_bench_run(b, 0);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 1);
    assert_int_equal(store_bench_stat(b, STAT_retained_bytes), 5);
}

static void test_store_live_hands_wills_over_at_reset(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_will(b, 0, "one", 10);
    store_bench_put_will(b, 0, "two", 20000);
    store_bench_put_will(b, 1, "other worker's", 10);
    store_bench_run(b, 0);
    store_bench_start_worker(b, 0, 9);
    uint64_t serial = store_bench_put_reset(b, 0);
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.will_count, 2);
    assert_int_equal(heard.will_bytes, 20010);
    assert_int_equal(heard.wills_after_confirm, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(heard.will.purpose, RECORD_FOR_WILL);
    assert_int_equal(heard.will.will_delay_s, 5);
    assert_int_equal(heard.will.qos, 2);
    assert_true(heard.will.retain);
}

static void test_store_live_keeps_wills_until_cleared(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_will(b, 0, "one", 10);
    store_bench_put_will(b, 0, "two", 10);
    for (uint64_t epoch = 5; epoch < 7; epoch++) {
        store_bench_start_worker(b, 0, epoch);
        store_bench_put_reset(b, 0);
        assert_int_equal(store_bench_run(b, 0).will_count, 2);
    }
    assert_true(record_put_will_clear(&b->workers[0], STORE, bytes_of("one")));
    mesh_publish(&b->workers[0]);
    store_bench_start_worker(b, 0, 8);
    store_bench_put_reset(b, 0);
    assert_int_equal(store_bench_run(b, 0).will_count, 1);
}

/* The new worker's own clients are not among those who died. */
static void test_store_live_hands_over_no_will_set_after_reset(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_will(b, 0, "old", 10);
    store_bench_run(b, 0);
    store_bench_start_worker(b, 0, 9);
    store_bench_put_reset(b, 0);
    store_bench_put_will(b, 0, "new", 10);
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.will_count, 1);
}

static void test_store_live_hands_over_more_wills_than_the_ring_holds(void **state)
{
    struct store_bench *b = *state;
    char client[32];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(client, sizeof client, "client %u", i);
        store_bench_put_will(b, 0, client, 1000);
    }
    store_bench_run(b, 0);
    store_bench_start_worker(b, 0, 9);
    uint64_t serial = store_bench_put_reset(b, 0);
    store_bench_put_filter(b, 1, "others/wait", true);
    for (int i = 0; i < 10; i++)
        store_turn(b->store);
    assert_true(store_is_idle(b->store)); /* it waits for room, and does not spin */
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.will_count, 300);
    assert_int_equal(heard.confirmed, serial);
    struct store_heard other = {0};
    store_bench_hear(b, 1, &other);
    assert_int_equal(other.confirm_count, 1);
}

static void test_store_open_recounts_retained(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_retained(b, 0, "a/b", 10);
    store_bench_put_retained(b, 0, "$SYS/broker/version", 20);
    store_bench_run(b, 0);
    store_close(b->store);
    stats_reset_gauges(stats_of(&b->region, STORE));
    store_bench_start_store(b);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 2);
    assert_int_equal(store_bench_stat(b, STAT_retained_bytes), 30);
}

/* A filter of 20 levels that shares none of them with another number's. */
static void write_large_filter(char text[2048], unsigned number)
{
    memset(text, 'x', 2047);
    for (unsigned at = 100; at < 2000; at += 100)
        text[at] = '/';
    int size = snprintf(text, 16, "%u", number);
    text[size] = 'x';
    text[2047] = '\0';
}

static void test_store_live_refuses_only_what_has_no_room(void **state)
{
    struct store_bench *b = *state;
    char text[2048];
    struct store_heard heard = {0};
    store_close(b->store);
    b->inherit.live_size_max = 1 << 20;
    store_bench_start_store(b);
    for (unsigned i = 0; i < 2000 && heard.refused_count == 0; i++) {
        write_large_filter(text, i);
        store_bench_put_filter(b, 0, text, true);
        store_bench_put_filter(b, 0, "small", true); /* the same batch */
        heard = store_bench_run(b, 0);
    }
    assert_int_equal(heard.refused_count, 1);
    assert_int_equal(heard.refused, b->serials[0] - 1);
    assert_int_equal(heard.confirmed, b->serials[0]);
    assert_int_equal(store_bench_stat(b, STAT_live_refused), 1);
    write_large_filter(text, 0);
    store_bench_put_filter(b, 0, text, false); /* less is always possible */
    heard = store_bench_run(b, 0);
    assert_int_equal(heard.refused_count, 0);
}

static void test_store_live_limits_retained_messages(void **state)
{
    struct store_bench *b = *state;
    store_close(b->store);
    b->conf.tunable.retained_messages_max = 2;
    store_bench_start_store(b);
    store_bench_put_retained(b, 0, "a", 1);
    store_bench_put_retained(b, 0, "b", 1);
    store_bench_put_retained(b, 1, "c", 1);
    store_bench_put_retained(b, 1, "a", 2); /* not a new topic */
    store_bench_run(b, 0);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 2);
    assert_int_equal(store_bench_stat(b, STAT_retained_bytes), 3);
    assert_int_equal(store_bench_stat(b, STAT_live_refused), 1);
    store_bench_put_retained(b, 0, "b", 0);
    store_bench_put_retained(b, 0, "c", 1);
    store_bench_run(b, 0);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 2);
    assert_int_equal(store_bench_stat(b, STAT_live_refused), 1);
}

static void test_store_live_sets_malformed_records_aside(void **state)
{
    struct store_bench *b = *state;
    static const uint16_t kinds[] = {RECORD_RESET,   RECORD_FILTER, RECORD_GROUP,
                                     RECORD_MESSAGE, RECORD_HOLD,   999};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t *room = mesh_reserve(&b->workers[0], STORE, 3);
        memset(room, 0xFF, 3);
        mesh_commit(&b->workers[0], STORE, 3, kinds[i]);
    }
    uint64_t serial = store_bench_put_filter(b, 0, "still/works", true);
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(store_bench_stat(b, STAT_quarantined), sizeof kinds / sizeof kinds[0]);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, store_bench_open, store_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_store_live_counts_retained),
        BENCHED(test_store_live_hands_wills_over_at_reset),
        BENCHED(test_store_live_keeps_wills_until_cleared),
        BENCHED(test_store_live_hands_over_no_will_set_after_reset),
        BENCHED(test_store_live_hands_over_more_wills_than_the_ring_holds),
        BENCHED(test_store_open_recounts_retained),
        BENCHED(test_store_live_refuses_only_what_has_no_room),
        BENCHED(test_store_live_limits_retained_messages),
        BENCHED(test_store_live_sets_malformed_records_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
