#include "shm/live/retain.h"

#include "common/mqtt/topic.h"
#include "shm/live/live_internal.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int setup(void **state)
{
    static struct fixture fixture;
    *state = &fixture;
    int r = fixture_open(&fixture, FIXTURE_MAP);
    return r != 0 ? r : live_begin(fixture.live);
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static struct retain_delta set_at(struct fixture *f, const char *topic, const char *payload,
                                  uint64_t expiry_at_ms)
{
    struct retained message = {
        .topic = bytes_of(topic),
        .properties = bytes_of("props"),
        .payload = bytes_of(payload),
        .message_id = 77,
        .expiry_at_ms = expiry_at_ms,
        .qos = 2,
    };
    struct retain_delta delta = {0};
    assert_int_equal(retain_set(f->live, &message, &delta), 0);
    return delta;
}

static struct retain_delta set(struct fixture *f, const char *topic, const char *payload)
{
    return set_at(f, topic, payload, 0);
}

static struct retain_delta clear(struct fixture *f, const char *topic)
{
    struct retain_delta delta;
    assert_int_equal(retain_clear(f->live, bytes_of(topic), &delta), 0);
    return delta;
}

static void assert_empty(struct fixture *f)
{
    assert_true(fixture_is_empty(f, LIVE_RETAIN, LIVE_EXPIRY));
}

static void commit(struct fixture *f)
{
    assert_int_equal(live_commit(f->live), 0);
    assert_int_equal(live_begin(f->live), 0);
}

static void test_retain_get_of_unknown_topic(void **state)
{
    struct fixture *f = *state;
    struct retained message;
    assert_int_equal(retain_get(f->live, bytes_of("a"), &message), -ENOENT);
    set(f, "a/b", "x");
    assert_int_equal(retain_get(f->live, bytes_of("a"), &message), -ENOENT);
    assert_int_equal(retain_get(f->live, bytes_of("a/b/c"), &message), -ENOENT);
}

static void test_retain_set_keeps_all_fields(void **state)
{
    struct fixture *f = *state;
    set_at(f, "a/b", "payload", 1234);
    struct retained message;
    assert_int_equal(retain_get(f->live, bytes_of("a/b"), &message), 0);
    assert_true(bytes_equal(message.topic, bytes_of("a/b")));
    assert_true(bytes_equal(message.properties, bytes_of("props")));
    assert_true(bytes_equal(message.payload, bytes_of("payload")));
    assert_int_equal(message.message_id, 77);
    assert_int_equal(message.expiry_at_ms, 1234);
    assert_int_equal(message.qos, 2);
}

static void test_retain_set_and_clear_count(void **state)
{
    struct fixture *f = *state;
    struct retain_delta delta = set(f, "a/b", "12345");
    assert_int_equal(delta.messages, 1);
    assert_int_equal(delta.bytes, 5);
    delta = set(f, "a/b", "123");
    assert_int_equal(delta.messages, 0);
    assert_int_equal(delta.bytes, -2);
    delta = set(f, "a", "1");
    assert_int_equal(delta.messages, 1);
    delta = clear(f, "a/b");
    assert_int_equal(delta.messages, -1);
    assert_int_equal(delta.bytes, -3);
    delta = clear(f, "a/b");
    assert_int_equal(delta.messages, 0);
    assert_int_equal(delta.bytes, 0);
    clear(f, "a");
    assert_empty(f);
}

static void test_retain_set_of_large_payload(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 32 << 20 };
    uint8_t *payload = malloc(SIZE);
    assert_non_null(payload);
    memset(payload, 'x', SIZE);
    struct retained message = {.topic = bytes_of("large"), .payload = {payload, SIZE}};
    struct retain_delta delta;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(retain_set(f->live, &message, &delta), 0);
        commit(f);
    }
    struct retained found;
    assert_int_equal(retain_get(f->live, bytes_of("large"), &found), 0);
    assert_true(bytes_equal(found.payload, message.payload));
    free(payload);
    clear(f, "large");
    assert_empty(f);
}

static void test_retain_set_too_large_for_the_map(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    static uint8_t payload[900 << 10];
    struct retained message = {.topic = bytes_of("large"), .payload = {payload, sizeof payload}};
    struct retain_delta delta;
    assert_int_equal(live_begin(f.live), 0);
    assert_int_equal(retain_set(f.live, &message, &delta), -ENOSPC);
    set(&f, "small", "x"); /* the refusal spoiled nothing */
    assert_int_equal(live_commit(f.live), 0);
    fixture_close(&f);
}

/* Sets messages until one is refused; returns their number. */
static unsigned fill(struct fixture *f)
{
    char topic[32];
    for (unsigned count = 0;; count++) {
        snprintf(topic, sizeof topic, "full/%u", count);
        struct retained message = {.topic = bytes_of(topic), .payload = bytes_of("0123456789")};
        struct retain_delta delta;
        int r = retain_set(f->live, &message, &delta);
        commit(f);
        if (r == 0)
            continue;
        assert_int_equal(r, -ENOSPC);
        return count;
    }
}

static void test_retain_on_full_map_changes_and_clears(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    assert_int_equal(live_begin(f.live), 0);
    unsigned count = fill(&f);
    assert_in_range(count, 1000, 20000);
    char topic[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(topic, sizeof topic, "full/%u", i);
        struct retained message = {.topic = bytes_of(topic), .payload = bytes_of("9876543210")};
        struct retain_delta delta;
        assert_int_equal(retain_set(f.live, &message, &delta), 0);
        commit(&f);
    }
    for (unsigned i = 0; i < count; i++) {
        snprintf(topic, sizeof topic, "full/%u", i);
        clear(&f, topic);
        commit(&f);
    }
    assert_empty(&f);
    live_abort(f.live);
    fixture_close(&f);
}

static void test_retain_expire_in_order(void **state)
{
    struct fixture *f = *state;
    static const uint64_t times[] = {500, 100, 0, 300, 100, 70000000000};
    char topic[16];
    for (unsigned i = 0; i < 6; i++) {
        snprintf(topic, sizeof topic, "e/%u", i);
        set_at(f, topic, "xy", times[i]);
    }
    static const struct {
        uint64_t now;
        unsigned limit;
        int messages; /* in all so far */
        uint64_t next;
    } rows[] = {
        {99, 10, 0, 100},   {400, 1, -1, 100}, /* the limit leaves one */
        {400, 10, -3, 500}, {500, 10, -4, 70000000000}, {70000000000, 10, -5, UINT64_MAX},
    };
    struct retain_delta delta = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t next;
        assert_int_equal(retain_expire(f->live, rows[i].now, rows[i].limit, &delta, &next), 0);
        assert_int_equal(delta.messages, rows[i].messages);
        assert_int_equal(delta.bytes, 2 * rows[i].messages);
        assert_true(next == rows[i].next);
    }
    clear(f, "e/2");
    assert_empty(f);
}

static void test_retain_set_moves_expiry(void **state)
{
    struct fixture *f = *state;
    set_at(f, "a", "x", 100);
    set_at(f, "a", "x", 200);
    struct retain_delta delta = {0};
    uint64_t next;
    assert_int_equal(retain_expire(f->live, 150, 10, &delta, &next), 0);
    assert_int_equal(delta.messages, 0);
    assert_int_equal(next, 200);
    set_at(f, "a", "x", 0);
    assert_int_equal(retain_expire(f->live, 250, 10, &delta, &next), 0);
    assert_int_equal(delta.messages, 0);
    assert_true(next == UINT64_MAX);
}

static void test_retain_set_of_deepest_topic(void **state)
{
    struct fixture *f = *state;
    static char topic[65536];
    for (size_t i = 0; i < 65535; i++) {
        topic[i] = i % 2 == 0 ? 'a' : '/';
    }
    set_at(f, topic, "deep", 10);
    struct retain_walk *walk = retain_walk_new(bytes_of("#"));
    struct retained message;
    int r;
    unsigned calls = 0;
    while ((r = retain_walk_next(f->live, walk, 100, &message)) == -EAGAIN) {
        calls++;
    }
    assert_int_equal(r, 0);
    assert_in_range(calls, 300, 400);
    assert_true(bytes_equal(message.topic, bytes_of(topic)));
    retain_walk_free(walk);
    struct retain_delta delta = {0};
    uint64_t next;
    assert_int_equal(retain_expire(f->live, 10, 1, &delta, &next), 0);
    assert_int_equal(delta.messages, -1);
    assert_empty(f);
}

/* A walk that looks in vain is still bounded. */
static void test_retain_walk_next_is_bounded(void **state)
{
    struct fixture *f = *state;
    char topic[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(topic, sizeof topic, "a/%u/x", i);
        set(f, topic, "x");
    }
    struct retain_walk *walk = retain_walk_new(bytes_of("a/+/y"));
    struct retained message;
    unsigned calls = 0;
    int r;
    while ((r = retain_walk_next(f->live, walk, 64, &message)) == -EAGAIN) {
        calls++;
    }
    assert_int_equal(r, -ENOENT);
    assert_in_range(calls, 1000 * 2 / 64, 1000 * 3 / 64 + 1);
    assert_int_equal(retain_walk_next(f->live, walk, 64, &message), -ENOENT);
    retain_walk_free(walk);
}

/* -- against a naive model -- */

enum { MODEL_MAX = 300 };

struct model {
    unsigned count;
    char topics[MODEL_MAX][200];
    bool set[MODEL_MAX];
    unsigned seen[MODEL_MAX];
};

static const char long_name[] = "a-name-that-is-much-too-long-for-a-key-of-the-live-store-and-"
                                "so-is-kept-in-the-value-and-found-by-its-hash-alone-01234567";

static void random_topic(struct fixture *f, char *topic)
{
    const char *const names[] = {"a", "b", "c", "", "$d", long_name};
    unsigned levels = 1 + fixture_random(f, 5);
    topic[0] = 0;
    for (unsigned i = 0; i < levels; i++) {
        if (i > 0)
            strcat(topic, "/");
        strcat(topic, names[fixture_random(f, i == 0 ? 6 : 5)]);
    }
    if (topic[0] == 0)
        strcpy(topic, "a");
}

static void fill_model(struct fixture *f, struct model *model)
{
    memset(model, 0, sizeof *model);
    while (model->count < MODEL_MAX) {
        char *topic = model->topics[model->count];
        random_topic(f, topic);
        bool known = false;
        for (unsigned i = 0; i < model->count; i++) {
            known = known || strcmp(model->topics[i], topic) == 0;
        }
        if (!known)
            model->count++;
    }
}

static void flip(struct fixture *f, struct model *model, unsigned index)
{
    model->set[index] = !model->set[index];
    if (model->set[index])
        set(f, model->topics[index], "payload");
    if (!model->set[index])
        clear(f, model->topics[index]);
}

static void count_seen(struct model *model, struct bytes topic)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (bytes_equal(bytes_of(model->topics[i]), topic)) {
            model->seen[i]++;
            return;
        }
    }
    fail();
}

/* Walks, with a commit after each find and each pause. */
static void walk_model(struct fixture *f, struct model *model, const char *filter)
{
    memset(model->seen, 0, sizeof model->seen);
    struct retain_walk *walk = retain_walk_new(bytes_of(filter));
    struct retained message;
    int r;
    while ((r = retain_walk_next(f->live, walk, 3, &message)) != -ENOENT) {
        assert_true(r == 0 || r == -EAGAIN);
        if (r == 0)
            count_seen(model, message.topic);
        commit(f);
    }
    retain_walk_free(walk);
}

static void compare(const struct model *model, const char *filter)
{
    for (unsigned t = 0; t < model->count; t++) {
        struct bytes topic = bytes_of(model->topics[t]);
        bool wanted = model->set[t] && topic_matches(bytes_of(filter), topic);
        if (model->seen[t] != wanted)
            fail_msg("%s in %s", model->topics[t], filter);
    }
}

static void test_retain_walk_against_model(void **state)
{
    static const char *const filters[] = {
        "#",  "+",    "+/#", "a/#",   "a/+",   "+/+",  "a/b/c", "+/b/#", "+/+/+/+",
        "/#", "$d/#", "a//", "+/a/+", "a/+/b", "$d/+", "c",     "a/$d",  "a/b/+/+",
    };
    struct fixture *f = *state;
    fixture_seed(f);
    static struct model model;
    fill_model(f, &model);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 150; i++) {
            flip(f, &model, fixture_random(f, MODEL_MAX));
        }
        for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
            walk_model(f, &model, filters[i]);
            compare(&model, filters[i]);
        }
    }
    for (unsigned t = 0; t < model.count; t++) {
        if (model.set[t])
            flip(f, &model, t);
    }
    assert_empty(f);
}

/* What stays set during a walk is seen once, whatever goes on around it. */
static void test_retain_walk_next_among_changes(void **state)
{
    struct fixture *f = *state;
    fixture_seed(f);
    static struct model model;
    fill_model(f, &model);
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        flip(f, &model, i);
    }
    struct retain_walk *walk = retain_walk_new(bytes_of("#"));
    struct retained message;
    int r;
    while ((r = retain_walk_next(f->live, walk, 2, &message)) != -ENOENT) {
        if (r == 0)
            count_seen(&model, message.topic);
        flip(f, &model, fixture_random(f, MODEL_MAX / 2));
    }
    retain_walk_free(walk);
    for (unsigned t = 0; t < MODEL_MAX; t++) {
        assert_in_range(model.seen[t], 0, 1);
        bool stays = t >= MODEL_MAX / 2 && model.topics[t][0] != '$';
        if (stays)
            assert_int_equal(model.seen[t], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retain_get_of_unknown_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_set_keeps_all_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_set_and_clear_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_set_of_large_payload, setup, teardown),
        cmocka_unit_test(test_retain_set_too_large_for_the_map),
        cmocka_unit_test(test_retain_on_full_map_changes_and_clears),
        cmocka_unit_test_setup_teardown(test_retain_expire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_set_moves_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_set_of_deepest_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_walk_next_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_walk_against_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain_walk_next_among_changes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
