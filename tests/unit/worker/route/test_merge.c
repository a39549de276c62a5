#include "worker/route/merge.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/route.h"

#include <string.h>

static struct fake_conn conn;
static struct fake_conn second_conn;

static int set_up(void **state)
{
    int error = fixture_set_up_live(state);
    struct fixture *f = *state;
    f->tunable.allow_duplicate_messages = false;
    fixture_want(f, "t", FIXTURE_SELF);
    return error;
}

/* A message of QoS 1 for "t", from `publisher` if not NULL. */
static void publish(struct fixture *f, const struct session *publisher, bool retain)
{
    struct publication p = {
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
        .message_id = 1,
        .publisher_session = publisher,
        .origin = FIXTURE_SELF,
        .qos = QOS_AT_LEAST_ONCE,
        .retain = retain,
    };
    (void)route_publish(&f->router, &p);
    publication_done(&p);
}

static void assert_next(struct fake_conn *c, enum qos qos, bool retain, const char *properties)
{
    struct fake_packet packet;
    assert_true(fake_conn_next(c, &packet));
    assert_int_equal(packet.qos, qos);
    assert_int_equal(packet.retain, retain);
    assert_bytes(packet.payload, "payload");
    assert_bytes(packet.properties, properties);
}

static void assert_none(struct fake_conn *c)
{
    struct fake_packet packet;
    assert_false(fake_conn_next(c, &packet));
}

static void test_merge_deliver_one_copy_at_the_highest_qos(void **state)
{
    struct fixture *f = *state;
    struct session *a = fixture_session(f, "a", &conn);
    struct session *b = fixture_session(f, "b", &second_conn);
    fixture_subscribe(f, a, "t", QOS_AT_MOST_ONCE);
    fixture_subscribe(f, b, "t", QOS_AT_MOST_ONCE);
    fixture_subscribe(f, a, "+", QOS_EXACTLY_ONCE);
    fixture_subscribe(f, a, "#", QOS_AT_MOST_ONCE);
    publish(f, NULL, false);
    assert_next(&conn, QOS_AT_LEAST_ONCE, false, "");
    assert_none(&conn);
    assert_next(&second_conn, QOS_AT_MOST_ONCE, false, "");
    assert_none(&second_conn);
    fixture_end(f, a);
    fixture_end(f, b);
}

/* A queued copy keeps them too. */
static void test_merge_deliver_all_identifiers(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE)->id = 5;
    fixture_subscribe(f, s, "+", QOS_AT_MOST_ONCE)->id = 5;
    struct subscription *none = fixture_subscribe(f, s, "#", QOS_AT_MOST_ONCE);
    publish(f, NULL, false);
    assert_next(&conn, QOS_AT_MOST_ONCE, false, "\x0b\x05\x0b\x05");
    none->qos = QOS_AT_LEAST_ONCE;
    publish(f, NULL, false);
    assert_next(&conn, QOS_AT_LEAST_ONCE, false, "\x0b\x05\x0b\x05");
    assert_none(&conn);
    fixture_end(f, s);
}

/* What No Local excludes adds neither QoS nor identifier. */
static void test_merge_deliver_no_local(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct subscription *local = fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    struct subscription *other = fixture_subscribe(f, s, "+", QOS_AT_LEAST_ONCE);
    local->id = 1;
    other->id = 2;
    other->no_local = true;
    publish(f, s, false);
    assert_next(&conn, QOS_AT_MOST_ONCE, false, "\x0b\x01");
    local->no_local = true;
    publish(f, s, false);
    assert_none(&conn);
    publish(f, NULL, false);
    struct fake_packet packet;
    assert_true(fake_conn_next(&conn, &packet));
    assert_int_equal(packet.properties.size, 4);
    assert_none(&conn);
    fixture_end(f, s);
}

static void test_merge_deliver_retain_as_published(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    struct subscription *other = fixture_subscribe(f, s, "+", QOS_AT_MOST_ONCE);
    publish(f, NULL, true);
    assert_next(&conn, QOS_AT_MOST_ONCE, false, "");
    other->retain_as_published = true;
    publish(f, NULL, true);
    assert_next(&conn, QOS_AT_MOST_ONCE, true, "");
    assert_none(&conn);
    fixture_end(f, s);
}

static void test_merge_deliver_not_when_duplicates_are_allowed(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    f->tunable.allow_duplicate_messages = true;
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE)->id = 1;
    fixture_subscribe(f, s, "+", QOS_AT_LEAST_ONCE)->id = 1;
    publish(f, NULL, false);
    struct fake_packet packet;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(fake_conn_next(&conn, &packet));
        assert_bytes(packet.properties, "\x0b\x01");
    }
    assert_none(&conn);
    fixture_end(f, s);
}

#define MERGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(test_merge_deliver_one_copy_at_the_highest_qos),
        MERGE_TEST(test_merge_deliver_all_identifiers),
        MERGE_TEST(test_merge_deliver_no_local),
        MERGE_TEST(test_merge_deliver_retain_as_published),
        MERGE_TEST(test_merge_deliver_not_when_duplicates_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
