#ifndef COURTIER_TESTS_UNIT_WORKER_NET_NET_FIXTURE_H
#define COURTIER_TESTS_UNIT_WORKER_NET_NET_FIXTURE_H

/*
 * A loop for a test, on each of the two backends in turn: BACKENDS(function)
 * stands for two tests. Where io_uring is refused its half is skipped, with the
 * reason.
 */

#include "common/base/clock.h"
#include "worker/net/loop.h"
#include "worker/net/loop_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { NET_PATIENCE_MS = 5000 };

#define BACKENDS(function) \
    {#function " (io_uring)", function, net_set_up_uring, net_tear_down, NULL}, \
    { \
#function " (epoll)", function, net_set_up_epoll, net_tear_down, NULL \
    }

struct net {
    struct loop *loop; /* NULL: refused */
    const char *reason;
    enum conf_event_loop kind;
};

static inline int net_set_up(void **state, enum conf_event_loop kind)
{
    struct net *net = calloc(1, sizeof(*net));

    net->kind = kind;
    if (loop_open(&net->loop, kind, NULL, &net->reason) < 0)
        net->loop = NULL;
    *state = net;
    return 0;
}

static inline int net_set_up_uring(void **state)
{
    return net_set_up(state, CONF_LOOP_URING);
}

static inline int net_set_up_epoll(void **state)
{
    return net_set_up(state, CONF_LOOP_EPOLL);
}

static inline int net_tear_down(void **state)
{
    struct net *net = *state;

    loop_close(net->loop);
    free(net);
    return 0;
}

static inline struct net *net_of(void **state)
{
    struct net *net = *state;

    if (net->loop == NULL) {
        print_message("skipped: %s\n", net->reason);
        skip();
    }
    return net;
}

/* Raises the limit, or skips the test where that is not allowed. */
static inline void net_need_descriptors(rlim_t count)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    print_message("skipped: the limit of open files is below %u\n", (unsigned)count);
    skip();
}

/* The same backend with other limits. */
static inline void net_reopen(struct net *net, const struct loop_limits *limits)
{
    loop_close(net->loop);
    assert_int_equal(loop_open_sized(&net->loop, net->kind, NULL, limits, &net->reason), 0);
}

static inline void net_turn(struct net *net)
{
    assert_int_equal(loop_turn(net->loop, false, 0), 0);
}

static inline void net_turns(struct net *net, unsigned count)
{
    while (count-- > 0)
        net_turn(net);
}

/* Takes turns until the condition holds. */
#define net_until(net, condition) \
    do { \
        uint64_t net_end_ms = clock_now_ms() + NET_PATIENCE_MS; \
        while (!(condition)) { \
            assert_true(clock_now_ms() < net_end_ms); \
            assert_int_equal(loop_turn((net)->loop, true, clock_now_ms() + 20), 0); \
        } \
    } while (0)

/* Turns that the loop takes in a time in which it has nothing to do. */
static inline unsigned net_count_turns(struct net *net, unsigned ms)
{
    uint64_t end_ms = clock_now_ms() + ms;
    unsigned count = 0;

    while (clock_now_ms() < end_ms) {
        assert_int_equal(loop_turn(net->loop, true, end_ms), 0);
        count++;
    }
    return count;
}

static inline void net_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void net_write(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

#endif
