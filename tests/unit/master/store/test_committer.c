#include "master/store/committer.h"

#include "tests/unit/master/store/journal_bench.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The bench's own committer makes way for one with a thread. */
static struct committer *start_thread(struct journal_bench *b)
{
    int error;
    journal_bench_stop(b);
    struct committer *c = committer_open(&b->inherit, &error);
    assert_non_null(c);
    assert_int_equal(committer_start(c), 0);
    return c;
}

static void await_confirm(struct journal_bench *b, uint64_t serial)
{
    mesh_publish(&b->workers[0]);
    for (int i = 0; i < 5000 && b->heard[0].confirmed < serial; i++) {
        usleep(1000);
        journal_bench_hear(b, 0);
    }
    assert_int_equal(b->heard[0].confirmed, serial);
}

static uint64_t sessions_on_disk(struct journal_bench *b)
{
    return journal_bench_stat(b, STAT_durable_sessions);
}

static void test_committer_start_wakes_by_bell(void **state)
{
    struct journal_bench *b = *state;
    struct committer *c = start_thread(b);
    for (uint64_t session = 1; session <= 20; session++)
        await_confirm(b, journal_bench_put_session(b, 0, session));
    assert_int_equal(sessions_on_disk(b), 20);
    committer_stop(c);
    committer_close(c);
}

static void test_committer_save_does_not_wait_for_the_interval(void **state)
{
    struct journal_bench *b = *state;
    b->conf.durability = CONF_DURABILITY_RELAXED;
    struct committer *c = start_thread(b);
    await_confirm(b, journal_bench_put_session(b, 0, 1));
    assert_int_equal(sessions_on_disk(b), 0);
    committer_save(c);
    for (int i = 0; i < 5000 && sessions_on_disk(b) == 0; i++)
        usleep(1000);
    assert_int_equal(sessions_on_disk(b), 1);
    committer_stop(c);
    committer_close(c);
}

/* What is in the rings and was never answered, too. */
static void test_committer_stop_leaves_nothing_behind(void **state)
{
    struct journal_bench *b = *state;
    b->conf.durability = CONF_DURABILITY_RELAXED;
    struct committer *c = start_thread(b);
    for (uint64_t session = 1; session <= 100; session++)
        journal_bench_put_session(b, 0, session);
    mesh_publish(&b->workers[0]);
    committer_stop(c);
    committer_close(c);
    journal_bench_restart(b);
    assert_int_equal(sessions_on_disk(b), 100);
}

static void test_committer_stop_harmless_without_thread(void **state)
{
    struct journal_bench *b = *state;
    int error;
    journal_bench_stop(b);
    struct committer *c = committer_open(&b->inherit, &error);
    committer_stop(c);
    committer_close(c);
    committer_close(NULL);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, journal_bench_open, journal_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_committer_start_wakes_by_bell),
        BENCHED(test_committer_save_does_not_wait_for_the_interval),
        BENCHED(test_committer_stop_leaves_nothing_behind),
        BENCHED(test_committer_stop_harmless_without_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
