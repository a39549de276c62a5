#include "master/store/store_fill.h"

#include "common/base/hash.h"
#include "master/store/durable/durable_message.h"
#include "shm/live/retain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TOPICS = 150 }; /* more than one batch */

struct scene {
    struct region region;
    char live_folder[64];
    char durable_folder[64];
    struct store_live live;
    struct durable durable;
};

static void on_refused(const struct store_op *op, int error, void *context)
{
    (void)op;
    (void)context;
    fail_msg("refused: %s", strerror(-error));
}

static void put_retained(struct scene *s, unsigned number)
{
    char topic[32];
    snprintf(topic, sizeof topic, "some/topic/%u", number);
    const struct record_message message = {
        .message_id = number + 1, .topic = bytes_of(topic), .payload = bytes_of("text"), .qos = 1};
    struct durable_key key = durable_key_name(DURABLE_RETAINED, message.topic);
    assert_int_equal(durable_message_put(s->durable.env, &s->durable.clock, &key, &message), 0);
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    hash_start();
    assert_int_equal(region_open(&s->region, 1, 64 * 1024, true), 0);
    strcpy(s->live_folder, "/dev/shm/test-fill-XXXXXX");
    strcpy(s->durable_folder, "/tmp/test-fill-XXXXXX");
    assert_non_null(mkdtemp(s->live_folder));
    assert_non_null(mkdtemp(s->durable_folder));
    assert_int_equal(store_live_open(&s->live, &s->region, 1, s->live_folder, 8 << 20), 0);
    s->live.on_refused = on_refused;
    assert_int_equal(
        durable_open(&s->durable, s->durable_folder, 8 << 20, region_key(&s->region), false), 0);
    assert_int_equal(durable_env_begin(s->durable.env), 0);
    for (unsigned i = 0; i < TOPICS; i++)
        put_retained(s, i);
    assert_int_equal(durable_env_commit(s->durable.env), 0);
    *state = s;
    return 0;
}

static void remove_folder(const char *folder)
{
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", folder);
    unlink(path);
    rmdir(folder);
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    store_live_close(&s->live);
    durable_close(&s->durable);
    remove_folder(s->live_folder);
    remove_folder(s->durable_folder);
    region_close(&s->region);
    free(s);
    return 0;
}

static uint64_t count_retained(const struct scene *s)
{
    return stats_get(s->live.stats, STAT_retained_messages);
}

static void test_store_fill_brings_all(void **state)
{
    struct scene *s = *state;
    struct retained retained;
    assert_int_equal(store_fill(&s->live, &s->durable), 0);
    assert_int_equal(count_retained(s), TOPICS);
    assert_int_equal(live_begin(s->live.live), 0);
    assert_int_equal(retain_get(s->live.live, bytes_of("some/topic/149"), &retained), 0);
    assert_true(bytes_equal(retained.payload, bytes_of("text")));
    assert_int_equal(retained.qos, 1);
    assert_int_equal(retained.message_id, 150);
    live_abort(s->live.live);
}

/* A successor finds newer data in the live store. */
static void test_store_fill_is_done_once(void **state)
{
    struct scene *s = *state;
    struct store_op clear = {.kind = STORE_OP_RETAIN,
                             .as.message = {.topic = bytes_of("some/topic/7")}};
    assert_int_equal(store_fill(&s->live, &s->durable), 0);
    store_live_apply(&s->live, &clear, 1, false);
    assert_int_equal(store_fill(&s->live, &s->durable), 0);
    assert_int_equal(count_retained(s), TOPICS - 1);
}

int main(void)
{
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(test_store_fill_brings_all),
        WITH_SCENE(test_store_fill_is_done_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
