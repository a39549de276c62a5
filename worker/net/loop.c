#include "worker/net/loop.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "worker/net/loop_backend.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* Bounds of one turn: the rest waits for the next one, so that rings and
     * other connections get their share. */
    QUEUE_PER_TURN = 512,
    TIMERS_PER_TURN = 1024,
    BUFFER_COUNT = 256,
    BUFFER_SIZE = LOOP_ONCE_MAX
};

/* *ret_reason says why it is not io_uring. */
static int open_second_choice(struct loop **ret_loop, const char **ret_reason)
{
    const char *refusal = *ret_reason;
    int r = loop_epoll_open(ret_loop, ret_reason);

    if (r < 0)
        return r;
    snprintf((*ret_loop)->reason, LOOP_REASON_MAX, "epoll, because %s", refusal);
    *ret_reason = (*ret_loop)->reason;
    return 0;
}

static int open_backend(struct loop **ret_loop, enum conf_event_loop wanted,
                        const struct loop_limits *limits, const char **ret_reason)
{
    switch (wanted) {
    case CONF_LOOP_URING:
        return loop_uring_open(ret_loop, limits, ret_reason);
    case CONF_LOOP_EPOLL:
        return loop_epoll_open(ret_loop, ret_reason);
    case CONF_LOOP_AUTO:
        if (loop_uring_open(ret_loop, limits, ret_reason) == 0)
            return 0;
        return open_second_choice(ret_loop, ret_reason);
    }
    unreachable();
}

int loop_open_sized(struct loop **ret_loop, enum conf_event_loop wanted, void *context,
                    const struct loop_limits *limits, const char **ret_reason)
{
    struct loop *loop;
    int r = open_backend(&loop, wanted, limits, ret_reason);

    if (r < 0)
        return r;
    loop->now_ms = clock_now_ms();
    loop->wheel = wheel_new(loop->now_ms, context);
    *ret_loop = loop;
    return 0;
}

int loop_open(struct loop **ret_loop, enum conf_event_loop wanted, void *context,
              const char **ret_reason)
{
    static const struct loop_limits limits = {
        .buffer_count = BUFFER_COUNT,
        .buffer_size = BUFFER_SIZE,
    };

    return loop_open_sized(ret_loop, wanted, context, &limits, ret_reason);
}

void loop_close(struct loop *loop)
{
    if (loop == NULL)
        return;
    wheel_free(loop->wheel);
    loop->backend->close(loop);
}

const char *loop_name(const struct loop *loop)
{
    return loop->backend->name;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

struct wheel *loop_wheel(struct loop *loop)
{
    return loop->wheel;
}

void loop_submit(struct loop *loop)
{
    loop->backend->submit(loop);
}

/* -- the turn -- */

void loop_queue(struct loop_socket *socket)
{
    struct loop *loop = socket->loop;

    if (socket->state & LOOP_QUEUED)
        return;
    socket->state |= LOOP_QUEUED;
    socket->next = NULL;
    if (loop->queue_first == NULL)
        loop->queue_first = socket;
    else
        loop->queue_last->next = socket;
    loop->queue_last = socket;
    loop->queue_count++;
}

static struct loop_socket *take_queued(struct loop *loop)
{
    struct loop_socket *socket = loop->queue_first;

    loop->queue_first = socket->next;
    loop->queue_count--;
    socket->state &= (uint16_t)~LOOP_QUEUED;
    return socket;
}

static void run_socket(struct loop_socket *socket)
{
    if (!(socket->state & LOOP_CLOSING)) {
        socket->loop->backend->run(socket);
        return;
    }
    check(socket->inflight == 0);
    close(socket->fd);
    socket->fd = -1;
    socket->ops->on_closed(socket);
}

/* Only what was there at the begin: a callback may queue its socket anew. */
static void run_queue(struct loop *loop)
{
    unsigned count = loop->queue_count;

    if (count > QUEUE_PER_TURN)
        count = QUEUE_PER_TURN;
    while (count-- > 0)
        run_socket(take_queued(loop));
}

static int64_t sleep_ms(const struct loop *loop, uint64_t until_ms)
{
    uint64_t due_ms = wheel_next_ms(loop->wheel);

    if (due_ms > until_ms)
        due_ms = until_ms;
    if (due_ms == UINT64_MAX)
        return LOOP_FOREVER;
    uint64_t now_ms = clock_now_ms();
    return due_ms > now_ms ? (int64_t)(due_ms - now_ms) : 0;
}

int loop_turn(struct loop *loop, bool may_sleep, uint64_t until_ms)
{
    bool sleeps = may_sleep && loop->queue_count == 0;
    int r = loop->backend->wait(loop, sleeps ? sleep_ms(loop, until_ms) : 0);

    loop->now_ms = clock_now_ms();
    run_queue(loop);
    loop->backend->dispatch(loop);
    wheel_advance(loop->wheel, loop->now_ms, TIMERS_PER_TURN);
    return r;
}

/* -- sockets -- */

void loop_socket_init(struct loop *loop, struct loop_socket *socket, int fd,
                      const struct loop_socket_ops *ops)
{
    *socket = (struct loop_socket){.loop = loop, .ops = ops, .fd = fd};
}

static void want(struct loop_socket *socket, uint16_t flag)
{
    check(!(socket->state & LOOP_CLOSING));
    if (socket->state & (LOOP_ENDED | flag))
        return;
    socket->state |= flag;
    socket->loop->backend->receive(socket);
}

void loop_receive(struct loop_socket *socket)
{
    want(socket, LOOP_WANT_ALL);
}

void loop_receive_once(struct loop_socket *socket)
{
    check(!(socket->state & LOOP_WANT_ALL));
    want(socket, LOOP_WANT_ONCE);
}

void loop_receive_stop(struct loop_socket *socket)
{
    check(!(socket->state & LOOP_CLOSING));
    if (!(socket->state & LOOP_WANTED))
        return;
    socket->state &= (uint16_t)~LOOP_WANTED;
    socket->loop->backend->receive_stop(socket);
}

void loop_send(struct loop_socket *socket, struct iovec *iov, unsigned count)
{
    check(!(socket->state & (LOOP_CLOSING | LOOP_SENDING)));
    check(count > 0);
    check(count <= LOOP_IOV_MAX);
    socket->state |= LOOP_SENDING;
    socket->loop->backend->send(socket, iov, count);
}

bool loop_is_sending(const struct loop_socket *socket)
{
    return socket->state & LOOP_SENDING;
}

bool loop_is_closing(const struct loop_socket *socket)
{
    return socket->state & LOOP_CLOSING;
}

void loop_socket_shutdown(struct loop_socket *socket)
{
    check(!(socket->state & (LOOP_CLOSING | LOOP_SENDING)));
    /* A peer that is gone already is told by on_end. */
    shutdown(socket->fd, SHUT_WR);
}

void loop_socket_close(struct loop_socket *socket)
{
    check(!(socket->state & LOOP_CLOSING));
    socket->state |= LOOP_CLOSING;
    socket->loop->backend->cancel(socket);
    if (socket->inflight == 0)
        loop_queue(socket); /* else the last completion does */
}

void loop_socket_drop(struct loop_socket *socket)
{
    if (socket->fd < 0)
        return;
    /* What the kernel still has of ours must not send memory that is freed. */
    shutdown(socket->fd, SHUT_RDWR);
    close(socket->fd);
    socket->fd = -1;
}

int loop_socket_release(struct loop_socket *socket)
{
    int fd = socket->fd;

    check(socket->inflight == 0);
    check(!(socket->state & (LOOP_QUEUED | LOOP_CLOSING | LOOP_SENDING | LOOP_WANTED)));
    socket->loop->backend->forget(socket);
    socket->fd = -1;
    return fd;
}

void loop_tell_end(struct loop_socket *socket, int error)
{
    if (socket->state & (LOOP_CLOSING | LOOP_ENDED))
        return;
    socket->state |= LOOP_ENDED;
    socket->state &= (uint16_t)~LOOP_WANTED;
    socket->ops->on_end(socket, error);
}

void loop_tell_sent(struct loop_socket *socket, ptrdiff_t result)
{
    socket->state &= (uint16_t) ~(LOOP_SENDING | LOOP_SENT);
    if (!(socket->state & LOOP_CLOSING))
        socket->ops->on_sent(socket, result);
}

/* -- other descriptors -- */

void loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd)
{
    watch->loop = loop;
    watch->fd = fd;
    loop->backend->watch(watch);
}

int loop_accept(struct loop *loop, struct loop_acceptor *acceptor)
{
    acceptor->loop = loop;
    return loop->backend->accept(acceptor);
}

void loop_accept_stop(struct loop_acceptor *acceptor)
{
    acceptor->loop->backend->accept_stop(acceptor);
}

void loop_accept_distrust(struct loop_acceptor *acceptor)
{
    acceptor->loop->backend->accept_distrust(acceptor);
}
