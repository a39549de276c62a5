#include "worker/route/backlog.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <stdio.h>
#include <string.h>

enum { COMMITTER = FIXTURE_OTHER, LAST = 100, LIMIT = 4096, CLIENTS = 100 };

/* A journal that is restored, and whose ring has no room. */
static struct journal *begin(struct fixture *f)
{
    struct journal *journal = &f->router.journal;
    const struct record_journal answer = {.epoch = FIXTURE_EPOCH, .serial = LAST, .run = 3};
    journal_init(journal, &f->router.outbound, COMMITTER, true);
    journal_start(journal, FIXTURE_EPOCH);
    assert_true(journal_restore_begin(journal, &answer));
    journal_restore_end(journal);
    f->tunable.journal_bytes_max = LIMIT;
    fixture_fill(f, COMMITTER);
    return journal;
}

static void put_name(struct journal *journal)
{
    struct record_journal record = {
        .kind = RECORD_UNSUBSCRIBE, .session = 1, .name = bytes_of("a/b/c")};
    (void)journal_put(journal, &record);
}

static void make_room(struct fixture *f)
{
    do
        (void)fixture_drain(f, COMMITTER);
    while (outbound_retry(&f->router.outbound));
}

static void test_backlog_is_full_counts_what_waits(void **state)
{
    struct fixture *f = *state;
    struct journal *journal = begin(f);
    unsigned count = 0;
    for (; !backlog_is_full(&f->router); count++)
        put_name(journal);
    assert_true(count > 1);
    assert_in_range(journal->waiting_bytes, LIMIT, LIMIT + journal->waiting_bytes / count);
    assert_int_equal(fixture_stat(f, STAT_durable_waiting), journal->waiting_bytes);
    make_room(f);
    assert_int_equal(journal->waiting_bytes, 0);
    assert_int_equal(fixture_stat(f, STAT_durable_waiting), 0);
    assert_int_equal(journal->sent, LAST + count);
    (void)fixture_drain(f, COMMITTER);
}

static void test_backlog_is_full_counts_bodies(void **state)
{
    static char payload[LIMIT + 1];
    struct fixture *f = *state;
    struct journal *journal = begin(f);
    memset(payload, 'x', LIMIT);
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of(payload));
    assert_non_null(m);
    m->id = 55;
    struct record_journal record = {
        .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 55, .qos = 1};
    (void)journal_put_message(journal, &record, m, 0);
    message_put(m);
    assert_true(backlog_is_full(&f->router));
    make_room(f);
    assert_int_equal(journal->waiting_bytes, 0);
    (void)fixture_drain(f, COMMITTER);
}

static void test_backlog_hold_is_for_those_above_the_limit(void **state)
{
    static struct fake_conn conn;
    struct fixture *f = *state;
    struct journal *journal = begin(f);
    struct session *s = fixture_session(f, "kept", &conn);
    put_name(journal);
    backlog_hold(&f->router, s);
    assert_int_equal(conn.conn.holds, 0);
    while (!backlog_is_full(&f->router))
        put_name(journal);
    backlog_hold(&f->router, s);
    backlog_hold(&f->router, s);
    assert_int_equal(conn.conn.holds, 1);
    assert_int_equal(fixture_stat(f, STAT_clients_held), 1);
    assert_false(backlog_step(&f->router));
    make_room(f);
    assert_true(backlog_step(&f->router));
    assert_int_equal(conn.conn.holds, 0);
    assert_false(backlog_step(&f->router));
    fixture_end(f, s);
    (void)fixture_drain(f, COMMITTER);
}

/* They all have something to send: not all in one turn. */
static void test_backlog_step_lets_go_of_some_each_turn(void **state)
{
    static struct fake_conn conns[CLIENTS];
    struct session *sessions[CLIENTS];
    struct fixture *f = *state;
    struct journal *journal = begin(f);
    while (!backlog_is_full(&f->router))
        put_name(journal);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "c%u", i);
        sessions[i] = fixture_session(f, id, &conns[i]);
        backlog_hold(&f->router, sessions[i]);
    }
    make_room(f);
    assert_true(backlog_step(&f->router));
    unsigned held = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        held += conns[i].conn.holds;
    assert_in_range(held, 1, CLIENTS - 1);
    backlog_forget(sessions[CLIENTS - 1]);
    while (backlog_step(&f->router))
        continue;
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(conns[i].conn.holds, i == CLIENTS - 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        fixture_end(f, sessions[i]);
    (void)fixture_drain(f, COMMITTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_backlog_is_full_counts_what_waits),
        FIXTURE_TEST(test_backlog_is_full_counts_bodies),
        FIXTURE_TEST(test_backlog_hold_is_for_those_above_the_limit),
        FIXTURE_TEST(test_backlog_step_lets_go_of_some_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
