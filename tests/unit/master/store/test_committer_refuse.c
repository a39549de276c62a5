#include "tests/unit/master/store/journal_bench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Nothing that is not on disk is ever confirmed as if it were. */

static uint64_t put_retained(struct journal_bench *b, unsigned worker, size_t size)
{
    uint64_t message_id = journal_bench_put_body(b, worker, size);
    return journal_bench_put(
        b, worker, (struct record_journal){.kind = RECORD_KEEP_RETAINED, .message_id = message_id});
}

static uint64_t put_bodiless(struct journal_bench *b, uint64_t seq)
{
    return journal_bench_put(
        b, 0,
        (struct record_journal){
            .kind = RECORD_ENQUEUE, .session = 1, .seq = seq, .message_id = 9999, .qos = 1});
}

/* Its ring has no room for an answer. */
static void stop_hearing(struct journal_bench *b)
{
    const struct record_journal filler = {.kind = RECORD_JOURNAL_STATE};
    while (record_put_journal(&b->work.mesh, 0, &filler))
        continue;
    mesh_publish(&b->work.mesh);
}

/* The committer dies with this record in hand, as often as makes it be set aside. */
static void die_of_next(struct journal_bench *b)
{
    struct ring_record record;
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        mesh_publish(&b->workers[0]);
        assert_true(ring_next(&b->work.mesh.in[0], &record));
        journal_bench_kill(b);
    }
}

static void test_committer_take_refuses_what_was_set_aside(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    journal_bench_run(b);
    uint64_t serial =
        journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_SESSION_END, .session = 2});
    die_of_next(b);
    journal_bench_run(b);
    assert_true(b->heard[0].confirmed < serial);
    uint64_t next = journal_bench_put_session(b, 0, 3);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, next);
    assert_int_equal(b->heard[0].refused_count, 1);
    assert_int_equal(b->heard[0].refused, serial);
    assert_int_equal(journal_bench_stat(b, STAT_quarantined), 1);
}

static void test_committer_refuse_is_told_by_a_successor(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    journal_bench_run(b);
    stop_hearing(b);
    uint64_t refused = put_bodiless(b, 1);
    uint64_t serial = journal_bench_put_session(b, 0, 2);
    mesh_publish(&b->workers[0]);
    committer_work_turn(&b->work);
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 2);
    journal_bench_kill(b);
    journal_bench_hear(b, 0);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].refused, refused);
    assert_int_equal(b->heard[0].refused_count, 1);
    assert_int_equal(b->heard[0].confirmed, serial);
}

/* Two publishers of one retained message, and no room for it. */
static void test_committer_refuse_tells_who_was_superseded(void **state)
{
    struct journal_bench *b = *state;
    b->conf.persistence_size_max = 1 << 20;
    journal_bench_restart(b);
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; b->heard[0].refused_count == 0; seq++) {
        journal_bench_enqueue(b, 0, 1, seq, 4000);
        journal_bench_run(b);
    }
    uint64_t serial = put_retained(b, 0, 50000);
    mesh_publish(&b->workers[0]);
    (void)put_retained(b, 1, 50000);
    journal_bench_run(b);
    assert_int_equal(b->heard[1].refused, b->serials[1]);
    assert_int_equal(b->heard[0].refused, serial);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, journal_bench_open, journal_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_committer_take_refuses_what_was_set_aside),
        BENCHED(test_committer_refuse_is_told_by_a_successor),
        BENCHED(test_committer_refuse_tells_who_was_superseded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
