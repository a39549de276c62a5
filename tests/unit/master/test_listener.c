#include "master/listener.h"

#include "common/base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Keeps the last line, so that tests can look at it. */
static void keep_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    snprintf(context, 256, "%.*s", (int)size, line);
}

static char last_line[256];

static int open_one(struct listener_set *set, struct conf_listener *listener, unsigned workers)
{
    struct conf conf = {.listener_count = 1};
    list_init(&conf.listeners);
    list_push_back(&conf.listeners, &listener->node);
    log_set_sink(keep_line, last_line);
    return listener_open_all(set, &conf, workers);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 where;
    socklen_t size = sizeof where;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &size), 0);
    return ntohs(where.sin6_port); /* the same place as sin_port */
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

static void test_listener_open_all_gives_each_worker_its_socket(void **state)
{
    (void)state;
    struct conf_listener listener = {.address = "127.0.0.1", .index = 3};
    struct listener_set set;
    struct inherit_listener mine[4];
    assert_int_equal(open_one(&set, &listener, 3), 0);
    assert_int_equal(set.address_count, 1);
    uint16_t port = port_of(set.addresses[0].fds[0]);
    for (unsigned i = 0; i < 3; i++) {
        listener_of_worker(&set, i, mine);
        assert_int_equal(mine[0].listener_index, 3);
        assert_int_equal(port_of(mine[0].fd), port);
        assert_true(i == 0 || mine[0].fd != set.addresses[0].fds[0]);
    }
    assert_non_null(strstr(last_line, "Opening ipv4 listen socket on port "));
    listener_close_all(&set);
}

static void test_listener_open_all_uses_one_port_for_both_families(void **state)
{
    (void)state;
    struct conf_listener listener = {.local_only = true};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 2), 0);
    for (unsigned i = 1; i < set.address_count; i++)
        assert_int_equal(port_of(set.addresses[i].fds[0]), port_of(set.addresses[0].fds[1]));
    close(connect_to(port_of(set.addresses[0].fds[0])));
    listener_close_all(&set);
}

static void test_listener_open_all_obeys_socket_domain(void **state)
{
    (void)state;
    struct conf_listener listener = {.local_only = true, .domain = CONF_DOMAIN_IPV4};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 1), 0);
    assert_int_equal(set.address_count, 1);
    listener_close_all(&set);
}

/* SO_REUSEPORT alone would let both have the port. */
static void test_listener_open_all_refuses_port_of_other_broker(void **state)
{
    (void)state;
    struct conf_listener first = {.address = "127.0.0.1"};
    struct listener_set set;
    struct listener_set other;
    assert_int_equal(open_one(&set, &first, 2), 0);
    struct conf_listener second = {.address = "127.0.0.1",
                                   .port = port_of(set.addresses[0].fds[0])};
    assert_int_equal(open_one(&other, &second, 2), -EADDRINUSE);
    assert_non_null(strstr(last_line, "Cannot listen on 127.0.0.1:"));
    assert_non_null(strstr(last_line, "Address already in use"));
    listener_close_all(&set);
    assert_int_equal(open_one(&other, &second, 2), 0);
    listener_close_all(&other);
}

static void test_listener_open_all_names_unknown_host(void **state)
{
    (void)state;
    struct conf_listener listener = {.address = "no.such.host.invalid", .port = 1};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 1), -EADDRNOTAVAIL);
    assert_non_null(strstr(last_line, "no.such.host.invalid"));
    assert_int_equal(set.address_count, 0);
}

static void test_listener_open_all_names_foreign_address(void **state)
{
    (void)state;
    struct conf_listener listener = {.address = "192.0.2.1"};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 1), -EADDRNOTAVAIL);
    assert_non_null(strstr(last_line, "192.0.2.1"));
}

static void make_path(char *path, size_t size)
{
    snprintf(path, size, "/tmp/listener-%ld.sock", (long)getpid());
    unlink(path);
}

static void test_listener_open_all_shares_unix_socket(void **state)
{
    (void)state;
    char path[64];
    make_path(path, sizeof path);
    struct conf_listener listener = {.unix_path = path};
    struct listener_set set;
    struct listener_set other;
    assert_int_equal(open_one(&set, &listener, 3), 0);
    assert_int_equal(set.addresses[0].fds[0], set.addresses[0].fds[2]);
    assert_int_equal(open_one(&other, &listener, 1), -EADDRINUSE);
    listener_close_all(&set);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_listener_open_all_replaces_stale_unix_socket(void **state)
{
    (void)state;
    char path[64];
    make_path(path, sizeof path);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    strcpy(where.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    close(fd);
    struct conf_listener listener = {.unix_path = path};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 1), 0);
    listener_close_all(&set);
}

static void test_listener_open_all_keeps_file_that_is_no_socket(void **state)
{
    (void)state;
    char path[64];
    make_path(path, sizeof path);
    FILE *file = fopen(path, "w");
    fclose(file);
    struct conf_listener listener = {.unix_path = path};
    struct listener_set set;
    assert_int_equal(open_one(&set, &listener, 1), -EEXIST);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listener_open_all_gives_each_worker_its_socket),
        cmocka_unit_test(test_listener_open_all_uses_one_port_for_both_families),
        cmocka_unit_test(test_listener_open_all_obeys_socket_domain),
        cmocka_unit_test(test_listener_open_all_refuses_port_of_other_broker),
        cmocka_unit_test(test_listener_open_all_names_unknown_host),
        cmocka_unit_test(test_listener_open_all_names_foreign_address),
        cmocka_unit_test(test_listener_open_all_shares_unix_socket),
        cmocka_unit_test(test_listener_open_all_replaces_stale_unix_socket),
        cmocka_unit_test(test_listener_open_all_keeps_file_that_is_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
