#include "worker/route/entry.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/deliver.h"
#include "worker/route/inbox.h"

#include <string.h>

enum { COMMITTER = FIXTURE_OTHER, LAST = 100, DELAY_MS = 5, NUMBER = 77 };

struct scene {
    struct fixture *f;
    struct journal *journal;
    struct fake_conn conn;
    struct session *session; /* connected, and kept */
};

static void open_scene(struct scene *s, void **state)
{
    *s = (struct scene){.f = *state};
    s->journal = &s->f->router.journal;
    const struct record_journal answer = {.epoch = FIXTURE_EPOCH, .serial = LAST, .run = 3};
    journal_init(s->journal, &s->f->router.outbound, COMMITTER, true);
    journal_use_delay(s->journal, &s->f->loop, DELAY_MS, entry_put_delayed);
    journal_start(s->journal, FIXTURE_EPOCH);
    assert_true(journal_restore_begin(s->journal, &answer));
    journal_restore_end(s->journal);
    assert_int_equal(fixture_drain(s->f, COMMITTER), 1);
    s->session = fixture_session(s->f, "kept", &s->conn);
    session_keep(s->session, NUMBER);
}

static void close_scene(struct scene *s)
{
    journal_put_delayed(s->journal);
    fixture_end(s->f, s->session);
    journal_done(s->journal);
}

static void deliver(struct scene *s, enum qos qos)
{
    struct publication p = {
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
        .message_id = router_next_message_id(&s->f->router),
        .qos = (uint8_t)qos,
    };
    struct deliver_terms terms = {.qos = qos};
    deliver_message(&s->f->router, s->session, &p, &terms);
    publication_done(&p);
}

static struct delivery *in_flight(struct scene *s, uint16_t packet_id)
{
    struct delivery *d = inflight_find(&s->session->inflight, packet_id);
    assert_non_null(d);
    return d;
}

static void acknowledge(struct scene *s, uint16_t packet_id)
{
    deliver_done(&s->f->router, s->session, in_flight(s, packet_id));
}

/* The next record of the journal; bodies are passed over, and counted. */
static struct record_journal next(struct scene *s, unsigned *ret_bodies)
{
    struct ring_record record;
    struct record_journal journal;
    *ret_bodies = 0;
    while (fixture_next(s->f, COMMITTER, &record)) {
        if (record_get_journal(&record, &journal))
            return journal;
        ++*ret_bodies;
    }
    return (struct record_journal){.serial = 0};
}

static void expect(struct scene *s, enum record_kind kind, uint64_t serial, uint64_t seq)
{
    unsigned bodies;
    struct record_journal record = next(s, &bodies);
    assert_int_equal(record.serial, serial);
    assert_int_equal(record.kind, kind);
    assert_int_equal(record.seq, seq);
    assert_int_equal(bodies, kind == RECORD_ENQUEUE);
}

static void expect_nothing(struct scene *s)
{
    unsigned bodies;
    assert_int_equal(next(s, &bodies).serial, 0);
    assert_int_equal(bodies, 0);
}

static void test_entry_sent_is_cancelled_by_the_acknowledgement(void **state)
{
    struct scene s;
    open_scene(&s, state);
    deliver(&s, QOS_AT_LEAST_ONCE);
    deliver(&s, QOS_AT_LEAST_ONCE);
    assert_int_equal(s.journal->serial, LAST + 2);
    assert_int_equal(s.journal->confirmed, LAST);
    acknowledge(&s, 2);
    assert_int_equal(s.journal->confirmed, LAST);
    assert_int_equal(s.journal->sent, LAST);
    acknowledge(&s, 1);
    assert_int_equal(s.journal->confirmed, LAST + 2);
    assert_int_equal(s.journal->sent, LAST + 2);
    fake_loop_advance(&s.f->loop, DELAY_MS);
    expect_nothing(&s);
    close_scene(&s);
}

static void test_entry_sent_is_put_when_nobody_acknowledges(void **state)
{
    struct scene s;
    open_scene(&s, state);
    deliver(&s, QOS_AT_LEAST_ONCE);
    fake_loop_advance(&s.f->loop, DELAY_MS - 1);
    deliver(&s, QOS_AT_LEAST_ONCE);
    expect_nothing(&s);
    fake_loop_advance(&s.f->loop, 1);
    expect(&s, RECORD_ENQUEUE, LAST + 1, 1);
    assert_int_equal(s.journal->sent, LAST + 1);
    assert_int_equal(s.journal->confirmed, LAST);
    acknowledge(&s, 2);
    assert_int_equal(s.journal->confirmed, LAST);
    journal_confirm(s.journal, LAST + 1);
    assert_int_equal(s.journal->confirmed, LAST + 2);
    close_scene(&s);
}

static void test_entry_done_is_put_later_and_holds_nobody_up(void **state)
{
    struct scene s;
    open_scene(&s, state);
    deliver(&s, QOS_AT_LEAST_ONCE);
    fake_loop_advance(&s.f->loop, DELAY_MS);
    expect(&s, RECORD_ENQUEUE, LAST + 1, 1);
    journal_confirm(s.journal, LAST + 1);
    acknowledge(&s, 1);
    deliver(&s, QOS_AT_LEAST_ONCE);
    expect_nothing(&s);
    acknowledge(&s, 2);
    assert_int_equal(s.journal->confirmed, LAST + 3);
    fake_loop_advance(&s.f->loop, DELAY_MS);
    expect(&s, RECORD_DONE, LAST + 2, 1);
    journal_confirm(s.journal, LAST + 2);
    assert_int_equal(s.journal->confirmed, LAST + 3);
    expect_nothing(&s);
    close_scene(&s);
}

static void test_entry_sent_is_put_before_what_does_not_wait(void **state)
{
    struct scene s;
    open_scene(&s, state);
    deliver(&s, QOS_AT_LEAST_ONCE);
    deliver(&s, QOS_AT_LEAST_ONCE);
    acknowledge(&s, 1);
    deliver(&s, QOS_EXACTLY_ONCE);
    expect(&s, RECORD_ENQUEUE, LAST + 2, 1);
    expect(&s, RECORD_ENQUEUE, LAST + 3, 2);
    assert_int_equal(s.journal->confirmed, LAST + 1);
    journal_confirm(s.journal, LAST + 2);
    assert_int_equal(s.journal->confirmed, LAST + 2);
    journal_confirm(s.journal, LAST + 3);
    assert_int_equal(s.journal->confirmed, LAST + 3);
    close_scene(&s);
}

static void test_entry_sent_without_delay_is_put_at_once(void **state)
{
    struct scene s;
    open_scene(&s, state);
    journal_use_delay(s.journal, &s.f->loop, 0, entry_put_delayed);
    deliver(&s, QOS_AT_LEAST_ONCE);
    expect(&s, RECORD_ENQUEUE, LAST + 1, 1);
    acknowledge(&s, 1);
    expect(&s, RECORD_DONE, LAST + 2, 1);
    close_scene(&s);
}

/* For a session that is gone nothing is put any more. */
static void test_entry_end_cancels_what_was_to_be_put_later(void **state)
{
    struct scene s;
    open_scene(&s, state);
    deliver(&s, QOS_AT_LEAST_ONCE);
    struct delivery *d = in_flight(&s, 1);
    entry_end(s.journal, d);
    fake_loop_advance(&s.f->loop, DELAY_MS);
    expect_nothing(&s);
    assert_int_equal(d->message->kept, 0);
    assert_int_equal(s.journal->confirmed, LAST + 1);
    close_scene(&s);
}

static void test_entry_is_kept_but_for_what_had_no_room(void **state)
{
    struct scene s;
    open_scene(&s, state);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        deliver(&s, QOS_EXACTLY_ONCE);
        expect(&s, RECORD_ENQUEUE, LAST + seq, seq);
    }
    assert_false(entry_is_kept(s.journal, in_flight(&s, 2)));
    journal_refuse(s.journal, LAST + 1, REASON_QUOTA_EXCEEDED);
    journal_confirm(s.journal, LAST + 2);
    assert_false(entry_is_kept(s.journal, in_flight(&s, 1)));
    assert_true(entry_is_kept(s.journal, in_flight(&s, 2)));
    assert_false(entry_repeat(s.journal, s.session->table));
    expect(&s, RECORD_ENQUEUE, LAST + 3, 1);
    expect_nothing(&s);
    journal_confirm(s.journal, LAST + 3);
    assert_true(entry_is_kept(s.journal, in_flight(&s, 1)));
    close_scene(&s);
}

static void test_entry_repeat_puts_the_body_of_many_once(void **state)
{
    enum { SESSIONS = 3 };
    struct scene s;
    struct session *others[SESSIONS];
    struct fake_conn conns[SESSIONS] = {0};
    struct publication p = {.topic = bytes_of("t"), .message_id = 5, .qos = QOS_AT_LEAST_ONCE};
    struct deliver_terms terms = {.qos = QOS_AT_LEAST_ONCE};
    open_scene(&s, state);
    journal_use_delay(s.journal, &s.f->loop, 0, entry_put_delayed);
    for (unsigned i = 0; i < SESSIONS; i++) {
        const char name[] = {(char)('1' + i), 0};
        others[i] = fixture_session(s.f, name, &conns[i]);
        others[i]->expiry_s = SESSION_NEVER_EXPIRES;
        session_keep(others[i], NUMBER + 1 + i);
        deliver_message(&s.f->router, others[i], &p, &terms);
    }
    publication_done(&p);
    uint64_t last = s.journal->serial;
    fixture_drain(s.f, FIXTURE_OTHER);
    journal_refuse(s.journal, last, REASON_QUOTA_EXCEEDED);
    journal_refuse(s.journal, last - SESSIONS + 1, REASON_QUOTA_EXCEEDED);
    journal_confirm(s.journal, last);
    while (entry_repeat(s.journal, s.session->table))
        continue;
    unsigned bodies = 0;
    unsigned entries = 0;
    for (struct ring_record r; fixture_next(s.f, FIXTURE_OTHER, &r);) {
        bodies += r.kind == RECORD_MESSAGE;
        entries += r.kind == RECORD_ENQUEUE;
    }
    assert_int_equal(entries, SESSIONS);
    assert_int_equal(bodies, 1);
    for (unsigned i = 0; i < SESSIONS; i++)
        fixture_end(s.f, others[i]);
    close_scene(&s);
}

/* What comes for the first time after a worker's death may have been sent by it. */
static void test_entry_sent_of_a_repeat_is_a_duplicate(void **state)
{
    struct scene s;
    struct publication p = {
        .topic = bytes_of("t"), .message_id = 5, .qos = QOS_AT_LEAST_ONCE, .is_repeat = true};
    struct deliver_terms terms = {.qos = QOS_AT_LEAST_ONCE};
    open_scene(&s, state);
    deliver_message(&s.f->router, s.session, &p, &terms);
    publication_done(&p);
    assert_int_equal(s.conn.data[0] >> 3 & 1, 1);
    close_scene(&s);
}

/* -- what came through a ring -- */

static struct mesh *peer(struct scene *s)
{
    return &s->f->ends[FIXTURE_PEER];
}

/* PEER sends a message for the session; the position behind it. */
static uint32_t arrive(struct scene *s, struct inbox *inbox)
{
    static const struct inbox_events no_events;
    struct record_sender sender = {0};
    struct record_message message = {
        .purpose = RECORD_FOR_DELIVERY,
        .message_id = 9,
        .qos = QOS_AT_LEAST_ONCE,
        .plain = true,
        .origin = FIXTURE_PEER,
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
    };
    (void)fixture_subscribe(s->f, s->session, "t", QOS_AT_LEAST_ONCE);
    inbox_init(inbox, &s->f->router, &no_events, NULL);
    assert_true(record_put_message(peer(s), FIXTURE_SELF, &message, &sender));
    mesh_publish(peer(s));
    (void)inbox_take(inbox);
    return ring_position(&peer(s)->out[FIXTURE_SELF]);
}

/* The end of a turn. */
static void end_turn(struct scene *s)
{
    pass_on_step(&s->f->router);
    mesh_publish(&s->f->router.mesh);
    pass_on_release(&s->f->router);
}

static bool is_settled(struct scene *s, uint32_t position)
{
    return ring_has_settled(&peer(s)->out[FIXTURE_SELF], position);
}

static void test_entry_sent_settles_its_record_when_acknowledged(void **state)
{
    struct scene s;
    struct inbox inbox;
    open_scene(&s, state);
    uint32_t position = arrive(&s, &inbox);
    end_turn(&s);
    assert_false(is_settled(&s, position));
    assert_true(ring_held(&s.f->router.mesh.in[FIXTURE_PEER]) > 0);
    acknowledge(&s, 1);
    end_turn(&s);
    assert_true(is_settled(&s, position));
    assert_int_equal(ring_held(&s.f->router.mesh.in[FIXTURE_PEER]), 0);
    expect_nothing(&s);
    close_scene(&s);
}

static void test_entry_sent_releases_its_record_when_put(void **state)
{
    struct scene s;
    struct inbox inbox;
    open_scene(&s, state);
    uint32_t position = arrive(&s, &inbox);
    fake_loop_advance(&s.f->loop, DELAY_MS);
    end_turn(&s);
    assert_int_equal(ring_held(&s.f->router.mesh.in[FIXTURE_PEER]), 0);
    assert_false(is_settled(&s, position));
    journal_confirm(s.journal, LAST + 1);
    end_turn(&s);
    assert_true(is_settled(&s, position));
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_entry_sent_is_cancelled_by_the_acknowledgement),
        FIXTURE_TEST(test_entry_sent_is_put_when_nobody_acknowledges),
        FIXTURE_TEST(test_entry_done_is_put_later_and_holds_nobody_up),
        FIXTURE_TEST(test_entry_sent_is_put_before_what_does_not_wait),
        FIXTURE_TEST(test_entry_sent_without_delay_is_put_at_once),
        FIXTURE_TEST(test_entry_end_cancels_what_was_to_be_put_later),
        FIXTURE_TEST(test_entry_is_kept_but_for_what_had_no_room),
        FIXTURE_TEST(test_entry_repeat_puts_the_body_of_many_once),
        FIXTURE_TEST(test_entry_sent_of_a_repeat_is_a_duplicate),
        FIXTURE_TEST_LIVE(test_entry_sent_settles_its_record_when_acknowledged),
        FIXTURE_TEST_LIVE(test_entry_sent_releases_its_record_when_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
