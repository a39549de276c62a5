#include "master/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct manager {
    int fd;
    char name[64]; /* as in NOTIFY_SOCKET */
};

/* A service manager's socket, at a path or with an abstract name. */
static struct manager open_manager(bool abstract)
{
    struct manager manager;
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(manager.name, sizeof manager.name, "%s-%ld",
             abstract ? "@courtier-test" : "/tmp/notify", (long)getpid());
    size_t size = strlen(manager.name);
    memcpy(where.sun_path, manager.name, size);
    if (abstract)
        where.sun_path[0] = '\0';
    else
        unlink(manager.name);
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    assert_int_equal(bind(manager.fd, (struct sockaddr *)&where, length), 0);
    setenv("NOTIFY_SOCKET", manager.name, 1);
    return manager;
}

static void close_manager(struct manager *manager)
{
    close(manager->fd);
    if (manager->name[0] == '/')
        unlink(manager->name);
    unsetenv("NOTIFY_SOCKET");
}

static void expect(const struct manager *manager, const char *start)
{
    char text[256] = "";
    assert_true(recv(manager->fd, text, sizeof text - 1, 0) > 0);
    assert_memory_equal(text, start, strlen(start));
}

static void check_all_words(bool abstract)
{
    struct manager manager = open_manager(abstract);
    struct notify notify;
    assert_int_equal(notify_open(&notify), 0);
    notify_ready(&notify);
    expect(&manager, "READY=1\n");
    notify_reloading(&notify);
    expect(&manager, "RELOADING=1\nMONOTONIC_USEC=");
    notify_status(&notify, "all is well");
    expect(&manager, "STATUS=all is well\n");
    notify_watchdog(&notify);
    expect(&manager, "WATCHDOG=1\n");
    notify_stopping(&notify);
    expect(&manager, "STOPPING=1\n");
    notify_close(&notify);
    close_manager(&manager);
}

static void test_notify_speaks_to_path(void **state)
{
    (void)state;
    check_all_words(false);
}

static void test_notify_speaks_to_abstract_name(void **state)
{
    (void)state;
    check_all_words(true);
}

static void test_notify_does_nothing_without_manager(void **state)
{
    (void)state;
    struct notify notify;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_open(&notify), 0);
    notify_ready(&notify);
    assert_int_equal(notify.watchdog_ms, 0);
    notify_close(&notify);
}

static void test_notify_does_not_wait_for_slow_manager(void **state)
{
    (void)state;
    struct manager manager = open_manager(true);
    struct notify notify;
    assert_int_equal(notify_open(&notify), 0);
    for (int i = 0; i < 10000; i++)
        notify_watchdog(&notify);
    notify_close(&notify);
    close_manager(&manager);
}

static void test_notify_open_refuses_nonsense(void **state)
{
    (void)state;
    static const char *const names[] = {"relative/path", "vsock:2:1234", "/", "@"};
    struct notify notify;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_true(notify_open(&notify) < 0);
        notify_ready(&notify);
    }
    unsetenv("NOTIFY_SOCKET");
}

static void test_notify_open_reads_watchdog(void **state)
{
    (void)state;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    const struct {
        const char *usec;
        const char *pid;
        uint64_t expected_ms;
    } rows[] = {
        {NULL, NULL, 0}, {"10000000", NULL, 10000}, {"10000000", pid, 10000}, {"10000000", "1", 0}};
    struct manager manager = open_manager(true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct notify notify;
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (rows[i].usec != NULL)
            setenv("WATCHDOG_USEC", rows[i].usec, 1);
        if (rows[i].pid != NULL)
            setenv("WATCHDOG_PID", rows[i].pid, 1);
        assert_int_equal(notify_open(&notify), 0);
        assert_int_equal(notify.watchdog_ms, rows[i].expected_ms);
        notify_close(&notify);
    }
    close_manager(&manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify_speaks_to_path),
        cmocka_unit_test(test_notify_speaks_to_abstract_name),
        cmocka_unit_test(test_notify_does_nothing_without_manager),
        cmocka_unit_test(test_notify_does_not_wait_for_slow_manager),
        cmocka_unit_test(test_notify_open_refuses_nonsense),
        cmocka_unit_test(test_notify_open_reads_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
