#include "worker/net/accept.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "shm/listener_count.h"
#include "shm/stats.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { REST_MIN_MS = 10, REST_MAX_MS = 1000, ACCEPTS_PER_TURN = 256 };

struct listener {
    struct loop_acceptor acceptor;
    struct loop_watch watch; /* of a successor, in the acceptor's place */
    struct accept_group *group;
    const struct conf_listener *conf;
    struct wheel_timer timer; /* the end of a rest */
    unsigned rest_ms;         /* of the next rest */
};

struct accept_group {
    struct loop *loop;
    const struct region *region;
    const struct conf_tunable *tunable;
    accept_fn on_socket;
    void *owner;
    int spare_fd; /* given up for a moment at the descriptor limit; -1: none */
    bool has_stopped;
    bool is_successor;
    bool is_nodelay; /* as set on the listening sockets */
    unsigned count;
    struct listener listeners[];
};

/* Accepted sockets inherit it; Unix sockets do not know it. */
static void set_nodelay(struct accept_group *group)
{
    const int on = group->tunable->set_tcp_nodelay;

    group->is_nodelay = on;
    for (unsigned i = 0; i < group->count; i++)
        setsockopt(group->listeners[i].acceptor.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void open_spare(struct accept_group *group)
{
    if (group->spare_fd < 0)
        group->spare_fd = eventfd(0, EFD_CLOEXEC); /* never used as such */
}

static void rest(struct listener *l)
{
    struct loop *loop = l->group->loop;

    wheel_start(loop_wheel(loop), &l->timer, loop_now_ms(loop) + l->rest_ms);
    l->rest_ms = l->rest_ms * 2 < REST_MAX_MS ? l->rest_ms * 2 : REST_MAX_MS;
}

static void on_accept(struct loop_acceptor *acceptor, int fd_or_error);

/* A dead predecessor's io_uring may live on for seconds in the kernel, and its
 * accepts, which wait exclusively, swallow a wake-up each: a connection would hang
 * until the next one comes. So a successor does not wait in that queue; it polls,
 * which is not exclusive, and accepts by itself. */
static void accept_all(struct listener *l)
{
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (l->group->has_stopped || wheel_timer_is_running(&l->timer))
            return;
        int fd = accept4(l->acceptor.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED))
            on_accept(&l->acceptor, fd >= 0 ? fd : -errno);
    }
    wheel_start(loop_wheel(l->group->loop), &l->timer, loop_now_ms(l->group->loop));
}

static void on_readable(struct loop_watch *watch)
{
    accept_all(list_owner(watch, struct listener, watch));
}

static void start_accept(struct listener *l)
{
    if (l->group->is_successor)
        accept_all(l);
    else if (!l->group->has_stopped && loop_accept(l->group->loop, &l->acceptor) < 0)
        rest(l);
}

static void on_rest_over(struct wheel_timer *timer, void *loop_context)
{
    (void)loop_context;
    start_accept(list_owner(timer, struct listener, timer));
}

/* The client sees a closed connection and not one that hangs. */
static void refuse_one(struct listener *l)
{
    struct accept_group *group = l->group;

    if (group->spare_fd < 0)
        return;
    close(group->spare_fd);
    group->spare_fd = -1;
    int fd = accept4(l->acceptor.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    open_spare(group);
}

/* The name of the limit that is reached, or NULL. */
static const char *full_limit(const struct listener *l)
{
    const struct region *region = l->group->region;
    int64_t all_max = l->group->tunable->connections_max;
    int64_t max = l->conf->connections_max;

    if (all_max >= 0 && stats_sum(region, STAT_sockets_open) >= (uint64_t)all_max)
        return "global_max_connections";
    if (max >= 0 && listener_count_sum(region, l->conf->index) >= (uint64_t)max)
        return "max_connections";
    return NULL;
}

static void log_denied(const struct peer *peer, const char *limit)
{
    static struct log_rate rate;
    unsigned suppressed;

    if (log_rate_allows(&rate, 1, &suppressed))
        log_notice("Client connection from %s denied: %s exceeded.", peer_text(peer).text, limit);
}

static void on_connection(struct listener *l, int fd)
{
    struct accept_group *group = l->group;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0) {
        /* Some kernels' multishot accept gives numbers that are no sockets. */
        if (errno == EBADF || errno == ENOTSOCK)
            loop_accept_distrust(&l->acceptor);
        else
            close(fd);
        return;
    }
    struct peer peer = peer_of((const struct sockaddr *)&address, size);
    const char *limit = full_limit(l);
    if (limit != NULL) {
        log_denied(&peer, limit);
        close(fd);
        return;
    }
    group->on_socket(group->owner, fd, l->conf->index, &peer);
}

static void on_accept(struct loop_acceptor *acceptor, int fd_or_error)
{
    struct listener *l = list_owner(acceptor, struct listener, acceptor);
    struct accept_group *group = l->group;

    if (group->is_nodelay != group->tunable->set_tcp_nodelay)
        set_nodelay(group);
    if (fd_or_error >= 0) {
        l->rest_ms = REST_MIN_MS;
        open_spare(group);
        on_connection(l, fd_or_error);
        return;
    }
    if (fd_or_error == -EMFILE || fd_or_error == -ENFILE)
        refuse_one(l);
    if (!group->has_stopped)
        rest(l);
}

struct accept_group *accept_start(struct loop *loop, const struct inherit *inherit,
                                  const struct conf_tunable *tunable, accept_fn on_socket,
                                  void *owner)
{
    unsigned count = inherit->listener_count;
    struct accept_group *group = calloc(1, sizeof(*group) + count * sizeof(struct listener));

    if (group == NULL)
        fatal("no memory at start");
    check(count > 0);
    group->loop = loop;
    group->region = inherit->region;
    group->tunable = tunable;
    group->is_successor = inherit->is_successor;
    group->on_socket = on_socket;
    group->owner = owner;
    group->spare_fd = -1;
    group->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct listener *l = &group->listeners[i];
        l->acceptor.fd = inherit->listeners[i].fd;
        l->acceptor.on_accept = on_accept;
        l->group = group;
        l->rest_ms = REST_MIN_MS;
        l->conf = conf_listener_at(inherit->conf, inherit->listeners[i].listener_index);
        wheel_timer_init(&l->timer, on_rest_over);
    }
    open_spare(group);
    set_nodelay(group);
    for (unsigned i = 0; i < count; i++) {
        struct listener *l = &group->listeners[i];
        l->watch.on_readable = on_readable;
        if (group->is_successor)
            loop_watch_start(loop, &l->watch, l->acceptor.fd);
        start_accept(l);
    }
    return group;
}

void accept_stop(struct accept_group *group)
{
    if (group == NULL || group->has_stopped)
        return;
    group->has_stopped = true;
    for (unsigned i = 0; i < group->count; i++) {
        wheel_stop(loop_wheel(group->loop), &group->listeners[i].timer);
        if (!group->is_successor)
            loop_accept_stop(&group->listeners[i].acceptor);
    }
}

void accept_free(struct accept_group *group)
{
    if (group == NULL)
        return;
    accept_stop(group);
    if (group->spare_fd >= 0)
        close(group->spare_fd);
    free(group);
}
