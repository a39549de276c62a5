#include "worker/route/publisher.h"

#include "tests/unit/worker/route/route_fixture.h"

static struct fake_conn conn;
static struct fake_conn conns[FIXTURE_PUBLISHERS_MAX];

static const struct publisher_ack ACK = {.packet_id = 5, .type = PACKET_PUBACK};

static struct publishers *publishers_of(struct fixture *f)
{
    return &f->router.publishers;
}

static void test_publishers_session_by_handle(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    assert_int_not_equal(handle, 0);
    assert_ptr_equal(publishers_session(publishers_of(f), handle), s);
    assert_null(publishers_session(publishers_of(f), 0));
    assert_null(publishers_session(publishers_of(f), handle + 1));
    assert_null(publishers_session(publishers_of(f), UINT32_MAX));
    fixture_end(f, s);
    assert_null(publishers_session(publishers_of(f), handle));
}

/* Other processes may hold on to a handle for longer than its connection lives. */
static void test_publishers_add_gives_no_handle_out_again_soon(void **state)
{
    enum { ROUNDS = 500 };
    struct fixture *f = *state;
    uint32_t handles[ROUNDS];
    struct session *s = fixture_session(f, "p", &conn);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct publisher *p = publishers_add(publishers_of(f), &conn.conn);
        handles[i] = p->handle;
        publishers_remove(p);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(handles[i], handles[j]);
    }
    fixture_end(f, s);
}

static void test_publishers_add_grows(void **state)
{
    struct fixture *f = *state;
    struct publisher *all[FIXTURE_PUBLISHERS_MAX];
    struct session *s = fixture_session(f, "p", NULL);
    for (unsigned i = 0; i < FIXTURE_PUBLISHERS_MAX; i++) {
        fake_conn_open(&conns[i], &f->conns, MQTT_V5);
        conns[i].conn.session = s;
        all[i] = publishers_add(publishers_of(f), &conns[i].conn);
        assert_non_null(all[i]);
    }
    for (unsigned i = 0; i < FIXTURE_PUBLISHERS_MAX; i++) {
        publishers_hold(publishers_of(f), all[i]->handle);
        assert_int_equal(conns[i].conn.holds, 1);
    }
    for (unsigned i = 0; i < FIXTURE_PUBLISHERS_MAX; i++)
        publishers_remove(all[i]);
    fixture_end(f, s);
}

static void test_publishers_hold_is_counted(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_hold(publishers_of(f), handle);
    publishers_hold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 1);
    assert_int_equal(fixture_stat(f, STAT_publishers_held), 1);
    publishers_unhold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 1);
    publishers_unhold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 0);
    publishers_unhold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_publishers_hold_ignores_unknown_handles(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_hold(publishers_of(f), handle + 1);
    publishers_unhold(publishers_of(f), handle + 1);
    publishers_message_waits(publishers_of(f), handle + 1);
    publishers_message_done(publishers_of(f), handle + 1);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_publishers_hold_ends_by_itself(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_hold(publishers_of(f), handle);
    publishers_hold(publishers_of(f), handle);
    fake_loop_advance(&f->loop, PUBLISHER_HOLD_MAX_MS - 1);
    assert_int_equal(conn.conn.holds, 1);
    fake_loop_advance(&f->loop, 1);
    assert_int_equal(conn.conn.holds, 0);
    publishers_unhold(publishers_of(f), handle); /* late */
    publishers_hold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 1);
    fixture_end(f, s);
}

static void test_publishers_hold_ends_after_the_last_one(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_hold(publishers_of(f), handle);
    fake_loop_advance(&f->loop, PUBLISHER_HOLD_MAX_MS - 1);
    publishers_hold(publishers_of(f), handle);
    fake_loop_advance(&f->loop, PUBLISHER_HOLD_MAX_MS - 1);
    assert_int_equal(conn.conn.holds, 1);
    fake_loop_advance(&f->loop, 1);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

/* Its socket is the way that its acknowledgements come. */
static void test_publishers_hold_spares_who_owes_acknowledgements(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of(""));
    assert_true(inflight_take(&s->inflight, delivery_new(m, QOS_AT_LEAST_ONCE, false, 0)));
    message_put(m);
    publishers_hold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 0);
    publishers_unhold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_publishers_unhold_stops_the_timer(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_hold(publishers_of(f), handle);
    publishers_unhold(publishers_of(f), handle);
    fake_loop_advance(&f->loop, PUBLISHER_HOLD_MAX_MS);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_publishers_remove_stops_the_timer(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    publishers_hold(publishers_of(f), fixture_publisher(f, s)->handle);
    fixture_end(f, s);
    fake_loop_advance(&f->loop, PUBLISHER_HOLD_MAX_MS);
    publishers_remove(NULL);
}

static void test_publishers_message_waits_apart_from_hold(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    publishers_message_waits(publishers_of(f), handle);
    publishers_message_waits(publishers_of(f), handle);
    publishers_hold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 2);
    publishers_message_done(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 2);
    publishers_message_done(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 1);
    publishers_unhold(publishers_of(f), handle);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_publishers_acknowledge_at_once(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    publishers_acknowledge(fixture_publisher(f, s), &ACK, 0, 0);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.packet_id, 5);
    fixture_end(f, s);
}

static void test_publishers_acknowledge_when_no_message_waits(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    struct publisher *p = fixture_publisher(f, s);
    publishers_message_waits(publishers_of(f), p->handle);
    publishers_acknowledge(p, &ACK, 0, 0);
    assert_int_equal(f->ack_count, 0);
    publishers_message_done(publishers_of(f), p->handle);
    assert_int_equal(f->ack_count, 1);
    publishers_message_waits(publishers_of(f), p->handle);
    publishers_message_done(publishers_of(f), p->handle); /* of QoS 0 */
    assert_int_equal(f->ack_count, 1);
    fixture_end(f, s);
}

/* First in the ring, then settled by its consumer. */
static void test_publishers_acknowledge_when_settled(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    struct publisher *p = fixture_publisher(f, s);
    publishers_message_waits(publishers_of(f), p->handle);
    publishers_acknowledge(p, &ACK, 1 << FIXTURE_PEER, 0);
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 0));
    publishers_message_done(publishers_of(f), p->handle);
    assert_int_equal(conn.conn.holds, 0);
    settle_release(&f->router.settle);
    assert_int_equal(f->ack_count, 0);
    fixture_drain(f, FIXTURE_PEER);
    settle_release(&f->router.settle);
    assert_int_equal(f->ack_count, 1);
    fixture_end(f, s);
}

static void test_publishers_pace_until_an_acknowledgement_goes_out(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &conn);
    struct publisher *p = fixture_publisher(f, s);
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 0));
    publishers_acknowledge(p, &ACK, 1 << FIXTURE_PEER, 0);
    publishers_pace(p, 1);
    assert_int_equal(conn.conn.holds, 0);
    publishers_acknowledge(p, &ACK, 1 << FIXTURE_PEER, 0);
    publishers_pace(p, 1);
    publishers_pace(p, 1);
    assert_int_equal(conn.conn.holds, 1);
    publishers_acknowledged(p);
    publishers_acknowledged(p);
    assert_int_equal(conn.conn.holds, 0);
    fixture_drain(f, FIXTURE_PEER);
    settle_release(&f->router.settle);
    fixture_end(f, s);
}

/* -- without its connection -- */

/* The next record that the committer gets; 0: none. */
static enum record_kind next_of_journal(struct fixture *f)
{
    struct ring_record record;
    return fixture_next(f, FIXTURE_OTHER, &record) ? (enum record_kind)record.kind : 0;
}

/* A kept session whose connection ends while the PUBREC of its message 9 waits for PEER. */
static struct session *leave(struct fixture *f)
{
    static const struct publisher_ack pubrec = {.packet_id = 5, .type = PACKET_PUBREC};
    struct journal *journal = &f->router.journal;
    const struct record_journal answer = {.epoch = FIXTURE_EPOCH, .serial = 100, .run = 3};
    journal_init(journal, &f->router.outbound, FIXTURE_OTHER, true);
    journal_start(journal, FIXTURE_EPOCH);
    assert_true(journal_restore_begin(journal, &answer));
    journal_restore_end(journal);
    (void)fixture_drain(f, FIXTURE_OTHER);
    struct session *s = fixture_session(f, "p", &conn);
    struct publisher *p = fixture_publisher(f, s);
    session_keep(s, 77);
    session_receive_begin(s, 5)->message_id = 9;
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 0));
    publishers_acknowledge(p, &ACK, 1 << FIXTURE_PEER, 0);
    publishers_acknowledge(p, &pubrec, 1 << FIXTURE_PEER, 0);
    assert_true(publishers_leave(p));
    return s;
}

static void test_publishers_leave_waits_until_a_message_is_sure(void **state)
{
    struct fixture *f = *state;
    struct session *s = leave(f);
    settle_release(&f->router.settle);
    assert_int_equal(session_receiving(s, 5)->message_id, 9);
    fixture_drain(f, FIXTURE_PEER);
    settle_release(&f->router.settle);
    assert_int_equal(session_receiving(s, 5)->message_id, 0);
    assert_false(session_receiving(s, 5)->is_lost);
    assert_int_equal(next_of_journal(f), RECORD_RECEIVED);
    assert_int_equal(f->ack_count, 0);
    fixture_end(f, s);
}

static void test_publishers_leave_learns_that_a_message_is_lost(void **state)
{
    struct fixture *f = *state;
    struct session *s = leave(f);
    settle_refuse_workers(&f->router.settle, WHY_DISK);
    publishers_return(s->publisher, &conn.conn);
    settle_release(&f->router.settle);
    assert_true(session_receiving(s, 5)->is_lost);
    assert_int_equal(session_receiving(s, 5)->message_id, 9);
    assert_int_equal(next_of_journal(f), 0);
    assert_int_equal(f->ack_count, 0);
    fixture_end(f, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_publishers_session_by_handle),
        FIXTURE_TEST(test_publishers_add_gives_no_handle_out_again_soon),
        FIXTURE_TEST(test_publishers_add_grows),
        FIXTURE_TEST(test_publishers_hold_is_counted),
        FIXTURE_TEST(test_publishers_hold_ignores_unknown_handles),
        FIXTURE_TEST(test_publishers_hold_ends_by_itself),
        FIXTURE_TEST(test_publishers_hold_ends_after_the_last_one),
        FIXTURE_TEST(test_publishers_hold_spares_who_owes_acknowledgements),
        FIXTURE_TEST(test_publishers_unhold_stops_the_timer),
        FIXTURE_TEST(test_publishers_remove_stops_the_timer),
        FIXTURE_TEST(test_publishers_message_waits_apart_from_hold),
        FIXTURE_TEST(test_publishers_acknowledge_at_once),
        FIXTURE_TEST(test_publishers_acknowledge_when_no_message_waits),
        FIXTURE_TEST(test_publishers_acknowledge_when_settled),
        FIXTURE_TEST(test_publishers_pace_until_an_acknowledgement_goes_out),
        FIXTURE_TEST(test_publishers_leave_waits_until_a_message_is_sure),
        FIXTURE_TEST(test_publishers_leave_learns_that_a_message_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
