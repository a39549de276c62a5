#include "master/reload.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct said {
    unsigned count;
    char text[1024];
};

static void keep(enum log_level level, const char *line, size_t size, void *context)
{
    struct said *said = context;
    (void)level;
    said->count++;
    size_t used = strlen(said->text);
    snprintf(said->text + used, sizeof said->text - used, "%.*s\n", (int)size, line);
}

/* Two equal configurations with one listener each. */
struct pair {
    struct conf used;
    struct conf fresh;
    struct conf_listener listeners[2];
    struct said said;
};

static int make_pair(void **state)
{
    static struct pair pair;
    pair = (struct pair){.used = {.listener_count = 1, .workers = 2, .live_location = "/dev/shm"}};
    pair.fresh = pair.used;
    list_init(&pair.used.listeners);
    list_init(&pair.fresh.listeners);
    list_push_back(&pair.used.listeners, &pair.listeners[0].node);
    list_push_back(&pair.fresh.listeners, &pair.listeners[1].node);
    log_set_sink(keep, &pair.said);
    *state = &pair;
    return 0;
}

static void test_reload_apply_is_silent_without_changes(void **state)
{
    struct pair *pair = *state;
    reload_apply(&pair->used, &pair->fresh);
    assert_int_equal(pair->said.count, 0);
}

static void test_reload_apply_takes_tunables_over(void **state)
{
    struct pair *pair = *state;
    pair->fresh.tunable.inflight_max = 50;
    pair->fresh.tunable.connections_max = -1;
    pair->fresh.tunable.allow_anonymous = true;
    reload_apply(&pair->used, &pair->fresh);
    assert_int_equal(pair->used.tunable.inflight_max, 50);
    assert_int_equal(pair->said.count, 3);
    assert_non_null(strstr(pair->said.text, "max_inflight_messages was 0, is 50 now."));
    assert_non_null(strstr(pair->said.text, "global_max_connections was 0, is -1 now."));
}

static void test_reload_apply_names_what_needs_a_restart(void **state)
{
    struct pair *pair = *state;
    pair->fresh.workers = 3;
    pair->fresh.live_location = "/run";
    pair->fresh.user = "somebody";
    pair->listeners[1].port = 1884;
    reload_apply(&pair->used, &pair->fresh);
    assert_int_equal(pair->said.count, 4);
    assert_int_equal(pair->used.workers, 2);
    static const char *const options[] = {"workers", "live_location", "user", "a listener"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        assert_non_null(strstr(pair->said.text, options[i]));
}

static void test_reload_apply_sees_max_qos_of_listener(void **state)
{
    struct pair *pair = *state;
    pair->listeners[1].qos_max = 1;
    reload_apply(&pair->used, &pair->fresh);
    assert_non_null(strstr(pair->said.text, "a listener has changed"));
}

static void test_reload_apply_sees_additional_listener(void **state)
{
    struct pair *pair = *state;
    struct conf_listener third = {.port = 1};
    list_push_back(&pair->fresh.listeners, &third.node);
    pair->fresh.listener_count = 2;
    reload_apply(&pair->used, &pair->fresh);
    assert_non_null(strstr(pair->said.text, "a listener has changed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reload_apply_is_silent_without_changes, make_pair),
        cmocka_unit_test_setup(test_reload_apply_takes_tunables_over, make_pair),
        cmocka_unit_test_setup(test_reload_apply_names_what_needs_a_restart, make_pair),
        cmocka_unit_test_setup(test_reload_apply_sees_max_qos_of_listener, make_pair),
        cmocka_unit_test_setup(test_reload_apply_sees_additional_listener, make_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
