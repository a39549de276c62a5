#include "worker/route/redistribute.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/shared.h"

#include <stdio.h>
#include <string.h>

static struct fake_conn gone_conn;
static struct fake_conn other_conn;

struct scene {
    struct fixture *f;
    struct session *gone; /* member of g here, that takes two messages at a time */
    struct hash128 id;
};

static struct scene begin(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "gone", &gone_conn);
    s->window = 2;
    fixture_subscribe(f, s, "$share/g/t", QOS_EXACTLY_ONCE);
    return (struct scene){f, s, fixture_want_group(f, "$share/g/t", FIXTURE_SELF, 1)};
}

static void get(struct scene *scene, const char *payload, enum qos qos, uint64_t expiry_at_ms)
{
    struct publication p = {
        .topic = bytes_of("t"),
        .payload = bytes_of(payload),
        .qos = (uint8_t)qos,
        .expiry_at_ms = expiry_at_ms,
    };
    (void)shared_deliver(&scene->f->router, &p, &scene->id);
    publication_done(&p);
}

static void end(struct scene *scene)
{
    fixture_detach(scene->f, scene->gone, &gone_conn);
    filters_remove_all(&scene->f->router.filters, scene->gone);
    if (redistribute_session(&scene->f->router, scene->gone))
        session_leave(scene->gone);
    else
        session_free(scene->gone);
}

/* The store has heard that there are no members here. */
static void withdraw(struct scene *scene)
{
    fixture_want_group(scene->f, "$share/g/t", FIXTURE_SELF, 0);
}

static struct session *join(struct scene *scene)
{
    struct session *s = fixture_session(scene->f, "other", &other_conn);
    fixture_subscribe(scene->f, s, "$share/g/t", QOS_EXACTLY_ONCE);
    return s;
}

static bool step(struct scene *scene)
{
    return redistribute_step(&scene->f->router);
}

static void assert_other_gets(const char *payload, enum qos qos)
{
    struct fake_packet packet;
    assert_true(fake_conn_next(&other_conn, &packet));
    assert_bytes(packet.payload, payload);
    assert_int_equal(packet.qos, qos);
    assert_false(packet.dup);
}

static void assert_other_gets_nothing(void)
{
    struct fake_packet packet;
    assert_false(fake_conn_next(&other_conn, &packet));
}

static void assert_dropped(const struct scene *scene, unsigned count)
{
    assert_int_equal(fixture_stat(scene->f, STAT_publish_dropped), count);
}

static void test_redistribute_session_in_order(void **state)
{
    struct scene scene = begin(state);
    get(&scene, "begun", QOS_EXACTLY_ONCE, 0);
    get(&scene, "sent", QOS_AT_LEAST_ONCE, 0);
    get(&scene, "queued 2", QOS_EXACTLY_ONCE, 0);
    get(&scene, "queued 1", QOS_AT_LEAST_ONCE, 0);
    struct session *other = join(&scene);
    end(&scene);
    assert_false(step(&scene));
    assert_other_gets("sent", QOS_AT_LEAST_ONCE);
    assert_other_gets("queued 2", QOS_EXACTLY_ONCE);
    assert_other_gets("queued 1", QOS_AT_LEAST_ONCE);
    assert_other_gets_nothing();
    assert_int_equal(fixture_stat(scene.f, STAT_stored_messages), 3);
    fixture_end(scene.f, other);
}

static void test_redistribute_session_to_another_worker(void **state)
{
    struct scene scene = begin(state);
    struct record_message message;
    get(&scene, "sent", QOS_AT_LEAST_ONCE, 0);
    get(&scene, "sent", QOS_AT_LEAST_ONCE, 0);
    fixture_want_group(scene.f, "$share/g/t", FIXTURE_OTHER, 1);
    end(&scene);
    withdraw(&scene);
    assert_false(step(&scene));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(fixture_next_message(scene.f, FIXTURE_OTHER, &message));
        assert_bytes(message.payload, "sent");
        assert_int_equal(message.qos, QOS_AT_LEAST_ONCE);
        assert_int_equal(message.groups.size, sizeof(scene.id));
        assert_memory_equal(message.groups.data, &scene.id, sizeof(scene.id));
        assert_int_equal(message.publisher, 0);
        assert_false(message.plain);
    }
    assert_dropped(&scene, 0);
}

/* A worker that asked us meanwhile would get back later what it passed on. */
static void test_redistribute_step_waits_while_we_count_as_having_members(void **state)
{
    struct scene scene = begin(state);
    struct record_message message;
    get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    fixture_want_group(scene.f, "$share/g/t", FIXTURE_OTHER, 1);
    end(&scene);
    assert_false(step(&scene));
    assert_false(fixture_next_message(scene.f, FIXTURE_OTHER, &message));
    withdraw(&scene);
    assert_false(step(&scene));
    assert_true(fixture_next_message(scene.f, FIXTURE_OTHER, &message));
    assert_bytes(message.payload, "x");
}

/* The store had no room to take us out. */
static void test_redistribute_step_goes_on_when_the_store_has_answered(void **state)
{
    struct scene scene = begin(state);
    struct announcer *announcer = &scene.f->router.announcer;
    struct record_message message;
    get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    fixture_want_group(scene.f, "$share/g/t", FIXTURE_OTHER, 1);
    end(&scene);
    assert_false(step(&scene));
    assert_false(list_is_empty(&scene.f->router.leaving));
    assert_true(announcer_confirm(announcer, announcer->serial));
    assert_false(step(&scene));
    assert_true(list_is_empty(&scene.f->router.leaving));
    assert_true(fixture_next_message(scene.f, FIXTURE_OTHER, &message));
    assert_bytes(message.payload, "x");
}

static void test_redistribute_step_is_bounded(void **state)
{
    enum { MESSAGES = 200 };
    struct scene scene = begin(state);
    unsigned steps = 1;
    for (unsigned i = 0; i < MESSAGES; i++)
        get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    struct session *other = join(&scene);
    other->window = MESSAGES;
    end(&scene);
    while (step(&scene))
        steps++;
    assert_in_range(steps, 3, MESSAGES / 10);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_other_gets("x", QOS_AT_LEAST_ONCE);
    assert_other_gets_nothing();
    fixture_end(scene.f, other);
}

static void test_redistribute_step_waits_for_a_full_ring(void **state)
{
    struct scene scene = begin(state);
    struct router *router = &scene.f->router;
    struct record_message message;
    get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    fixture_want_group(scene.f, "$share/g/t", FIXTURE_OTHER, 1);
    router->outbound.blocked = 1ULL << FIXTURE_OTHER;
    end(&scene);
    withdraw(&scene);
    assert_false(step(&scene));
    assert_false(list_is_empty(&router->leaving));
    (void)outbound_retry(&router->outbound);
    assert_false(step(&scene));
    assert_true(fixture_next_message(scene.f, FIXTURE_OTHER, &message));
    assert_bytes(message.payload, "x");
}

static void test_redistribute_step_drops_what_nobody_is_left_for(void **state)
{
    struct scene scene = begin(state);
    for (unsigned i = 0; i < 5; i++)
        get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    end(&scene);
    withdraw(&scene);
    assert_false(step(&scene));
    assert_true(list_is_empty(&scene.f->router.leaving));
    assert_dropped(&scene, 5);
    assert_int_equal(fixture_stat(scene.f, STAT_stored_messages), 0);
}

static void test_redistribute_step_drops_what_expired(void **state)
{
    struct scene scene = begin(state);
    get(&scene, "expires", QOS_AT_LEAST_ONCE, FIXTURE_START_MS + 1000);
    get(&scene, "stays", QOS_AT_LEAST_ONCE, 0);
    struct session *other = join(&scene);
    end(&scene);
    fake_loop_advance(&scene.f->loop, 5000);
    assert_false(step(&scene));
    assert_other_gets("stays", QOS_AT_LEAST_ONCE);
    assert_other_gets_nothing();
    assert_dropped(&scene, 1);
    fixture_end(scene.f, other);
}

static void test_redistribute_step_keeps_to_the_limits_of_the_other(void **state)
{
    enum { LIMIT = 4 };
    struct scene scene = begin(state);
    for (unsigned i = 0; i < 10; i++)
        get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    scene.f->tunable.queued_messages_max = LIMIT;
    struct session *other = join(&scene);
    other->window = 1;
    end(&scene);
    assert_false(step(&scene));
    assert_int_equal(other->queued_count, LIMIT);
    assert_dropped(&scene, 10 - 1 - LIMIT);
    fixture_end(scene.f, other);
}

/* It leaves group h and lives on: what it was sent through g stays its own, as does
 * what waits for it there. */
static void test_redistribute_queue_of_one_group(void **state)
{
    struct scene scene = begin(state);
    struct session *s = scene.gone;
    struct subscription *h = fixture_subscribe(scene.f, s, "$share/h/t", QOS_AT_LEAST_ONCE);
    for (unsigned i = 0; i < 4; i++)
        get(&scene, "for g", QOS_AT_LEAST_ONCE, 0);
    scene.id = h->group->share->id;
    get(&scene, "for h", QOS_AT_LEAST_ONCE, 0);
    redistribute_queue(&scene.f->router, s, h->group->share);
    filters_remove(&scene.f->router.filters, h);
    assert_false(step(&scene)); /* h has nobody else */
    assert_dropped(&scene, 1);
    assert_int_equal(s->inflight.count, 2);
    assert_int_equal(s->queued_count, 2);
    fixture_end(scene.f, s);
}

static void test_redistribute_done_frees_what_is_left(void **state)
{
    struct scene scene = begin(state);
    get(&scene, "x", QOS_AT_LEAST_ONCE, 0);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_redistribute_session_in_order),
        FIXTURE_TEST_LIVE(test_redistribute_session_to_another_worker),
        FIXTURE_TEST_LIVE(test_redistribute_step_waits_while_we_count_as_having_members),
        FIXTURE_TEST_LIVE(test_redistribute_step_goes_on_when_the_store_has_answered),
        FIXTURE_TEST_LIVE(test_redistribute_step_is_bounded),
        FIXTURE_TEST_LIVE(test_redistribute_step_waits_for_a_full_ring),
        FIXTURE_TEST_LIVE(test_redistribute_step_drops_what_nobody_is_left_for),
        FIXTURE_TEST_LIVE(test_redistribute_step_drops_what_expired),
        FIXTURE_TEST_LIVE(test_redistribute_step_keeps_to_the_limits_of_the_other),
        FIXTURE_TEST_LIVE(test_redistribute_queue_of_one_group),
        FIXTURE_TEST_LIVE(test_redistribute_done_frees_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
