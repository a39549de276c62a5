/* Members on this worker and on others, as they can take a message or not. */
#include "worker/route/shared.h"

#include "shm/live/trie.h"
#include "tests/unit/worker/route/route_fixture.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = 3 };

static struct fake_conn conns[MEMBERS];

static struct session *member(struct fixture *f, unsigned index)
{
    static const char *const NAMES[MEMBERS] = {"a", "b", "c"};
    struct session *s = fixture_session(f, NAMES[index], &conns[index]);
    s->expiry_s = 60;
    fixture_subscribe(f, s, "$share/g/t", QOS_EXACTLY_ONCE);
    return s;
}

static unsigned count(unsigned index)
{
    struct fake_packet packet;
    unsigned n = 0;
    while (fake_conn_next(&conns[index], &packet))
        n++;
    return n;
}

static struct publication publication(enum qos qos)
{
    return (struct publication){
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
        .qos = (uint8_t)qos,
        .origin = FIXTURE_PEER,
        .source = FIXTURE_PEER,
        .is_arrival = true,
        .publisher = 77,
    };
}

/* An arrival that was passed on `hops` times. The worker that it goes on to, or 0. */
static unsigned deliver(struct fixture *f, const struct hash128 *id, enum qos qos, uint8_t hops)
{
    struct publication p = publication(qos);
    p.hops = hops;
    uint64_t workers = shared_deliver(&f->router, &p, id);
    publication_done(&p);
    return workers == 0 ? 0 : (unsigned)__builtin_ctzll(workers);
}

static struct hash128 want(struct fixture *f, unsigned worker)
{
    return fixture_want_group(f, "$share/g/t", worker, 1);
}

static void test_shared_deliver_skips_who_cannot(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s[MEMBERS] = {member(f, 0), member(f, 1), member(f, 2)};
    conns[0].conn.packet_size_max = 8;
    s[1]->window = 0;
    for (enum qos qos = QOS_AT_LEAST_ONCE; qos <= QOS_EXACTLY_ONCE; qos++)
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(deliver(f, &id, qos, 0), 0);
    assert_int_equal(count(0) + count(1), 0);
    assert_int_equal(count(2), 8);
    for (unsigned i = 0; i < MEMBERS; i++)
        fixture_end(f, s[i]);
}

static void test_shared_deliver_in_turn(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s[MEMBERS] = {member(f, 0), member(f, 1), member(f, 2)};
    for (uint16_t window = 0; window <= 2; window += 2) { /* all busy, then nobody */
        for (unsigned i = 0; i < MEMBERS; i++)
            s[i]->window = window;
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), 0);
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(s[i]->queued_count + s[i]->inflight.count, window == 0 ? 1 : 2);
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        fixture_end(f, s[i]);
}

/* However large the group is, with all of it busy. */
static void test_shared_deliver_looks_at_so_many(void **state)
{
    enum { MANY = 1000, LOOKS = 256 /* as in shared.c */ };
    static struct fake_conn many[MANY];
    static struct session *s[MANY];
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    char name[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "member %u", i);
        s[i] = fixture_session(f, name, &many[i]);
        fixture_subscribe(f, s[i], "$share/g/t", QOS_AT_LEAST_ONCE);
        s[i]->window = 0;
    }
    s[LOOKS]->window = 1;
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), 0);
    assert_int_equal(s[0]->queued_count, 1);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), 0); /* goes on where that ended */
    assert_int_equal(s[LOOKS]->inflight.count, 1);
    for (unsigned i = 0; i < MANY; i++)
        fixture_end(f, s[i]);
}

static void test_shared_deliver_too_large_for_all(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    conns[0].conn.packet_size_max = 8;
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), 0);
    assert_int_equal(count(0), 0);
    assert_int_equal(fixture_stat(f, STAT_publish_dropped), 1);
    fixture_end(f, s);
}

/* Whoever is busy leaves it to somebody elsewhere, but only once around. */
static void test_shared_deliver_asks_others_once(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    s->window = 0;
    want(f, FIXTURE_PEER);
    want(f, FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_PEER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 1), FIXTURE_PEER);
    assert_int_equal(s->queued_count, 0);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 2), 0);
    assert_int_equal(s->queued_count, 1);
    fixture_end(f, s);
}

/* With many messages, asking would cost more than it brings. */
static void test_shared_deliver_asks_only_so_often(void **state)
{
    enum { MESSAGES = 100 };
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    unsigned asked = 0;
    s->window = 0;
    want(f, FIXTURE_PEER);
    for (unsigned i = 0; i < MESSAGES; i++)
        asked += deliver(f, &id, QOS_AT_LEAST_ONCE, 0) == FIXTURE_PEER;
    assert_in_range(asked, 1, MESSAGES / 2);
    assert_int_equal(s->queued_count, MESSAGES - asked);
    fake_loop_advance(&f->loop, 1);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_PEER);
    fixture_end(f, s);
}

static void test_shared_deliver_congested_here_free_elsewhere(void **state)
{
    enum { MESSAGES = 1000 };
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    s->window = 0;
    f->tunable.queued_messages_max = MESSAGES;
    want(f, FIXTURE_PEER);
    for (unsigned i = 0; i < MESSAGES; i++)
        (void)deliver(f, &id, QOS_AT_LEAST_ONCE, 0);
    assert_in_range(s->queued_count, 1, MESSAGES / 4);
    fixture_end(f, s);
}

static void test_shared_deliver_offline_only_when_nobody_is_online(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    fixture_detach(f, s, &conns[0]);
    want(f, FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 1), 0);
    assert_int_equal(s->queued_count, 1);
    fixture_end(f, s);
}

/* Too large for who is online: then a member that is offline, elsewhere. */
static void test_shared_deliver_falls_back_on_offline_members(void **state)
{
    struct fixture *f = *state;
    bool changed;
    struct hash128 id = want(f, FIXTURE_SELF);
    struct session *s = member(f, 0);
    conns[0].conn.packet_size_max = 8;
    assert_int_equal(trie_set_group(f->router.live, bytes_of("t"), &id, FIXTURE_OTHER,
                                    (struct trie_weight){0, 1}, &changed),
                     0);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 4), 0);
    assert_int_equal(fixture_stat(f, STAT_publish_dropped), 1);
    fixture_end(f, s);
}

/* Nobody is online: at QoS 0 nobody keeps it, and what is full everywhere goes around
 * only once. */
static void test_shared_deliver_does_not_go_around_for_nothing(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = filters_group_id(bytes_of("$share/g/t"));
    struct session *s = member(f, 0);
    bool changed;
    fixture_detach(f, s, &conns[0]);
    for (unsigned worker = FIXTURE_SELF; worker <= FIXTURE_OTHER; worker++)
        assert_int_equal(trie_set_group(f->router.live, bytes_of("t"), &id, worker,
                                        (struct trie_weight){0, 1}, &changed),
                         0);
    assert_int_equal(deliver(f, &id, QOS_AT_MOST_ONCE, 0), 0);
    f->tunable.queued_messages_max = 1;
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), 0);
    assert_int_equal(s->queued_count, 1);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_PEER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 2), 0);
    assert_int_equal(fixture_stat(f, STAT_publish_dropped), 2);
    fixture_end(f, s);
}

/* There is no way to deliver it here. */
static void test_shared_deliver_prefers_rings_with_room(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = want(f, FIXTURE_PEER);
    want(f, FIXTURE_OTHER);
    f->router.outbound.blocked = 1ULL << FIXTURE_PEER;
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_MOST_ONCE, 0), FIXTURE_OTHER);
    f->router.outbound.blocked |= 1ULL << FIXTURE_OTHER;
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 0), FIXTURE_PEER);
    assert_int_equal(fixture_stat(f, STAT_publish_dropped), 0);
    assert_int_equal(deliver(f, &id, QOS_AT_MOST_ONCE, 0), 0); /* nothing would bound them */
    assert_int_equal(fixture_stat(f, STAT_publish_dropped), 1);
}

/* Those who are told to pause it must know where it is. */
static void test_shared_deliver_keeps_the_publisher(void **state)
{
    struct fixture *f = *state;
    struct record_message message;
    struct hash128 id = want(f, FIXTURE_OTHER);
    assert_int_equal(deliver(f, &id, QOS_AT_LEAST_ONCE, 1), FIXTURE_OTHER);
    assert_true(fixture_next_message(f, FIXTURE_OTHER, &message));
    assert_int_equal(message.publisher, 77);
    assert_int_equal(message.origin, FIXTURE_PEER);
    assert_int_equal(message.hops, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_shared_deliver_skips_who_cannot),
        FIXTURE_TEST_LIVE(test_shared_deliver_in_turn),
        FIXTURE_TEST_LIVE(test_shared_deliver_looks_at_so_many),
        FIXTURE_TEST_LIVE(test_shared_deliver_too_large_for_all),
        FIXTURE_TEST_LIVE(test_shared_deliver_asks_others_once),
        FIXTURE_TEST_LIVE(test_shared_deliver_asks_only_so_often),
        FIXTURE_TEST_LIVE(test_shared_deliver_congested_here_free_elsewhere),
        FIXTURE_TEST_LIVE(test_shared_deliver_offline_only_when_nobody_is_online),
        FIXTURE_TEST_LIVE(test_shared_deliver_falls_back_on_offline_members),
        FIXTURE_TEST_LIVE(test_shared_deliver_does_not_go_around_for_nothing),
        FIXTURE_TEST_LIVE(test_shared_deliver_prefers_rings_with_room),
        FIXTURE_TEST_LIVE(test_shared_deliver_keeps_the_publisher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
