#include "tests/unit/master/store/store_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_store_turn_confirms_after_one_more_pass(void **state)
{
    struct store_bench *b = *state;
    struct store_heard heard = {0};
    uint64_t serial = store_bench_put_filter(b, 0, "a/+", true);
    store_turn(b->store);
    store_bench_hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 0);
    assert_false(store_is_idle(b->store));
    store_turn(b->store);
    store_bench_hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 1);
    assert_int_equal(heard.confirmed, serial);
    assert_true(store_is_idle(b->store));
}

/* The publisher matched without the subscription; the subscriber must find the
 * message as retained when it is confirmed. */
static void test_store_turn_takes_racing_retained_before_confirm(void **state)
{
    struct store_bench *b = *state;
    struct store_heard heard = {0};
    store_bench_put_filter(b, 0, "a/b", true);
    store_turn(b->store);
    store_bench_put_retained(b, 1, "a/b", 10);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 0);
    store_turn(b->store);
    store_bench_hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 1);
    assert_int_equal(store_bench_stat(b, STAT_retained_messages), 1);
}

static void test_store_turn_confirms_only_last_of_many(void **state)
{
    struct store_bench *b = *state;
    char text[32];
    uint64_t serial = 0;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "filter/%u", i);
        serial = store_bench_put_filter(b, 0, text, true);
    }
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(heard.refused_count, 0);
}

/* It is for the committer; as a will it would end each store that hands it back. */
static void test_store_turn_sets_message_for_others_aside(void **state)
{
    struct store_bench *b = *state;
    struct record_message message = {.purpose = RECORD_FOR_JOURNAL, .topic = bytes_of("a")};
    store_bench_put_message(b, 0, &message);
    store_turn(b->store);
    assert_int_equal(store_bench_stat(b, STAT_quarantined), 1);
    store_bench_put_reset(b, 0);
    assert_int_equal(store_bench_run(b, 0).will_count, 0);
}

/* A worker that does not listen for long loses no confirmation. */
static void test_store_turn_keeps_confirmation_when_ring_is_full(void **state)
{
    struct store_bench *b = *state;
    struct store_heard heard = {0};
    uint64_t serial = 0;
    for (unsigned i = 0; i < 6000; i++) {
        serial = store_bench_put_filter(b, 0, "a", i % 2 == 0);
        store_turn(b->store);
        store_turn(b->store);
    }
    assert_true(store_is_idle(b->store));
    store_bench_hear(b, 0, &heard);
    assert_true(heard.confirmed < serial);
    heard = store_bench_run(b, 0);
    assert_int_equal(heard.confirmed, serial);
}

/* Committed and given back, but not confirmed: the successor does that. */
static void test_store_open_confirms_what_predecessor_did_not(void **state)
{
    struct store_bench *b = *state;
    uint64_t serial = store_bench_put_filter(b, 0, "a", true);
    store_turn(b->store);
    store_close(b->store);
    store_bench_start_store(b);
    struct store_heard heard = store_bench_run(b, 0);
    assert_int_equal(heard.confirmed, serial);
}

static void test_store_open_hands_wills_over_again(void **state)
{
    struct store_bench *b = *state;
    store_bench_put_will(b, 0, "one", 10);
    for (unsigned i = 0; i < 60; i++) {
        char client[16];
        snprintf(client, sizeof client, "%u", i);
        store_bench_put_will(b, 0, client, 2000);
    }
    store_bench_run(b, 0);
    store_bench_start_worker(b, 0, 9);
    uint64_t serial = store_bench_put_reset(b, 0);
    store_turn(b->store);
    store_close(b->store); /* in the midst of it: the ring was full */
    store_bench_start_store(b);
    struct store_heard heard = store_bench_run(b, 0);
    assert_true(heard.will_count >= 61);
    assert_int_equal(heard.confirmed, serial);
}

/* The first parts of a message stay in the ring until it is whole. */
static void test_store_open_reads_parts_of_a_message_again(void **state)
{
    struct store_bench *b = *state;
    struct record_sender sender = {0};
    const struct record_message message = {.purpose = RECORD_FOR_RETAIN,
                                           .message_id = 1,
                                           .topic = bytes_of("large"),
                                           .payload = {b->payload, 20000}};
    assert_true(record_put_message(&b->workers[0], STORE, &message, &sender));
    struct ring *out = &b->workers[0].out[STORE];
    uint32_t whole = out->own;
    out->own = out->shown + 8192 + RING_HEADER_SIZE; /* publish its first record alone */
    mesh_publish(&b->workers[0]);
    store_turn(b->store);
    store_close(b->store);
    store_bench_start_store(b);
    out->own = whole;
    b->workers[0].unpublished = UINT64_C(1) << STORE;
    mesh_publish(&b->workers[0]);
    store_bench_run(b, 0);
    assert_int_equal(store_bench_stat(b, STAT_retained_bytes), 20000);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, store_bench_open, store_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_store_turn_confirms_after_one_more_pass),
        BENCHED(test_store_turn_takes_racing_retained_before_confirm),
        BENCHED(test_store_turn_confirms_only_last_of_many),
        BENCHED(test_store_turn_sets_message_for_others_aside),
        BENCHED(test_store_turn_keeps_confirmation_when_ring_is_full),
        BENCHED(test_store_open_confirms_what_predecessor_did_not),
        BENCHED(test_store_open_hands_wills_over_again),
        BENCHED(test_store_open_reads_parts_of_a_message_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
