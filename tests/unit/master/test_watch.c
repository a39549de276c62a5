#include "master/watch.h"

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/ipc/control.h"
#include "shm/heartbeat.h"
#include "shm/region.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A worker that is a process which only waits; time is an argument. */
struct scene {
    struct region region;
    struct notify notify;
    struct watch watch;
    struct child child;
    int child_end;
};

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

static int open_scene(void **state)
{
    static struct scene scene;
    scene = (struct scene){.notify = {.fd = -1}};
    hash_start();
    log_set_sink(drop_line, NULL);
    assert_int_equal(region_open(&scene.region, 1, 64 * 1024, false), 0);
    scene.child = (struct child){.role = ROLE_WORKER, .started_ms = 1};
    assert_int_equal(control_open_pair(&scene.child.control_fd, &scene.child_end), 0);
    scene.child.pid = fork();
    if (scene.child.pid == 0) {
        pause();
        _exit(0);
    }
    watch_init(&scene.watch, &scene.region, &scene.notify);
    *state = &scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    kill(scene->child.pid, SIGKILL);
    waitpid(scene->child.pid, NULL, 0);
    close(scene->child.control_fd);
    close(scene->child_end);
    region_close(&scene->region);
    return 0;
}

/* The number of a ping that came, or 0. */
static uint32_t take_ping(struct scene *scene)
{
    struct control_message message;
    if (control_receive(scene->child_end, &message) != 0)
        return 0;
    assert_int_equal(message.kind, CONTROL_PING);
    return message.body.ping;
}

static uint64_t run_at(struct scene *scene, uint64_t now_ms)
{
    return watch_run(&scene->watch, &scene->child, 1, now_ms);
}

static void test_watch_run_pings_only_who_is_ready(void **state)
{
    struct scene *scene = *state;
    run_at(scene, 1000);
    assert_int_equal(take_ping(scene), 0);
    assert_false(watch_is_ready(&scene->watch, &scene->child));
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    assert_true(watch_is_ready(&scene->watch, &scene->child));
    run_at(scene, 6000);
    assert_int_equal(take_ping(scene), HEARTBEAT_READY + 1);
}

static void test_watch_run_leaves_who_answers(void **state)
{
    struct scene *scene = *state;
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    uint64_t now_ms = 1000;
    for (int i = 0; i < 20; i++) {
        now_ms = run_at(scene, now_ms);
        uint32_t ping = take_ping(scene);
        assert_true(ping != 0);
        heartbeat_answer(&scene->region, 0, ping);
    }
    assert_int_equal(now_ms, 1000 + 20 * 5000);
    assert_false(scene->child.is_killed);
}

static void test_watch_run_kills_who_does_not_answer(void **state)
{
    struct scene *scene = *state;
    int status;
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    assert_int_equal(run_at(scene, 1000), 6000);
    run_at(scene, 6000);
    run_at(scene, 10999);
    assert_false(scene->child.is_killed);
    run_at(scene, 11000);
    assert_true(scene->child.is_killed);
    assert_int_equal(waitpid(scene->child.pid, &status, 0), scene->child.pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_watch_run_does_not_count_while_the_machine_stood_still(void **state)
{
    struct scene *scene = *state;
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    assert_int_equal(run_at(scene, 1000), 6000);
    for (uint64_t now_ms = 6000 + 100000; now_ms < 106000 + 5000;)
        now_ms = run_at(scene, now_ms);
    assert_false(scene->child.is_killed);
    run_at(scene, 106000 + 5000);
    assert_true(scene->child.is_killed);
}

static void test_watch_run_kills_worker_that_never_gets_ready(void **state)
{
    struct scene *scene = *state;
    run_at(scene, 60000);
    assert_false(scene->child.is_killed);
    run_at(scene, 61000);
    assert_true(scene->child.is_killed);
}

/* The master judges that by what goes on. */
static void test_watch_run_leaves_who_stops(void **state)
{
    struct scene *scene = *state;
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    run_at(scene, 1000);
    scene->child.is_stopping = true;
    assert_true(run_at(scene, 11000) > 11000);
    assert_true(run_at(scene, 60000) > 60000);
    assert_false(scene->child.is_killed);
}

static void test_watch_init_is_faster_than_managers_watchdog(void **state)
{
    struct scene *scene = *state;
    scene->notify.watchdog_ms = 4000;
    watch_init(&scene->watch, &scene->region, &scene->notify);
    heartbeat_answer(&scene->region, 0, HEARTBEAT_READY);
    for (uint64_t now_ms = 1000; now_ms < 3000;)
        now_ms = run_at(scene, now_ms);
    run_at(scene, 3000);
    assert_true(scene->child.is_killed);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        STAGED(test_watch_run_pings_only_who_is_ready),
        STAGED(test_watch_run_leaves_who_answers),
        STAGED(test_watch_run_kills_who_does_not_answer),
        STAGED(test_watch_run_does_not_count_while_the_machine_stood_still),
        STAGED(test_watch_run_kills_worker_that_never_gets_ready),
        STAGED(test_watch_run_leaves_who_stops),
        STAGED(test_watch_init_is_faster_than_managers_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
