/* A retained publication: the store's record comes before the look-up. */
#include "worker/route/route.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/replay.h"

#include <string.h>

static struct fake_conn conn;

static const struct publisher_ack ACK = {.packet_id = 3, .type = PACKET_PUBACK};

/* A client here that publishes, and subscribes to its own topic. */
static struct session *begin(struct fixture *f)
{
    struct session *s = fixture_session(f, "a", &conn);
    fixture_drain(f, FIXTURE_STORE);
    fixture_want(f, "t", FIXTURE_PEER);
    (void)fixture_publisher(f, s);
    return s;
}

static struct route_result publish(struct fixture *f, struct session *s)
{
    struct publication p = {
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
        .message_id = 5,
        .publisher_session = s,
        .publisher = s->publisher->handle,
        .qos = QOS_AT_LEAST_ONCE,
        .origin = FIXTURE_SELF,
        .retain = true,
    };
    struct route_result result = route_publish(&f->router, &p);
    publication_done(&p);
    return result;
}

static void retry(struct fixture *f)
{
    (void)outbound_retry(&f->router.outbound);
}

/* Is there a published record in the ring to the slot? */
static bool is_visible(struct fixture *f, unsigned slot)
{
    return ring_has_next(&f->ends[slot].in[FIXTURE_SELF]);
}

static struct record_message next(struct fixture *f, unsigned slot)
{
    struct record_message message;
    assert_true(fixture_next_message(f, slot, &message));
    return message;
}

static unsigned count(void)
{
    struct fake_packet packet;
    unsigned n = 0;
    while (fake_conn_next(&conn, &packet))
        n++;
    return n;
}

static void test_route_publish_retained_shows_the_store_first(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    fixture_drain(f, FIXTURE_STORE);
    assert_int_equal(publish(f, s).workers, 1 << FIXTURE_PEER);
    assert_true(is_visible(f, FIXTURE_STORE));
    assert_false(is_visible(f, FIXTURE_PEER)); /* at the end of the turn */
    struct record_message kept = next(f, FIXTURE_STORE);
    assert_int_equal(kept.purpose, RECORD_FOR_RETAIN);
    assert_int_equal(kept.message_id, 5);
    assert_bytes(kept.topic, "t");
    assert_bytes(kept.payload, "payload");
    struct record_message forwarded = next(f, FIXTURE_PEER);
    assert_int_equal(forwarded.purpose, RECORD_FOR_DELIVERY);
    assert_true(forwarded.retain);
    assert_int_equal(count(), 1);
    fixture_end(f, s);
}

static void test_route_publish_retained_waits_for_the_store(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    fixture_fill(f, FIXTURE_STORE);
    struct route_result result = publish(f, s);
    assert_true(result.is_matched);
    assert_int_equal(result.workers, 0);
    assert_int_equal(count(), 0);
    retry(f);
    mesh_publish(&f->router.mesh);
    assert_false(is_visible(f, FIXTURE_PEER));
    assert_int_equal(conn.conn.holds, 1);
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    assert_true(is_visible(f, FIXTURE_STORE));
    assert_false(is_visible(f, FIXTURE_PEER));
    assert_int_equal(next(f, FIXTURE_STORE).message_id, 5);
    assert_int_equal(next(f, FIXTURE_PEER).message_id, 5);
    assert_int_equal(count(), 1);
    assert_int_equal(conn.conn.holds, 0);
    retry(f);
    mesh_publish(&f->router.mesh);
    assert_false(is_visible(f, FIXTURE_PEER));
    fixture_end(f, s);
}

/* The routes are looked up when the record is in, not before. */
static void test_route_publish_retained_sees_who_came_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_fill(f, FIXTURE_STORE);
    (void)publish(f, s);
    fixture_want(f, "t", FIXTURE_OTHER);
    generation_raise_filter(&f->region, bytes_of("t"));
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    (void)next(f, FIXTURE_PEER);
    (void)next(f, FIXTURE_OTHER);
    fixture_end(f, s);
}

static void test_route_publish_retained_no_local_after_waiting(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE)->no_local = true;
    fixture_fill(f, FIXTURE_STORE);
    (void)publish(f, s);
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    assert_int_equal(count(), 0);
    fixture_end(f, s);
}

/* The acknowledgement waits for those whom the message reached in the end. */
static void test_route_publish_retained_is_settled_after_waiting(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_fill(f, FIXTURE_STORE);
    uint64_t workers = publish(f, s).workers;
    publishers_acknowledge(s->publisher, &ACK, workers, 0);
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    mesh_publish(&f->router.mesh);
    settle_release(&f->router.settle);
    assert_int_equal(f->ack_count, 0);
    fixture_drain(f, FIXTURE_PEER);
    settle_release(&f->router.settle);
    assert_int_equal(f->ack_count, 1);
    assert_int_equal(f->acks[0].ack.packet_id, ACK.packet_id);
    fixture_end(f, s);
}

/* It waits for the store, and then for a worker. */
static void test_route_publish_retained_waits_twice(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    fixture_fill(f, FIXTURE_STORE);
    fixture_fill(f, FIXTURE_PEER);
    publishers_acknowledge(s->publisher, &ACK, publish(f, s).workers, 0);
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    assert_int_equal(conn.conn.holds, 1);
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    assert_int_equal(conn.conn.holds, 0);
    assert_int_equal(f->ack_count, 0);
    fixture_drain(f, FIXTURE_PEER);
    settle_release(&f->router.settle);
    assert_int_equal(f->ack_count, 1);
    fixture_end(f, s);
}

/* Its handle must mean nobody else as long as something waits in its name. */
static void test_route_publish_retained_outlives_its_publisher(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    struct publishers *publishers = &f->router.publishers;
    uint32_t index = s->publisher->handle & ((1 << 22) - 1);
    fixture_fill(f, FIXTURE_STORE);
    fixture_fill(f, FIXTURE_PEER);
    (void)publish(f, s);
    fixture_end(f, s);
    assert_non_null(publishers->slots[index]);
    fixture_drain(f, FIXTURE_STORE);
    retry(f);
    assert_non_null(publishers->slots[index]);
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    assert_null(publishers->slots[index]);
    assert_int_equal(next(f, FIXTURE_PEER).message_id, 5);
}

/* What comes live is newer than what a replay has yet to send. */
static void test_route_publish_retained_overtakes_a_replay(void **state)
{
    struct fixture *f = *state;
    struct session *s = begin(f);
    struct fake_packet packet;
    struct subscription *mine = fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    fixture_retain(f, "t", "old", 0);
    replay_start(&f->router, mine, bytes_of("t"));
    (void)publish(f, s);
    (void)replay_step(&f->router);
    assert_true(fake_conn_next(&conn, &packet));
    assert_bytes(packet.payload, "payload");
    assert_int_equal(count(), 0);
    fixture_end(f, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_route_publish_retained_shows_the_store_first),
        FIXTURE_TEST_LIVE(test_route_publish_retained_waits_for_the_store),
        FIXTURE_TEST_LIVE(test_route_publish_retained_sees_who_came_meanwhile),
        FIXTURE_TEST_LIVE(test_route_publish_retained_no_local_after_waiting),
        FIXTURE_TEST_LIVE(test_route_publish_retained_is_settled_after_waiting),
        FIXTURE_TEST_LIVE(test_route_publish_retained_waits_twice),
        FIXTURE_TEST_LIVE(test_route_publish_retained_outlives_its_publisher),
        FIXTURE_TEST_LIVE(test_route_publish_retained_overtakes_a_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
