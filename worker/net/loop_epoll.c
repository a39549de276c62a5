#include "common/base/check.h"
#include "worker/net/loop_backend.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The epoll backend. A socket is watched edge-triggered, from the first time
 * that the kernel had nothing for it; what the edges said is remembered in its
 * flags, so that stopping and starting costs no system call. A socket with
 * something to do is in the loop's queue, and each gets one receive per turn.
 *
 * A send is tried at once. Its result is told in the next turn; when nothing was
 * taken, that is when the socket is writable again, with 0 bytes.
 */

enum { EVENTS_MAX = 256, RECEIVE_SIZE = 64 * 1024, ACCEPTS_PER_TURN = 64 };

/* Private flags of loop_socket.state. */
enum {
    UNREAD = LOOP_PRIVATE,       /* there may be bytes in the kernel */
    HUNG_UP = LOOP_PRIVATE << 1, /* and an end behind them */
    BLOCKED = LOOP_PRIVATE << 2, /* a send waits for room */
    WATCHED = LOOP_PRIVATE << 3, /* in the epoll set */
    WATCHED_OUT = LOOP_PRIVATE << 4
};

/* Flag of loop_acceptor.state. */
enum { ACCEPTING = 1 };

/* Kinds of owners, in the low bits of an event's data. */
enum tag { TAG_SOCKET, TAG_WATCH, TAG_ACCEPTOR, TAG_MASK = 7 };

struct loop_epoll {
    struct loop loop; /* first: the address of both is the same */
    int fd;
    unsigned event_count; /* of watches and acceptors, to be dispatched */
    struct epoll_event events[EVENTS_MAX];
    uint8_t buffer[RECEIVE_SIZE];
};

static struct loop_epoll *epoll_of(struct loop *loop)
{
    return (struct loop_epoll *)loop;
}

static int control(struct loop *loop, int operation, int fd, uint32_t events, const void *owner,
                   enum tag tag)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)(uintptr_t)owner | tag,
    };

    return epoll_ctl(epoll_of(loop)->fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* -- sockets -- */

/* Out of memory or of watches (fs.epoll.max_user_watches): the connection ends. */
static bool watch_socket(struct loop_socket *s, bool out)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET | (out ? EPOLLOUT : 0U);
    uint16_t wanted = (uint16_t)(WATCHED | (out ? WATCHED_OUT : 0));

    if ((s->state & wanted) == wanted)
        return true;
    if (control(s->loop, s->state & WATCHED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, events, s,
                TAG_SOCKET) < 0)
        return false;
    s->state |= wanted;
    return true;
}

static void epoll_receive(struct loop_socket *s)
{
    /* Not in the set yet: whether there is something is found out by trying. */
    if (!(s->state & WATCHED))
        s->state |= UNREAD;
    if (s->state & UNREAD)
        loop_queue(s);
}

static void epoll_receive_stop(struct loop_socket *s)
{
    (void)s; /* edges only set flags */
}

static void receive_end(struct loop_socket *s, ssize_t result)
{
    if (result == 0) {
        loop_tell_end(s, 0);
    } else if (result == -EINTR) {
        loop_queue(s);
    } else if (result != -EAGAIN) {
        loop_tell_end(s, (int)result);
    } else {
        s->state &= (uint16_t)~UNREAD;
        if (!watch_socket(s, false))
            loop_tell_end(s, -ENOMEM);
    }
}

static void receive(struct loop_socket *s)
{
    struct loop_epoll *e = epoll_of(s->loop);
    size_t size = s->state & LOOP_WANT_ALL ? RECEIVE_SIZE : LOOP_ONCE_MAX;
    ssize_t result = recv(s->fd, e->buffer, size, MSG_DONTWAIT);

    if (result <= 0) {
        receive_end(s, result < 0 ? -errno : 0);
        return;
    }
    s->state &= (uint16_t)~LOOP_WANT_ONCE;
    /* A short read has emptied the socket; a new edge tells of more. But the
     * edge of an end that came along is past already. */
    if ((size_t)result < size && (s->state & WATCHED) && !(s->state & HUNG_UP))
        s->state &= (uint16_t)~UNREAD;
    else if (s->state & LOOP_WANTED)
        loop_queue(s);
    /* Last: the callback may give the socket away. */
    s->ops->on_data(s, (struct bytes){.data = e->buffer, .size = (size_t)result});
}

static void epoll_send(struct loop_socket *s, struct iovec *iov, unsigned count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t result = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (result < 0 && errno == EAGAIN) {
        if (watch_socket(s, true)) {
            s->state |= BLOCKED;
            return;
        }
        errno = ENOMEM;
    }
    s->state |= LOOP_SENT;
    s->result = result >= 0 ? (int32_t)result : errno == EINTR ? 0 : -errno;
    loop_queue(s);
}

static void epoll_run(struct loop_socket *s)
{
    if (s->state & LOOP_SENT)
        loop_tell_sent(s, s->result);
    if ((s->state & LOOP_CLOSING) || !(s->state & LOOP_WANTED) || !(s->state & UNREAD))
        return;
    receive(s);
}

/* Closing would not do: the set holds what the descriptor stands for, and the
 * worker that passed it on may have its own copy still open, so that events would
 * come for a socket that is freed. */
static void unwatch_socket(struct loop_socket *s)
{
    if (s->state & WATCHED)
        check(control(s->loop, EPOLL_CTL_DEL, s->fd, 0, s, TAG_SOCKET) == 0);
}

static void note_events(struct loop_socket *s, uint32_t events)
{
    bool is_over = events & (EPOLLHUP | EPOLLERR);

    if (events & ~(uint32_t)EPOLLOUT)
        s->state |= UNREAD;
    if (is_over || (events & EPOLLRDHUP))
        s->state |= HUNG_UP;
    if ((s->state & BLOCKED) && (is_over || (events & EPOLLOUT))) {
        s->state &= (uint16_t)~BLOCKED;
        s->state |= LOOP_SENT;
        s->result = 0;
    }
    if ((s->state & LOOP_SENT) || ((s->state & LOOP_WANTED) && (s->state & UNREAD)))
        loop_queue(s);
}

/* -- listeners and other descriptors -- */

static int epoll_accept(struct loop_acceptor *a)
{
    int r = 0;

    if (!(a->state & ACCEPTING))
        r = control(a->loop, EPOLL_CTL_ADD, a->fd, EPOLLIN, a, TAG_ACCEPTOR);
    if (r == 0)
        a->state |= ACCEPTING;
    return r;
}

static void epoll_accept_stop(struct loop_acceptor *a)
{
    if (!(a->state & ACCEPTING))
        return;
    a->state &= (uint16_t)~ACCEPTING;
    check(control(a->loop, EPOLL_CTL_DEL, a->fd, 0, a, TAG_ACCEPTOR) == 0);
}

static void epoll_accept_distrust(struct loop_acceptor *a)
{
    (void)a; /* accept4() can be trusted */
}

static void on_acceptable(struct loop_acceptor *a)
{
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && (a->state & ACCEPTING); i++) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        int result = fd >= 0 ? fd : -errno;
        if (fd < 0)
            epoll_accept_stop(a);
        a->on_accept(a, result);
    }
}

static void epoll_watch(struct loop_watch *w)
{
    int r = control(w->loop, EPOLL_CTL_ADD, w->fd, EPOLLIN | EPOLLET, w, TAG_WATCH);

    if (r < 0)
        fatal("epoll takes no descriptor: error %d", -r);
}

/* -- the turn -- */

static void epoll_submit(struct loop *loop)
{
    (void)loop; /* all is started at once */
}

/* Before any callback: what is in the set now is alive. */
static void note_all(struct loop_epoll *e, unsigned count)
{
    e->event_count = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t data = e->events[i].data.u64;
        if ((data & TAG_MASK) == TAG_SOCKET)
            note_events((struct loop_socket *)(uintptr_t)data, e->events[i].events);
        else
            e->events[e->event_count++] = e->events[i];
    }
}

static int epoll_wait_events(struct loop *loop, int64_t timeout_ms)
{
    struct loop_epoll *e = epoll_of(loop);
    int count =
        epoll_wait(e->fd, e->events, EVENTS_MAX, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
    int r = count < 0 && errno != EINTR ? -errno : 0;

    note_all(e, count > 0 ? (unsigned)count : 0);
    return r;
}

static void epoll_dispatch(struct loop *loop)
{
    struct loop_epoll *e = epoll_of(loop);

    for (unsigned i = 0; i < e->event_count; i++) {
        uint64_t data = e->events[i].data.u64;
        void *owner = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
        if ((data & TAG_MASK) == TAG_WATCH)
            ((struct loop_watch *)owner)->on_readable(owner);
        else
            on_acceptable(owner);
    }
}

static void epoll_close(struct loop *loop)
{
    close(epoll_of(loop)->fd);
    free(loop);
}

static const struct loop_backend backend = {
    .name = "epoll",
    .close = epoll_close,
    .wait = epoll_wait_events,
    .dispatch = epoll_dispatch,
    .run = epoll_run,
    .submit = epoll_submit,
    .receive = epoll_receive,
    .receive_stop = epoll_receive_stop,
    .send = epoll_send,
    .cancel = unwatch_socket,
    .forget = unwatch_socket,
    .watch = epoll_watch,
    .accept = epoll_accept,
    .accept_stop = epoll_accept_stop,
    .accept_distrust = epoll_accept_distrust,
};

int loop_epoll_open(struct loop **ret_loop, const char **ret_reason)
{
    struct loop_epoll *e = malloc(sizeof(*e));

    if (e == NULL) {
        *ret_reason = "no memory for the event loop";
        return -ENOMEM;
    }
    e->loop = (struct loop){.backend = &backend};
    e->event_count = 0;
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    if (e->fd < 0) {
        int r = -errno;
        free(e);
        *ret_reason = "epoll failed to start";
        return r;
    }
    *ret_loop = &e->loop;
    *ret_reason = "epoll";
    return 0;
}
