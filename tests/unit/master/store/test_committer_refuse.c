#include "tests/unit/master/store/journal_bench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Nothing that is not on disk is ever confirmed as if it were. */

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

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, journal_bench_open, journal_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_committer_take_refuses_what_was_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
