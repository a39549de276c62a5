#include "master/reap.h"

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/ipc/control.h"
#include "common/ipc/log_channel.h"
#include "shm/layout.h"
#include "shm/listener_count.h"
#include "shm/region.h"
#include "shm/stats.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* One slot, whose deaths are only told. */
struct scene {
    struct region region;
    struct spawn spawn;
    struct child child;
    int child_control;
    struct log_channel channel;
    char said[1024];
};

static void keep(enum log_level level, const char *line, size_t size, void *context)
{
    struct scene *scene = context;
    (void)level;
    size_t used = strlen(scene->said);
    snprintf(scene->said + used, sizeof scene->said - used, "%.*s\n", (int)size, line);
}

static int open_scene(void **state)
{
    static struct scene scene;
    scene = (struct scene){.spawn.region = &scene.region, .child = {.name = "worker 0"}};
    hash_start();
    log_set_sink(keep, &scene);
    *state = &scene;
    return region_open(&scene.region, 1, 64 * 1024, false);
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    region_close(&scene->region);
    return 0;
}

/* Bury what lived for a while; returns how long the slot then stays empty. */
static uint64_t bury_as(struct scene *scene, int status, uint64_t life_ms, bool expected)
{
    uint64_t now_ms = clock_now_ms();
    assert_int_equal(control_open_pair(&scene->child.control_fd, &scene->child_control), 0);
    assert_int_equal(log_channel_open_pair(&scene->child.log_fd, &scene->channel.fd), 0);
    log_channel_sink(LOG_LEVEL_INFO, "its last line", 13, &scene->channel);
    close(scene->child_control);
    close(scene->channel.fd);
    scene->child.pid = 12345;
    scene->child.started_ms = now_ms - life_ms;
    reap_bury(&scene->spawn, &scene->child, status, expected, keep, scene);
    assert_int_equal(scene->child.pid, 0);
    assert_int_equal(scene->child.log_fd, -1);
    uint64_t wait_ms = scene->child.restart_at_ms - now_ms;
    return wait_ms - wait_ms % 50; /* a slow machine takes some time itself */
}

static uint64_t bury(struct scene *scene, int status, uint64_t life_ms)
{
    return bury_as(scene, status, life_ms, false);
}

static void test_reap_bury_waits_longer_after_each_death(void **state)
{
    static const uint64_t expected_ms[] = {0, 100, 500, 1000, 2000, 5000, 10000, 10000};
    const int exit_code_1 = 1 << 8;
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++)
        assert_int_equal(bury(scene, exit_code_1, 10), expected_ms[i]);
    assert_int_equal(bury(scene, exit_code_1, 60000), 0);
    assert_int_equal(bury(scene, exit_code_1, 10), 100);
}

static void test_reap_bury_replaces_at_once_who_was_killed_from_outside(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(bury(scene, SIGKILL, 500), 0);
    assert_int_equal(bury(scene, SIGKILL, 10), 100);
    assert_int_equal(bury(scene, SIGKILL, 10), 100);
    scene->child.is_killed = true; /* by the master: that one counts */
    assert_int_equal(bury(scene, SIGKILL, 500), 0);
    assert_int_equal(bury(scene, SIGKILL, 500), 100);
}

static void test_reap_bury_tells_cause_and_last_words(void **state)
{
    struct scene *scene = *state;
    strcpy(scene->region.slots[0].words, "ring.c:1: x > 0");
    bury(scene, SIGABRT, 10);
    assert_non_null(strstr(scene->said, "its last line\nThe worker 0 (process 12345) has died"));
    assert_non_null(strstr(scene->said, "signal 6"));
    assert_non_null(strstr(scene->said, "ring.c:1: x > 0"));
}

static void test_reap_bury_clears_gauges_and_keeps_counts(void **state)
{
    struct scene *scene = *state;
    struct stats stats = stats_of(&scene->region, 0);
    stats_add(stats, STAT_clients_connected, 5);
    stats_add(stats, STAT_publish_received, 5);
    listener_count_add(stats, 1);
    bury(scene, SIGSEGV, 10);
    assert_int_equal(stats_get(stats, STAT_clients_connected), 0);
    assert_int_equal(stats_get(stats, STAT_publish_received), 5);
    assert_int_equal(listener_count_sum(&scene->region, 1), 0);
}

static void test_reap_bury_lets_nobody_wait_for_who_has_stopped(void **state)
{
    struct scene *scene = *state;
    struct stats stats = stats_of(&scene->region, 0);
    bury_as(scene, 0, 10, true);
    assert_int_equal(stats_get(stats, STAT_drained), 1);
    bury(scene, SIGSEGV, 10);
    assert_int_equal(stats_get(stats, STAT_drained), 0);
}

static void test_reap_next_finds_the_child_that_ended(void **state)
{
    (void)state;
    struct child children[3] = {{.slot = 0}, {.slot = 1}, {.slot = 2}};
    int status;
    children[1].pid = fork();
    if (children[1].pid == 0)
        _exit(7);
    siginfo_t info;
    waitid(P_PID, (id_t)children[1].pid, &info, WEXITED | WNOWAIT);
    assert_ptr_equal(reap_next(children, 3, &status), &children[1]);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_null(reap_next(children, 3, &status));
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        STAGED(test_reap_bury_waits_longer_after_each_death),
        STAGED(test_reap_bury_replaces_at_once_who_was_killed_from_outside),
        STAGED(test_reap_bury_tells_cause_and_last_words),
        STAGED(test_reap_bury_clears_gauges_and_keeps_counts),
        STAGED(test_reap_bury_lets_nobody_wait_for_who_has_stopped),
        cmocka_unit_test(test_reap_next_finds_the_child_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
