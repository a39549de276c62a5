#include "worker/route/replay.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/deliver.h"

#include <stdio.h>
#include <string.h>

enum { STEP = 64 /* messages per turn, as in replay.c */, ID = 33 };

static struct fake_conn conn;

struct client {
    struct fixture *f;
    struct session *session;
};

static struct client begin(void **state)
{
    struct client c = {.f = *state};
    c.session = fixture_session(c.f, "client", &conn);
    return c;
}

static void retain_many(struct client *c, const char *parent, unsigned count)
{
    char topic[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(topic, sizeof(topic), "%s/%03u", parent, i);
        fixture_retain(c->f, topic, "payload", 0);
    }
}

static void start(struct client *c, const char *filter, enum qos qos)
{
    struct subscription *s = fixture_subscribe(c->f, c->session, filter, qos);
    s->id = ID;
    replay_start(&c->f->router, s, bytes_of(filter));
}

static bool step(struct client *c)
{
    return replay_step(&c->f->router);
}

/* Packets that were sent since the last call. */
static unsigned count_sent(void)
{
    struct fake_packet packet;
    unsigned count = 0;
    while (fake_conn_next(&conn, &packet))
        count++;
    return count;
}

static void assert_sent(const char *topic)
{
    struct fake_packet packet;
    assert_true(fake_conn_next(&conn, &packet));
    assert_bytes(packet.topic, topic);
}

static void test_replay_step_sends_what_matches(void **state)
{
    struct client c = begin(state);
    struct fake_packet packet;
    fixture_retain(c.f, "a/1", "one", 0);
    fixture_retain(c.f, "b/1", "other", 0);
    start(&c, "a/+", QOS_EXACTLY_ONCE);
    assert_false(step(&c));
    assert_true(fake_conn_next(&conn, &packet));
    assert_bytes(packet.topic, "a/1");
    assert_bytes(packet.payload, "one");
    assert_bytes(packet.properties, "\x0B\x21");
    assert_int_equal(packet.qos, QOS_AT_LEAST_ONCE); /* as published */
    assert_true(packet.retain);
    assert_int_equal(count_sent(), 0);
    assert_true(list_is_empty(&c.session->replays));
    assert_true(list_is_empty(&c.f->router.replays));
    fixture_end(c.f, c.session);
}

static void test_replay_step_with_a_lower_qos(void **state)
{
    struct client c = begin(state);
    struct fake_packet packet;
    fixture_retain(c.f, "a", "one", 0);
    start(&c, "a", QOS_AT_MOST_ONCE);
    step(&c);
    assert_true(fake_conn_next(&conn, &packet));
    assert_int_equal(packet.qos, QOS_AT_MOST_ONCE);
    fixture_end(c.f, c.session);
}

static void test_replay_step_is_bounded(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", STEP + 10);
    start(&c, "#", QOS_AT_MOST_ONCE);
    assert_true(step(&c));
    assert_int_equal(count_sent(), STEP);
    assert_false(step(&c));
    assert_int_equal(count_sent(), 10);
    assert_false(step(&c));
    fixture_end(c.f, c.session);
}

static void test_replay_step_waits_for_the_window(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 3);
    c.session->window = 1;
    start(&c, "#", QOS_AT_LEAST_ONCE);
    assert_false(step(&c));
    assert_int_equal(count_sent(), 1);
    assert_int_equal(c.session->queued_count, 1);
    assert_false(step(&c));
    assert_int_equal(c.session->queued_count, 1); /* the rest stays in the store */
    c.session->window = 100;
    delivery_free(session_dequeue(c.session));
    step(&c);
    assert_int_equal(count_sent(), 1);
    fixture_end(c.f, c.session);
}

static void test_replay_step_waits_while_congested(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 20);
    c.f->tunable.output_buffer_max = 400;
    start(&c, "#", QOS_AT_MOST_ONCE);
    assert_false(step(&c));
    unsigned before = count_sent();
    assert_in_range(before, 2, 19);
    assert_false(step(&c));
    assert_int_equal(count_sent(), 0);
    fake_conn_drain(&conn);
    for (unsigned i = 0; i < 20; i++) {
        step(&c);
        fake_conn_drain(&conn);
    }
    assert_int_equal(before + count_sent(), 20);
    fixture_end(c.f, c.session);
}

static void test_replay_step_waits_for_suback(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 1);
    start(&c, "#", QOS_AT_MOST_ONCE);
    c.session->pending = (void *)&c;
    assert_false(step(&c));
    assert_int_equal(count_sent(), 0);
    c.session->pending = NULL;
    step(&c);
    assert_int_equal(count_sent(), 1);
    fixture_end(c.f, c.session);
}

static void test_replay_saw_suppresses_the_older_message(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 3);
    start(&c, "#", QOS_AT_MOST_ONCE);
    replay_saw(c.session, bytes_of("a/001"));
    replay_saw(c.session, bytes_of("a/001"));
    step(&c);
    assert_sent("a/000");
    assert_sent("a/002");
    assert_int_equal(count_sent(), 0);
    fixture_end(c.f, c.session);
}

/* It may be older: what another member left behind. */
static void test_replay_saw_not_told_of_a_groups_message(void **state)
{
    struct client c = begin(state);
    struct publication old = {.topic = bytes_of("a"), .payload = bytes_of("old"), .retain = true};
    fixture_retain(c.f, "a", "new", 0);
    start(&c, "#", QOS_AT_MOST_ONCE);
    deliver_live(&c.f->router, fixture_subscribe(c.f, c.session, "$share/g/a", QOS_AT_MOST_ONCE),
                 &old);
    assert_int_equal(count_sent(), 1);
    step(&c);
    assert_sent("a");
    fixture_end(c.f, c.session);
}

static void test_replay_step_leaves_out_what_expired(void **state)
{
    struct client c = begin(state);
    fixture_retain(c.f, "a", "one", FIXTURE_START_MS);
    fixture_retain(c.f, "b", "two", FIXTURE_START_MS + 1);
    start(&c, "#", QOS_AT_MOST_ONCE);
    step(&c);
    assert_sent("b");
    assert_int_equal(count_sent(), 0);
    fixture_end(c.f, c.session);
}

static void test_replay_stop_by_filter(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 2);
    retain_many(&c, "b", 2);
    start(&c, "a/+", QOS_AT_MOST_ONCE);
    start(&c, "b/+", QOS_AT_MOST_ONCE);
    replay_stop(c.session, bytes_of("a/+"));
    while (step(&c))
        continue;
    assert_sent("b/000");
    assert_sent("b/001");
    assert_int_equal(count_sent(), 0);
    fixture_end(c.f, c.session);
}

static void test_replay_stop_all(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", STEP + 1);
    start(&c, "a/+", QOS_AT_MOST_ONCE);
    start(&c, "#", QOS_AT_MOST_ONCE);
    assert_true(step(&c));
    replay_stop(c.session, bytes_of(""));
    assert_true(list_is_empty(&c.session->replays));
    assert_true(list_is_empty(&c.f->router.replays));
    assert_false(step(&c));
    assert_int_equal(count_sent(), STEP);
    fixture_end(c.f, c.session);
}

/* Of a session's replays one is at work; when it ends, the next one begins
 * without waiting for anything else to happen. */
static void test_replay_step_goes_on_with_the_next_filter(void **state)
{
    struct client c = begin(state);
    retain_many(&c, "a", 2);
    retain_many(&c, "b", 2);
    start(&c, "a/+", QOS_AT_MOST_ONCE);
    start(&c, "b/+", QOS_AT_MOST_ONCE);
    unsigned turns = 1;
    while (step(&c))
        turns++;
    assert_in_range(turns, 1, 3);
    assert_int_equal(count_sent(), 4);
    fixture_end(c.f, c.session);
}

static void test_replay_step_serves_sessions_side_by_side(void **state)
{
    struct client c = begin(state);
    static struct fake_conn other_conn;
    struct client other = {c.f, fixture_session(c.f, "other", &other_conn)};
    struct fake_packet packet;
    retain_many(&c, "a", STEP * 2);
    start(&c, "#", QOS_AT_MOST_ONCE);
    start(&other, "a/001", QOS_AT_MOST_ONCE);
    assert_true(step(&c));
    assert_int_equal(count_sent(), STEP);
    assert_true(fake_conn_next(&other_conn, &packet));
    fixture_end(c.f, c.session);
    fixture_end(c.f, other.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_replay_step_sends_what_matches),
        FIXTURE_TEST_LIVE(test_replay_step_with_a_lower_qos),
        FIXTURE_TEST_LIVE(test_replay_step_is_bounded),
        FIXTURE_TEST_LIVE(test_replay_step_waits_for_the_window),
        FIXTURE_TEST_LIVE(test_replay_step_waits_while_congested),
        FIXTURE_TEST_LIVE(test_replay_step_waits_for_suback),
        FIXTURE_TEST_LIVE(test_replay_saw_suppresses_the_older_message),
        FIXTURE_TEST_LIVE(test_replay_saw_not_told_of_a_groups_message),
        FIXTURE_TEST_LIVE(test_replay_step_leaves_out_what_expired),
        FIXTURE_TEST_LIVE(test_replay_stop_by_filter),
        FIXTURE_TEST_LIVE(test_replay_stop_all),
        FIXTURE_TEST_LIVE(test_replay_step_goes_on_with_the_next_filter),
        FIXTURE_TEST_LIVE(test_replay_step_serves_sessions_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
