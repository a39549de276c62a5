/* Shared groups: which worker, and which member. */
#include "worker/route/route.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <stdio.h>
#include <string.h>

enum { MEMBERS = 3 };

static struct fake_conn conns[MEMBERS];

static struct route_result publish(struct fixture *f, const char *topic)
{
    struct publication p = {
        .topic = bytes_of(topic),
        .payload = bytes_of("payload"),
        .qos = QOS_AT_LEAST_ONCE,
        .origin = FIXTURE_SELF,
    };
    struct route_result result = route_publish(&f->router, &p);
    publication_done(&p);
    return result;
}

static unsigned count(unsigned member)
{
    struct fake_packet packet;
    unsigned n = 0;
    while (fake_conn_next(&conns[member], &packet))
        n++;
    return n;
}

/* Three members of $share/g/t here, all online. */
static void make_members(struct fixture *f, struct session **members)
{
    static const char *const NAMES[MEMBERS] = {"a", "b", "c"};
    fixture_want_group(f, "$share/g/t", FIXTURE_SELF, MEMBERS);
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = fixture_session(f, NAMES[i], &conns[i]);
        fixture_subscribe(f, members[i], "$share/g/t", QOS_AT_LEAST_ONCE);
    }
}

static void end_members(struct fixture *f, struct session **members)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        fixture_end(f, members[i]);
}

static void test_route_publish_group_goes_to_one_worker(void **state)
{
    enum { ROUNDS = 20 };
    struct fixture *f = *state;
    struct hash128 id = fixture_want_group(f, "$share/g/t", FIXTURE_PEER, 1);
    fixture_want_group(f, "$share/g/t", FIXTURE_OTHER, 1);
    unsigned counts[FIXTURE_WORKERS] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct route_result result = publish(f, "t");
        assert_true(result.is_matched);
        assert_int_equal(__builtin_popcountll(result.workers), 1);
        unsigned worker = (unsigned)__builtin_ctzll(result.workers);
        struct record_message message;
        assert_true(fixture_next_message(f, worker, &message));
        assert_false(message.plain);
        assert_int_equal(message.groups.size, sizeof(id));
        assert_memory_equal(message.groups.data, &id, sizeof(id));
        assert_false(fixture_next_message(f, worker, &message));
        counts[worker]++;
    }
    assert_in_range(counts[FIXTURE_PEER], ROUNDS / 4, ROUNDS * 3 / 4);
    assert_int_equal(counts[FIXTURE_PEER] + counts[FIXTURE_OTHER], ROUNDS);
}

static void test_route_publish_group_and_plain_share_a_record(void **state)
{
    struct fixture *f = *state;
    struct record_message message;
    fixture_want(f, "+", FIXTURE_PEER);
    fixture_want_group(f, "$share/g/t", FIXTURE_PEER, 1);
    fixture_want_group(f, "$share/h/t", FIXTURE_PEER, 1);
    (void)publish(f, "t");
    assert_true(fixture_next_message(f, FIXTURE_PEER, &message));
    assert_true(message.plain);
    assert_int_equal(message.groups.size, 2 * sizeof(struct hash128));
    assert_false(fixture_next_message(f, FIXTURE_PEER, &message));
}

/* More groups than one record takes; plain subscribers get it once. */
static void test_route_publish_many_groups(void **state)
{
    enum { GROUPS = RECORD_GROUPS_MAX * 2 + 5 };
    struct fixture *f = *state;
    struct record_message message;
    size_t group_bytes = 0;
    unsigned plain_count = 0;
    unsigned record_count = 0;
    fixture_want(f, "t", FIXTURE_PEER);
    for (unsigned i = 0; i < GROUPS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "$share/g%u/t", i);
        fixture_want_group(f, text, FIXTURE_PEER, 1);
    }
    (void)publish(f, "t");
    for (; fixture_next_message(f, FIXTURE_PEER, &message); record_count++) {
        group_bytes += message.groups.size;
        plain_count += message.plain;
    }
    assert_int_equal(record_count, 3);
    assert_int_equal(plain_count, 1);
    assert_int_equal(group_bytes, GROUPS * sizeof(struct hash128));
}

static void test_route_publish_members_take_turns(void **state)
{
    struct fixture *f = *state;
    struct session *members[MEMBERS];
    make_members(f, members);
    for (unsigned i = 0; i < MEMBERS * 2; i++)
        assert_int_equal(publish(f, "t").workers, 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(count(i), 2);
    end_members(f, members);
}

static void test_route_publish_prefers_members_with_room(void **state)
{
    struct fixture *f = *state;
    struct session *members[MEMBERS];
    make_members(f, members);
    members[0]->window = 1; /* takes one and does not acknowledge */
    members[1]->expiry_s = 60;
    fixture_detach(f, members[1], &conns[1]);
    for (unsigned i = 0; i < 6; i++)
        (void)publish(f, "t");
    assert_int_equal(count(0), 1);
    assert_int_equal(count(2), 5);
    assert_int_equal(members[0]->queued_count + members[1]->queued_count, 0);
    end_members(f, members);
}

/* Online with a closed window is better than offline. */
static void test_route_publish_falls_back(void **state)
{
    struct fixture *f = *state;
    struct session *members[MEMBERS];
    make_members(f, members);
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i]->window = 0;
        members[i]->expiry_s = 60;
        if (i > 0)
            fixture_detach(f, members[i], &conns[i]);
    }
    (void)publish(f, "t");
    assert_int_equal(members[0]->queued_count, 1);
    fixture_detach(f, members[0], &conns[0]);
    (void)publish(f, "t");
    (void)publish(f, "t");
    assert_int_equal(members[0]->queued_count + members[1]->queued_count + members[2]->queued_count,
                     3);
    end_members(f, members);
}

/* Topics with groups are cached too, but for the pick. */
static void test_route_publish_group_and_own_subscriber(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", &conns[0]);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    fixture_want(f, "t", FIXTURE_SELF);
    fixture_want_group(f, "$share/g/t", FIXTURE_PEER, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(publish(f, "t").workers, 1 << FIXTURE_PEER);
        assert_int_equal(count(0), 1);
    }
    assert_int_equal(fixture_stat(f, STAT_route_hits), 0);
    fixture_end(f, s);
}

/* The last member of g here left, and the store has not heard of it yet. The
 * message goes on to another worker, which its acknowledgement must wait for, as
 * for the one that has a member of h. */
static void test_route_publish_passes_a_group_on(void **state)
{
    enum { ROUNDS = 20 };
    struct fixture *f = *state;
    fixture_want_group(f, "$share/g/t", FIXTURE_SELF, 1);
    fixture_want_group(f, "$share/g/t", FIXTURE_OTHER, 1);
    fixture_want_group(f, "$share/h/t", FIXTURE_PEER, 1);
    fixture_want_group(f, "$share/h/t", FIXTURE_OTHER, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct record_message message;
        uint64_t reached = 0;
        size_t group_bytes = 0;
        uint64_t workers = publish(f, "t").workers;
        for (unsigned slot = FIXTURE_PEER; slot <= FIXTURE_OTHER; slot++) {
            while (fixture_next_message(f, slot, &message)) {
                reached |= 1ULL << slot;
                group_bytes += message.groups.size;
            }
        }
        assert_int_equal(workers, reached);
        assert_int_equal(group_bytes, 2 * sizeof(struct hash128));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_route_publish_group_goes_to_one_worker),
        FIXTURE_TEST_LIVE(test_route_publish_group_and_plain_share_a_record),
        FIXTURE_TEST_LIVE(test_route_publish_many_groups),
        FIXTURE_TEST_LIVE(test_route_publish_members_take_turns),
        FIXTURE_TEST_LIVE(test_route_publish_prefers_members_with_room),
        FIXTURE_TEST_LIVE(test_route_publish_falls_back),
        FIXTURE_TEST_LIVE(test_route_publish_group_and_own_subscriber),
        FIXTURE_TEST_LIVE(test_route_publish_passes_a_group_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
