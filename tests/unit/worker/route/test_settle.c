#include "worker/route/settle.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <unistd.h>

enum { PEER_BIT = 1 << FIXTURE_PEER, OTHER_BIT = 1 << FIXTURE_OTHER };

static struct fake_conn first_conn;
static struct fake_conn second_conn;

/* A record to a worker, and an acknowledgement that waits for it. */
static void send_to(struct fixture *f, struct publisher *p, uint16_t packet_id, uint64_t workers)
{
    for (unsigned i = FIXTURE_PEER; i <= FIXTURE_OTHER; i++)
        if ((workers >> i & 1) != 0)
            assert_true(record_put_hold(&f->router.mesh, i, true, 0));
    struct publisher_ack ack = {
        .packet_id = packet_id, .type = PACKET_PUBREC, .reason = WHY_TOPIC_RESERVED};
    settle_acknowledge(&f->router.settle, &p->unsettled, &ack, workers, 0);
}

static void release(struct fixture *f)
{
    settle_release(&f->router.settle);
}

static void test_settle_acknowledge_without_workers_is_at_once(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    send_to(f, fixture_publisher(f, s), 5, 0);
    assert_int_equal(f->ack_count, 1);
    assert_ptr_equal(f->acks[0].conn, &first_conn.conn);
    assert_int_equal(f->acks[0].ack.packet_id, 5);
    assert_int_equal(f->acks[0].ack.type, PACKET_PUBREC);
    assert_int_equal(f->acks[0].ack.reason, WHY_TOPIC_RESERVED);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_end(f, s);
}

static void test_settle_acknowledge_waits_for_every_worker(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    send_to(f, fixture_publisher(f, s), 5, PEER_BIT | OTHER_BIT);
    release(f);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, 0);
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.type, PACKET_PUBREC);
    assert_int_equal(f->acks[0].ack.reason, WHY_TOPIC_RESERVED);
    fixture_end(f, s);
}

static void test_settle_acknowledge_does_not_wait_for_later_records(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    send_to(f, fixture_publisher(f, s), 1, PEER_BIT);
    send_to(f, fixture_publisher(f, s), 2, PEER_BIT);
    struct ring_record record;
    assert_true(fixture_next(f, FIXTURE_PEER, &record));
    fixture_settle(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.packet_id, 1);
    fixture_end(f, s);
}

/* What waits for nobody does not overtake what waits. */
static void test_settle_release_keeps_the_order_of_a_publisher(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    send_to(f, p, 1, PEER_BIT);
    send_to(f, p, 2, OTHER_BIT);
    send_to(f, p, 3, 0);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, 0);
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(f->acks[i].ack.packet_id, i + 1);
    send_to(f, p, 4, 0);
    assert_int_equal(f->ack_count, 4);
    fixture_end(f, s);
}

/* A worker that hangs holds up only those who publish to it. */
static void test_settle_release_tells_publishers_apart(void **state)
{
    struct fixture *f = *state;
    struct session *a = fixture_session(f, "a", &first_conn);
    struct session *b = fixture_session(f, "b", &second_conn);
    send_to(f, fixture_publisher(f, a), 1, PEER_BIT);
    send_to(f, fixture_publisher(f, b), 2, OTHER_BIT);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, 1);
    assert_ptr_equal(f->acks[0].conn, &second_conn.conn);
    assert_int_equal(f->acks[0].ack.packet_id, 2);
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 2);
    assert_ptr_equal(f->acks[1].conn, &first_conn.conn);
    fixture_end(f, a);
    fixture_end(f, b);
}

static void test_settle_acknowledge_counts_pubacks(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    struct publisher_ack puback = {.packet_id = 1, .type = PACKET_PUBACK};
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 0));
    settle_acknowledge(&f->router.settle, &p->unsettled, &puback, PEER_BIT, 0);
    settle_acknowledge(&f->router.settle, &p->unsettled, &puback, 0, 0);
    send_to(f, p, 2, PEER_BIT); /* PUBREC */
    assert_int_equal(p->unsettled.puback_count, 2);
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(p->unsettled.puback_count, 0);
    fixture_end(f, s);
}

/* The buffer is circular: what waits lies across its end when it must grow. */
static void test_settle_acknowledge_grows_across_the_wrap(void **state)
{
    enum { BEFORE = 3, AFTER = 400 };
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    for (unsigned i = 1; i <= BEFORE; i++)
        send_to(f, p, (uint16_t)i, PEER_BIT | OTHER_BIT);
    uint32_t capacity = p->unsettled.capacity;
    fixture_drain(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, BEFORE);
    assert_true(p->unsettled.first % capacity > 0);
    for (unsigned i = BEFORE + 1; i <= BEFORE + AFTER; i++)
        send_to(f, p, (uint16_t)i, i % 2 == 0 ? PEER_BIT : PEER_BIT | OTHER_BIT);
    assert_true(p->unsettled.capacity > capacity);
    fixture_drain(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, BEFORE + AFTER);
    for (unsigned i = 0; i < BEFORE + AFTER; i++)
        assert_int_equal(f->acks[i].ack.packet_id, i + 1);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_end(f, s);
}

/* All that it asks for was settled before it came: nothing moves for it any more. */
static void test_settle_release_sends_what_need_not_wait(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    struct publisher_ack ack = {.packet_id = 2, .type = PACKET_PUBACK};
    send_to(f, p, 1, PEER_BIT);
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 1);
    settle_acknowledge(&f->router.settle, &p->unsettled, &ack, PEER_BIT, 0);
    assert_false(settle_may_sleep(&f->router.settle));
    release(f);
    assert_int_equal(f->ack_count, 2);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_end(f, s);
}

static void test_settle_release_passes_over_a_publisher_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct session *a = fixture_session(f, "a", &first_conn);
    struct session *b = fixture_session(f, "b", &second_conn);
    send_to(f, fixture_publisher(f, a), 1, PEER_BIT);
    send_to(f, fixture_publisher(f, b), 2, PEER_BIT);
    fixture_end(f, a);
    struct session *c = fixture_session(f, "c", &first_conn);
    (void)fixture_publisher(f, c); /* may take the same slot */
    fixture_drain(f, FIXTURE_PEER);
    release(f);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.packet_id, 2);
    fixture_end(f, b);
    fixture_end(f, c);
}

static void test_settle_refuse_all_tells_pubacks_that_wait(void **state)
{
    static const struct publisher_ack puback = {.packet_id = 2, .type = PACKET_PUBACK};
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    send_to(f, p, 1, PEER_BIT);
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_OTHER, true, 0));
    settle_acknowledge(&f->router.settle, &p->unsettled, &puback, OTHER_BIT, 0);
    send_to(f, p, 3, OTHER_BIT);
    fixture_drain(f, FIXTURE_PEER);
    settle_refuse_all(&f->router.settle, WHY_DISK);
    release(f);
    assert_int_equal(f->ack_count, 2);
    assert_int_equal(f->acks[0].ack.reason, WHY_TOPIC_RESERVED); /* it waited no more */
    assert_int_equal(f->acks[1].ack.reason, WHY_DISK);
    fixture_drain(f, FIXTURE_OTHER);
    release(f);
    assert_int_equal(f->ack_count, 3); /* QoS 2 waits for the disk */
    fixture_end(f, s);
}

/* Acknowledgements that each wait for a record of the journal of their own: a run
 * of those is refused, and then more single ones than are remembered at a time. */
static void test_settle_refuse_tells_who_waits_for_it(void **state)
{
    enum { COUNT = 200, FIRST = 1000 };
    struct fixture *f = *state;
    struct journal *journal = &f->router.journal;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher *p = fixture_publisher(f, s);
    journal->confirmed = FIRST - 1;
    for (unsigned i = 0; i < COUNT; i++) {
        struct publisher_ack ack = {.packet_id = (uint16_t)(i + 1), .type = PACKET_PUBACK};
        journal->serial = FIRST + i;
        settle_acknowledge(&f->router.settle, &p->unsettled, &ack, 0, journal->serial);
    }
    for (unsigned i = 0; i < COUNT; i++)
        if (i < 10 || i % 2 == 0)
            settle_refuse(&f->router.settle, FIRST + i, WHY_DISK);
    assert_int_equal(f->ack_count, 0);
    journal->confirmed = journal->serial;
    release(f);
    assert_int_equal(f->ack_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(f->acks[i].ack.reason, i < 10 || i % 2 == 0 ? WHY_DISK : REASON_SUCCESS);
    fixture_end(f, s);
}

/* Who keeps nothing of it need only take it: its disk is not waited for. */
static void test_settle_acknowledge_waits_till_takers_have_taken_it(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    struct publisher_ack ack = {.packet_id = 1, .type = PACKET_PUBACK, .takers = PEER_BIT};
    struct ring_record record;
    assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 0));
    settle_acknowledge(&f->router.settle, &fixture_publisher(f, s)->unsettled, &ack, PEER_BIT, 0);
    settle_refuse_all(&f->router.settle, WHY_DISK);
    settle_refuse_workers(&f->router.settle, WHY_DISK);
    release(f);
    assert_int_equal(f->ack_count, 0);
    assert_true(settle_may_sleep(&f->router.settle));
    assert_true(fixture_next(f, FIXTURE_PEER, &record));
    mesh_release(&f->ends[FIXTURE_PEER], FIXTURE_SELF);
    assert_false(settle_may_sleep(&f->router.settle));
    release(f);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.reason, REASON_SUCCESS);
    fixture_end(f, s);
}

static void test_settle_may_sleep_asks_for_the_bell(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &first_conn);
    uint64_t rung = 0;
    fixture_drain(f, FIXTURE_PEER);
    send_to(f, fixture_publisher(f, s), 1, PEER_BIT);
    bell_sleep(&f->router.mesh.bells[FIXTURE_SELF]);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_drain(f, FIXTURE_PEER);
    assert_int_equal(read(f->bell_fds[FIXTURE_SELF], &rung, sizeof(rung)), sizeof(rung));
    assert_false(settle_may_sleep(&f->router.settle));
    release(f);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_end(f, s);
}

/* Any of several first entries may be the one that gets on. */
static void test_settle_may_sleep_asks_every_worker(void **state)
{
    struct fixture *f = *state;
    struct session *a = fixture_session(f, "a", &first_conn);
    struct session *b = fixture_session(f, "b", &second_conn);
    uint64_t rung = 0;
    fixture_drain(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_OTHER);
    send_to(f, fixture_publisher(f, a), 1, PEER_BIT);
    send_to(f, fixture_publisher(f, b), 2, OTHER_BIT);
    bell_sleep(&f->router.mesh.bells[FIXTURE_SELF]);
    assert_true(settle_may_sleep(&f->router.settle));
    fixture_drain(f, FIXTURE_OTHER);
    assert_int_equal(read(f->bell_fds[FIXTURE_SELF], &rung, sizeof(rung)), sizeof(rung));
    assert_false(settle_may_sleep(&f->router.settle));
    fixture_end(f, a);
    fixture_end(f, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_settle_acknowledge_without_workers_is_at_once),
        FIXTURE_TEST(test_settle_acknowledge_waits_for_every_worker),
        FIXTURE_TEST(test_settle_acknowledge_does_not_wait_for_later_records),
        FIXTURE_TEST(test_settle_release_keeps_the_order_of_a_publisher),
        FIXTURE_TEST(test_settle_release_tells_publishers_apart),
        FIXTURE_TEST(test_settle_acknowledge_counts_pubacks),
        FIXTURE_TEST(test_settle_acknowledge_grows_across_the_wrap),
        FIXTURE_TEST(test_settle_release_sends_what_need_not_wait),
        FIXTURE_TEST(test_settle_release_passes_over_a_publisher_that_is_gone),
        FIXTURE_TEST(test_settle_refuse_all_tells_pubacks_that_wait),
        FIXTURE_TEST(test_settle_refuse_tells_who_waits_for_it),
        FIXTURE_TEST(test_settle_acknowledge_waits_till_takers_have_taken_it),
        FIXTURE_TEST(test_settle_may_sleep_asks_for_the_bell),
        FIXTURE_TEST(test_settle_may_sleep_asks_every_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
