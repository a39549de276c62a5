/* Queues on disk: their pages, and their ends. */
#include "tests/unit/master/store/journal_bench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { REQUEST = 7 };

/* The answer, and its end as the last record. */
static const struct record_journal *fetch(struct journal_bench *b, uint64_t after, uint32_t count)
{
    const struct record_journal ask = {
        .kind = RECORD_FETCH, .serial = REQUEST, .session = 1, .seq = after, .count = count};
    b->heard[0].count = 0;
    assert_true(record_put_journal(&b->workers[0], JOURNAL_BENCH_COMMITTER, &ask));
    journal_bench_run(b);
    const struct record_journal *end = &b->heard[0].records[b->heard[0].count - 1];
    assert_int_equal(end->kind, RECORD_FETCH_END);
    assert_int_equal(end->serial, REQUEST);
    return end;
}

static void test_committer_fetch_gives_pages_in_order(void **state)
{
    struct journal_bench *b = *state;
    struct journal_heard *heard = &b->heard[0];
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 10; seq++)
        journal_bench_enqueue(b, 0, 1, seq, seq * 1000);
    const struct record_journal *end = fetch(b, 2, 5);
    assert_int_equal(heard->count, 6);
    assert_int_equal(heard->records[0].seq, 3);
    assert_int_equal(heard->records[0].serial, REQUEST);
    assert_int_equal(heard->payload_sizes[4], 7000);
    assert_int_equal(end->seq, 7);
    assert_false(end->is_all);
    end = fetch(b, 7, 5);
    assert_int_equal(heard->count, 4);
    assert_true(end->is_all);
    end = fetch(b, 10, 5);
    assert_int_equal(heard->count, 1);
    assert_true(end->is_all);
}

/* The bytes of a page, and a body larger than the ring. */
static void test_committer_fetch_bounds_a_page(void **state)
{
    struct journal_bench *b = *state;
    struct journal_heard *heard = &b->heard[0];
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 3; seq++)
        journal_bench_enqueue(b, 0, 1, seq, JOURNAL_BENCH_PAYLOAD_MAX);
    assert_false(fetch(b, 0, 100)->is_all);
    assert_int_equal(heard->count, 2);
    assert_int_equal(heard->payload_sizes[0], JOURNAL_BENCH_PAYLOAD_MAX);
    assert_int_equal(fetch(b, 1, 100)->seq, 2);
}

static void test_committer_fetch_drops_what_expired(void **state)
{
    struct journal_bench *b = *state;
    struct record_message message = {
        .purpose = RECORD_FOR_JOURNAL, .expiry_at_ms = 1, .topic = bytes_of("t"), .qos = 1};
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        message.message_id = 1000 + seq;
        journal_bench_put_message(b, 0, &message);
        journal_bench_put(b, 0,
                          (struct record_journal){.kind = RECORD_ENQUEUE,
                                                  .session = 1,
                                                  .seq = seq,
                                                  .message_id = message.message_id,
                                                  .bytes = 1,
                                                  .qos = 1});
    }
    journal_bench_enqueue(b, 0, 1, 4, 8);
    const struct record_journal *end = fetch(b, 0, 0);
    assert_int_equal(end->count, 3);
    assert_int_equal(end->bytes, 3);
    assert_int_equal(end->seq, 3);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 1);
    assert_int_equal(journal_bench_stat(b, STAT_durable_queued_bytes), 8);
}

static void test_committer_fetch_drops_repeat_that_is_there(void **state)
{
    struct journal_bench *b = *state;
    struct journal_heard *heard = &b->heard[0];
    journal_bench_put_session(b, 0, 1);
    uint64_t message_id = journal_bench_put_body(b, 0, 8);
    struct record_journal enqueue = {.kind = RECORD_ENQUEUE,
                                     .session = 1,
                                     .seq = 1,
                                     .message_id = message_id,
                                     .bytes = 8,
                                     .qos = 1};
    journal_bench_put(b, 0, enqueue);
    journal_bench_run(b);
    enqueue.seq = 2;
    enqueue.repeat = true;
    heard->count = 0;
    uint64_t serial = journal_bench_put(b, 0, enqueue);
    journal_bench_run(b);
    assert_int_equal(heard->confirmed, serial);
    assert_int_equal(heard->refused_count, 0);
    assert_int_equal(heard->count, 1);
    assert_int_equal(heard->records[0].kind, RECORD_NOT_QUEUED);
    assert_int_equal(heard->records[0].seq, 2);
    assert_int_equal(heard->records[0].bytes, 8);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 1);
}

static void test_committer_fetch_ends_long_queue_in_slices(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 20000; seq++)
        journal_bench_enqueue(b, 0, 1, seq, 8);
    journal_bench_run(b);
    journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_SESSION_END, .session = 1});
    journal_bench_turn(b);
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 0);
    assert_in_range(journal_bench_stat(b, STAT_durable_messages), 15000, 19999);
    journal_bench_restart(b); /* goes on with what is left */
    assert_true(b->work.durable.has_ended);
    journal_bench_run(b);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 0);
    assert_int_equal(journal_bench_stat(b, STAT_durable_queued_bytes), 0);
    assert_false(b->work.durable.has_ended);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, journal_bench_open, journal_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_committer_fetch_gives_pages_in_order),
        BENCHED(test_committer_fetch_bounds_a_page),
        BENCHED(test_committer_fetch_drops_what_expired),
        BENCHED(test_committer_fetch_drops_repeat_that_is_there),
        BENCHED(test_committer_fetch_ends_long_queue_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
