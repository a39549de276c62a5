#include "worker/route/hold.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <string.h>

enum { OUTPUT_MAX = 8000, QUEUE_MAX = 160, HANDLE = 99 };

/* A session that subscribes, and one here that publishes to it. */
struct pair {
    struct fixture *f;
    struct session *subscriber;
    struct session *source;
    struct fake_conn conn;
    struct fake_conn source_conn;
    uint32_t handle;
};

static struct pair pair;

static struct pair *begin(void **state)
{
    struct fixture *f = *state;
    f->tunable.output_buffer_max = OUTPUT_MAX;
    f->tunable.queued_messages_max = QUEUE_MAX;
    pair.f = f;
    pair.subscriber = fixture_session(f, "subscriber", &pair.conn);
    pair.source = fixture_session(f, "source", &pair.source_conn);
    pair.handle = fixture_publisher(f, pair.source)->handle;
    return &pair;
}

static void end(struct pair *p)
{
    fixture_end(p->f, p->subscriber);
    fixture_end(p->f, p->source);
}

/* Bytes that wait for the subscriber's socket. */
static void congest(struct pair *p, size_t size)
{
    uint8_t *memory = conn_reserve(&p->conn.conn, size);
    memset(memory, 0, size);
    conn_commit(&p->conn.conn, size);
}

static void enqueue(struct pair *p, unsigned count)
{
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of(""));
    while (count-- > 0)
        session_enqueue(p->subscriber, delivery_new(m, QOS_AT_LEAST_ONCE, false, 0));
    message_put(m);
}

static void dequeue(struct pair *p, unsigned count)
{
    while (count-- > 0)
        delivery_free(session_dequeue(p->subscriber));
}

static void hold_source(struct pair *p)
{
    hold_publisher(&p->f->router, p->subscriber, FIXTURE_SELF, p->handle);
}

static void hold_remote(struct pair *p, uint32_t handle)
{
    hold_publisher(&p->f->router, p->subscriber, FIXTURE_PEER, handle);
}

static void update(struct pair *p)
{
    hold_update(&p->f->router, p->subscriber);
}

/* The next record to the peer; of this kind, and about this publisher. */
static void assert_told(struct pair *p, enum record_kind kind, uint32_t handle)
{
    struct ring_record record;
    uint32_t told;
    assert_true(fixture_next(p->f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, kind);
    assert_true(record_get_hold(&record, &told));
    assert_int_equal(told, handle);
}

static void assert_not_told(struct pair *p)
{
    struct ring_record record;
    assert_false(fixture_next(p->f, FIXTURE_PEER, &record));
}

static void test_hold_is_congested_by_output(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 4);
    assert_false(hold_is_congested(&p->f->router, p->subscriber));
    congest(p, 1);
    assert_true(hold_is_congested(&p->f->router, p->subscriber));
    end(p);
}

static void test_hold_is_congested_by_the_queue(void **state)
{
    struct pair *p = begin(state);
    enqueue(p, QUEUE_MAX / 8);
    assert_false(hold_is_congested(&p->f->router, p->subscriber));
    enqueue(p, 1);
    assert_true(hold_is_congested(&p->f->router, p->subscriber));
    end(p);
}

static void test_hold_is_congested_without_a_limit_of_the_queue(void **state)
{
    struct pair *p = begin(state);
    p->f->tunable.queued_messages_max = 0;
    enqueue(p, 125);
    assert_false(hold_is_congested(&p->f->router, p->subscriber));
    enqueue(p, 1);
    assert_true(hold_is_congested(&p->f->router, p->subscriber));
    end(p);
}

/* Who is away must not slow down those who publish to its queue. */
static void test_hold_is_congested_never_offline(void **state)
{
    struct pair *p = begin(state);
    enqueue(p, QUEUE_MAX);
    fixture_detach(p->f, p->subscriber, &p->conn);
    assert_false(hold_is_congested(&p->f->router, p->subscriber));
    end(p);
}

static void test_hold_publisher_here(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_source(p);
    assert_int_equal(p->source_conn.conn.holds, 1);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 1); /* not drained */
    fake_conn_drain(&p->conn);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 0);
    assert_null(p->subscriber->holding);
    assert_int_equal(p->subscriber->congested_since_ms, 0);
    end(p);
}

static void test_hold_update_waits_for_the_queue(void **state)
{
    struct pair *p = begin(state);
    enqueue(p, QUEUE_MAX / 8 + 1);
    hold_source(p);
    dequeue(p, QUEUE_MAX / 16);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 1);
    dequeue(p, 1);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 0);
    end(p);
}

static void test_hold_publisher_elsewhere(void **state)
{
    struct pair *p = begin(state);
    struct ring_record record;
    congest(p, OUTPUT_MAX / 2);
    hold_remote(p, HANDLE);
    /* Published at once: each message until it arrives is one more to keep. */
    assert_true(ring_next(&p->f->ends[FIXTURE_PEER].in[FIXTURE_SELF], &record));
    assert_int_equal(record.kind, RECORD_HOLD);
    hold_remote(p, HANDLE);
    assert_not_told(p);
    hold_remote(p, HANDLE + 1);
    assert_told(p, RECORD_HOLD, HANDLE + 1);
    fake_conn_drain(&p->conn);
    update(p);
    assert_told(p, RECORD_UNHOLD, HANDLE);
    assert_told(p, RECORD_UNHOLD, HANDLE + 1);
    assert_not_told(p);
    end(p);
}

static void test_hold_publisher_tells_workers_apart(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_remote(p, p->handle); /* the same number, somebody else */
    assert_told(p, RECORD_HOLD, p->handle);
    end(p);
}

static void test_hold_publisher_nobody(void **state)
{
    struct pair *p = begin(state);
    hold_remote(p, 0);
    assert_not_told(p);
    assert_int_equal(p->subscriber->congested_since_ms, 0);
    end(p);
}

static void test_hold_publisher_when_the_ring_is_full(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    fixture_fill(p->f, FIXTURE_PEER);
    hold_remote(p, HANDLE);
    fixture_drain(p->f, FIXTURE_PEER);
    assert_not_told(p);
    hold_remote(p, HANDLE); /* its next message */
    assert_told(p, RECORD_HOLD, HANDLE);
    end(p);
}

static void test_hold_retry_when_the_ring_was_full(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_remote(p, HANDLE);
    fake_conn_drain(&p->conn);
    fixture_fill(p->f, FIXTURE_PEER);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 0); /* for it there was room */
    hold_retry(&p->f->router);
    fixture_drain(p->f, FIXTURE_PEER);
    assert_false(list_is_empty(&p->f->router.holds));
    hold_retry(&p->f->router);
    assert_told(p, RECORD_UNHOLD, HANDLE);
    assert_true(list_is_empty(&p->f->router.holds));
    assert_null(p->subscriber->holding);
    end(p);
}

/* Time goes by, in which the subscriber takes some bytes but does not drain. */
static void get_on(struct pair *p, uint64_t ms)
{
    enum { STEP_MS = 100 };
    for (; ms > 0; ms -= ms < STEP_MS ? ms : STEP_MS) {
        fake_loop_advance(&p->f->loop, ms < STEP_MS ? ms : STEP_MS);
        p->conn.conn.sent_total++;
        hold_source(p);
    }
}

static void test_hold_publisher_gives_up_after_the_grace(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_remote(p, HANDLE);
    assert_told(p, RECORD_HOLD, HANDLE);
    get_on(p, HOLD_GRACE_MS);
    assert_false(p->subscriber->is_slow);
    get_on(p, 1);
    assert_true(p->subscriber->is_slow);
    assert_int_equal(p->source_conn.conn.holds, 0);
    assert_told(p, RECORD_UNHOLD, HANDLE);
    hold_source(p);
    hold_remote(p, HANDLE);
    assert_int_equal(p->source_conn.conn.holds, 0);
    assert_not_told(p);
    end(p);
}

/* Who takes nothing at all gets less patience. */
static void test_hold_publisher_gives_up_on_a_stalled_client(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    p->conn.conn.sent_total++; /* moves at first */
    fake_loop_advance(&p->f->loop, HOLD_STALL_MS);
    hold_source(p);
    assert_false(p->subscriber->is_slow);
    fake_loop_advance(&p->f->loop, HOLD_STALL_MS - 1);
    hold_source(p);
    assert_false(p->subscriber->is_slow);
    fake_loop_advance(&p->f->loop, 1);
    hold_source(p);
    assert_true(p->subscriber->is_slow);
    end(p);
}

/* A hold ends by itself; whose messages come again is asked again. */
static void test_hold_publisher_asks_again(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_remote(p, HANDLE);
    assert_told(p, RECORD_HOLD, HANDLE);
    p->conn.conn.sent_total++;
    fake_loop_advance(&p->f->loop, PUBLISHER_HOLD_MAX_MS);
    assert_int_equal(p->source_conn.conn.holds, 0);
    hold_source(p);
    hold_remote(p, HANDLE);
    assert_int_equal(p->source_conn.conn.holds, 1);
    assert_told(p, RECORD_HOLD, HANDLE);
    fake_conn_drain(&p->conn);
    update(p);
    assert_int_equal(p->source_conn.conn.holds, 0);
    assert_told(p, RECORD_UNHOLD, HANDLE);
    assert_not_told(p);
    end(p);
}

static void test_hold_update_ends_the_penalty(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    fake_loop_advance(&p->f->loop, HOLD_GRACE_MS + 1);
    hold_source(p);
    fake_loop_advance(&p->f->loop, HOLD_PENALTY_MS);
    update(p);
    assert_true(p->subscriber->is_slow); /* not drained */
    fake_conn_drain(&p->conn);
    update(p);
    assert_false(p->subscriber->is_slow);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    assert_int_equal(p->source_conn.conn.holds, 1);
    end(p);
}

static void test_hold_update_keeps_the_penalty(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    fake_loop_advance(&p->f->loop, HOLD_GRACE_MS + 1);
    hold_source(p);
    fake_conn_drain(&p->conn);
    fake_loop_advance(&p->f->loop, HOLD_PENALTY_MS - 1);
    update(p);
    assert_true(p->subscriber->is_slow);
    end(p);
}

static void test_hold_release_lets_all_go(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_source(p);
    hold_remote(p, HANDLE);
    hold_release(&p->f->router, p->subscriber);
    assert_int_equal(p->source_conn.conn.holds, 0);
    assert_told(p, RECORD_HOLD, HANDLE);
    assert_told(p, RECORD_UNHOLD, HANDLE);
    assert_null(p->subscriber->holding);
    end(p);
}

/* Whom a full ring keeps from being told goes on by itself. */
static void test_hold_release_with_a_full_ring(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    hold_remote(p, HANDLE);
    fixture_fill(p->f, FIXTURE_PEER);
    hold_release(&p->f->router, p->subscriber);
    assert_null(p->subscriber->holding);
    assert_true(list_is_empty(&p->f->router.holds));
    end(p);
}

static void test_hold_publisher_is_bounded(void **state)
{
    struct pair *p = begin(state);
    congest(p, OUTPUT_MAX / 2);
    for (uint32_t i = 1; i <= HOLD_PUBLISHERS_MAX + 10; i++) {
        hold_remote(p, i);
        if (i % 1000 == 0)
            fixture_drain(p->f, FIXTURE_PEER);
    }
    fixture_drain(p->f, FIXTURE_PEER);
    hold_release(&p->f->router, p->subscriber);
    assert_int_equal(fixture_drain(p->f, FIXTURE_PEER), HOLD_PUBLISHERS_MAX);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_hold_is_congested_by_output),
        FIXTURE_TEST(test_hold_is_congested_by_the_queue),
        FIXTURE_TEST(test_hold_is_congested_without_a_limit_of_the_queue),
        FIXTURE_TEST(test_hold_is_congested_never_offline),
        FIXTURE_TEST(test_hold_publisher_here),
        FIXTURE_TEST(test_hold_update_waits_for_the_queue),
        FIXTURE_TEST(test_hold_publisher_elsewhere),
        FIXTURE_TEST(test_hold_publisher_tells_workers_apart),
        FIXTURE_TEST(test_hold_publisher_nobody),
        FIXTURE_TEST(test_hold_publisher_when_the_ring_is_full),
        FIXTURE_TEST(test_hold_retry_when_the_ring_was_full),
        FIXTURE_TEST(test_hold_publisher_gives_up_after_the_grace),
        FIXTURE_TEST(test_hold_publisher_gives_up_on_a_stalled_client),
        FIXTURE_TEST(test_hold_publisher_asks_again),
        FIXTURE_TEST(test_hold_update_ends_the_penalty),
        FIXTURE_TEST(test_hold_update_keeps_the_penalty),
        FIXTURE_TEST(test_hold_release_lets_all_go),
        FIXTURE_TEST(test_hold_release_with_a_full_ring),
        FIXTURE_TEST(test_hold_publisher_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
