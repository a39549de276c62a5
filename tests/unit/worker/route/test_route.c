#include "worker/route/route.h"

#include "shm/live/live_internal.h"
#include "shm/live/trie.h"
#include "shm/live/trie_key.h"
#include "tests/unit/worker/route/route_fixture.h"

#include <string.h>

static struct fake_conn conn;
static struct fake_conn second_conn;

static struct publication publication(const char *topic)
{
    return (struct publication){
        .topic = bytes_of(topic),
        .payload = bytes_of("payload"),
        .message_id = 1,
        .qos = QOS_AT_LEAST_ONCE,
        .origin = FIXTURE_SELF,
    };
}

static struct route_result publish(struct fixture *f, const char *topic)
{
    struct publication p = publication(topic);
    struct route_result result = route_publish(&f->router, &p);
    publication_done(&p);
    return result;
}

static void arrive(struct fixture *f, const char *topic, bool plain, struct bytes groups)
{
    struct publication p = publication(topic);
    p.origin = FIXTURE_PEER;
    route_arrival(&f->router, &p, plain, groups);
    publication_done(&p);
}

static struct bytes id_bytes(const struct hash128 *id)
{
    return (struct bytes){id->bytes, sizeof(id->bytes)};
}

/* The next message to the slot. */
static struct record_message next(struct fixture *f, unsigned slot)
{
    struct record_message message;
    assert_true(fixture_next_message(f, slot, &message));
    return message;
}

static void assert_none(struct fixture *f, unsigned slot)
{
    struct record_message message;
    assert_false(fixture_next_message(f, slot, &message));
}

static unsigned count(struct fake_conn *c)
{
    struct fake_packet packet;
    unsigned n = 0;
    while (fake_conn_next(c, &packet))
        n++;
    return n;
}

/* -- plain subscriptions -- */

static void test_route_publish_to_other_workers_once_each(void **state)
{
    struct fixture *f = *state;
    fixture_want(f, "a/+", FIXTURE_PEER);
    fixture_want(f, "a/b", FIXTURE_PEER);
    fixture_want(f, "#", FIXTURE_OTHER);
    for (unsigned i = 0; i < 2; i++) { /* looked up, then from the cache */
        struct route_result result = publish(f, "a/b");
        assert_true(result.is_matched);
        assert_int_equal(result.workers, 1 << FIXTURE_PEER | 1 << FIXTURE_OTHER);
        for (unsigned slot = FIXTURE_PEER; slot <= FIXTURE_OTHER; slot++) {
            struct record_message message = next(f, slot);
            assert_int_equal(message.purpose, RECORD_FOR_DELIVERY);
            assert_bytes(message.topic, "a/b");
            assert_bytes(message.payload, "payload");
            assert_int_equal(message.qos, QOS_AT_LEAST_ONCE);
            assert_true(message.plain);
            assert_int_equal(message.groups.size, 0);
            assert_none(f, slot);
        }
    }
    assert_int_equal(fixture_stat(f, STAT_route_misses), 1);
    assert_int_equal(fixture_stat(f, STAT_route_hits), 1);
    assert_int_equal(fixture_stat(f, STAT_forwarded), 4);
}

/* A worker with a session that stays, or with a group, has something to keep. */
static void test_route_publish_tells_who_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    bool changed;
    fixture_want(f, "t/+", FIXTURE_PEER);
    fixture_want(f, "#", FIXTURE_OTHER);
    assert_int_equal(
        trie_set(f->router.live, bytes_of("t/kept"), FIXTURE_PEER, true, true, &changed), 0);
    (void)fixture_want_group(f, "$share/g/t/shared", FIXTURE_OTHER, 1);
    for (unsigned i = 0; i < 2; i++) /* looked up, then from the cache */
        assert_int_equal(publish(f, "t/x").takers, 1 << FIXTURE_PEER | 1 << FIXTURE_OTHER);
    assert_int_equal(publish(f, "t/kept").takers, 1 << FIXTURE_OTHER);
    assert_int_equal(publish(f, "t/shared").takers, 1 << FIXTURE_PEER);
}

static void test_route_publish_to_own_subscribers(void **state)
{
    struct fixture *f = *state;
    struct session *a = fixture_session(f, "a", &conn);
    struct session *b = fixture_session(f, "b", &second_conn);
    fixture_want(f, "t", FIXTURE_SELF);
    fixture_subscribe(f, a, "t", QOS_AT_MOST_ONCE);
    fixture_subscribe(f, b, "t", QOS_AT_MOST_ONCE);
    fixture_subscribe(f, b, "+", QOS_AT_MOST_ONCE);
    struct route_result result = publish(f, "t");
    assert_true(result.is_matched);
    assert_int_equal(result.workers, 0);
    assert_int_equal(count(&conn), 1);
    assert_int_equal(count(&second_conn), 2); /* one for each subscription */
    fixture_end(f, a);
    fixture_end(f, b);
}

static void test_route_publish_to_nobody(void **state)
{
    struct fixture *f = *state;
    fixture_want(f, "a", FIXTURE_PEER);
    struct route_result result = publish(f, "b");
    assert_false(result.is_matched);
    assert_int_equal(result.workers, 0);
    assert_none(f, FIXTURE_PEER);
}

static void test_route_publish_no_local(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct publication p = publication("t");
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE)->no_local = true;
    p.publisher_session = s;
    (void)route_publish(&f->router, &p);
    assert_int_equal(count(&conn), 0);
    (void)publish(f, "t");
    assert_int_equal(count(&conn), 1);
    fixture_end(f, s);
}

/* A message that must wait is copied once, for all. */
static void test_route_publish_when_rings_are_full(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct publication p = publication("t");
    fixture_want(f, "t", FIXTURE_PEER);
    fixture_want(f, "t", FIXTURE_OTHER);
    for (unsigned i = FIXTURE_PEER; i <= FIXTURE_OTHER; i++) {
        fixture_fill(f, i);
        (void)publish(f, "t"); /* from now on the ring is known to be full */
    }
    p.publisher = fixture_publisher(f, s)->handle;
    assert_int_equal(route_publish(&f->router, &p).workers, 1 << FIXTURE_PEER | 1 << FIXTURE_OTHER);
    assert_int_equal(p.message->references, 3);
    assert_int_equal(conn.conn.holds, 1);
    publication_done(&p);
    fixture_drain(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_OTHER);
    (void)outbound_retry(&f->router.outbound);
    assert_int_equal(conn.conn.holds, 0);
    fixture_end(f, s);
}

/* -- the cache -- */

static void test_route_publish_looks_up_when_generations_move(void **state)
{
    struct fixture *f = *state;
    assert_false(publish(f, "a/b").is_matched);
    fixture_want(f, "a/+", FIXTURE_PEER);
    assert_false(publish(f, "a/b").is_matched); /* the store has told nobody yet */
    generation_raise_filter(&f->region, bytes_of("a/+"));
    assert_true(publish(f, "a/b").is_matched);
    fixture_want(f, "#", FIXTURE_OTHER);
    generation_raise_filter(&f->region, bytes_of("#"));
    assert_int_equal(publish(f, "a/b").workers, 1 << FIXTURE_PEER | 1 << FIXTURE_OTHER);
    generation_raise_filter(&f->region, bytes_of("#"));
    generation_raise_filter(&f->region, bytes_of("+/x"));
    assert_int_equal(fixture_stat(f, STAT_route_hits), 1);
}

static void test_route_publish_sees_own_changes_at_once(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    (void)publish(f, "a/b");
    struct subscription *exact = fixture_subscribe(f, s, "a/b", QOS_AT_MOST_ONCE);
    (void)publish(f, "a/b");
    assert_int_equal(count(&conn), 1);
    fixture_subscribe(f, s, "+/b", QOS_AT_MOST_ONCE);
    (void)publish(f, "a/b");
    assert_int_equal(count(&conn), 2);
    filters_remove(&f->router.filters, exact); /* its node is freed */
    (void)publish(f, "a/b");
    assert_int_equal(count(&conn), 1);
    fixture_end(f, s);
}

static void test_route_publish_topic_too_long_for_the_cache(void **state)
{
    struct fixture *f = *state;
    char topic[CACHE_TOPIC_MAX + 2];
    memset(topic, 'a', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    fixture_want(f, "#", FIXTURE_PEER);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(publish(f, topic).workers, 1 << FIXTURE_PEER);
        assert_int_equal(next(f, FIXTURE_PEER).topic.size, CACHE_TOPIC_MAX + 1);
    }
    assert_int_equal(fixture_stat(f, STAT_route_misses), 2);
}

/* When the trie can't be read, every worker gets the message and matches it
 * itself; and that answer is not kept. */
static void test_route_publish_without_the_trie(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct live *live = f->router.live;
    struct trie_key root;
    struct bytes value;
    uint8_t good[64];
    fixture_want(f, "t", FIXTURE_PEER);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    trie_key_edge(&root, LIVE_TRIE, TRIE_KEY_NOWHERE, bytes_of(""), live_hash_key(live));
    assert_int_equal(live_get(live, trie_key_bytes(&root), &value), 0);
    assert_true(value.size <= sizeof(good));
    memcpy(good, value.data, value.size);
    value.data = good;
    assert_int_equal(live_put(live, trie_key_bytes(&root), bytes_of("x")), 0);
    assert_int_equal(publish(f, "t").workers, 1 << FIXTURE_PEER | 1 << FIXTURE_OTHER);
    assert_true(next(f, FIXTURE_OTHER).plain);
    assert_int_equal(count(&conn), 1);
    assert_int_equal(live_put(live, trie_key_bytes(&root), value), 0);
    assert_int_equal(publish(f, "t").workers, 1 << FIXTURE_PEER);
    assert_none(f, FIXTURE_OTHER);
    assert_int_equal(count(&conn), 1);
    fixture_end(f, s);
}

/* -- what came from another worker -- */

static void test_route_arrival_plain_stays_here(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct subscription *mine = fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    fixture_want(f, "t", FIXTURE_PEER);
    fixture_want(f, "t", FIXTURE_OTHER);
    for (unsigned i = 0; i < 2; i++) {
        arrive(f, "t", true, bytes_of(""));
        assert_int_equal(count(&conn), 1);
    }
    assert_none(f, FIXTURE_PEER);
    assert_none(f, FIXTURE_OTHER);
    generation_raise_filter(&f->region, bytes_of("t")); /* of no matter here */
    arrive(f, "t", true, bytes_of(""));
    assert_int_equal(fixture_stat(f, STAT_route_misses), 1);
    filters_remove(&f->router.filters, mine);
    arrive(f, "t", true, bytes_of(""));
    assert_int_equal(count(&conn), 1);
    fixture_end(f, s);
}

static void test_route_arrival_for_groups_alone(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conn);
    struct fake_packet packet;
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    struct subscription *shared = fixture_subscribe(f, s, "$share/g/t", QOS_AT_LEAST_ONCE);
    arrive(f, "t", false, id_bytes(&shared->group->share->id));
    assert_true(fake_conn_next(&conn, &packet));
    assert_int_equal(packet.qos, QOS_AT_LEAST_ONCE);
    assert_int_equal(count(&conn), 0);
    fixture_end(f, s);
}

static void test_route_arrival_passes_a_group_on(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = fixture_want_group(f, "$share/g/t", FIXTURE_SELF, 1);
    fixture_want_group(f, "$share/g/t", FIXTURE_OTHER, 1);
    arrive(f, "t", false, id_bytes(&id)); /* the member here has just left */
    struct record_message message = next(f, FIXTURE_OTHER);
    assert_int_equal(message.hops, 1);
    assert_false(message.plain);
    assert_int_equal(message.groups.size, sizeof(id));
    assert_memory_equal(message.groups.data, &id, sizeof(id));
    assert_none(f, FIXTURE_OTHER);
}

static void test_route_arrival_passes_on_only_so_often(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = fixture_want_group(f, "$share/g/t", FIXTURE_OTHER, 1);
    for (uint8_t hops = 3; hops <= 4; hops++) {
        struct publication p = publication("t");
        p.origin = FIXTURE_PEER;
        p.hops = hops;
        route_arrival(&f->router, &p, false, id_bytes(&id));
    }
    assert_int_equal(next(f, FIXTURE_OTHER).hops, 4);
    assert_none(f, FIXTURE_OTHER);
}

static void test_route_arrival_of_a_group_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = fixture_want_group(f, "$share/g/t", FIXTURE_SELF, 1);
    arrive(f, "t", false, id_bytes(&id));
    assert_none(f, FIXTURE_PEER);
    assert_none(f, FIXTURE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_route_publish_to_other_workers_once_each),
        FIXTURE_TEST_LIVE(test_route_publish_tells_who_keeps_nothing),
        FIXTURE_TEST_LIVE(test_route_publish_to_own_subscribers),
        FIXTURE_TEST_LIVE(test_route_publish_to_nobody),
        FIXTURE_TEST_LIVE(test_route_publish_no_local),
        FIXTURE_TEST_LIVE(test_route_publish_when_rings_are_full),
        FIXTURE_TEST_LIVE(test_route_publish_looks_up_when_generations_move),
        FIXTURE_TEST_LIVE(test_route_publish_sees_own_changes_at_once),
        FIXTURE_TEST_LIVE(test_route_publish_topic_too_long_for_the_cache),
        FIXTURE_TEST_LIVE(test_route_publish_without_the_trie),
        FIXTURE_TEST_LIVE(test_route_arrival_plain_stays_here),
        FIXTURE_TEST_LIVE(test_route_arrival_for_groups_alone),
        FIXTURE_TEST_LIVE(test_route_arrival_passes_a_group_on),
        FIXTURE_TEST_LIVE(test_route_arrival_passes_on_only_so_often),
        FIXTURE_TEST_LIVE(test_route_arrival_of_a_group_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
