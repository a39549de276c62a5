#include "worker/net/uring_socket.h"

#include "common/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Private flags of loop_socket.state. */
enum {
    ARMED = LOOP_PRIVATE,         /* a receive is in flight */
    CANCELLED = LOOP_PRIVATE << 1 /* and was asked to end */
};

/* -- receiving -- */

static void starve(struct loop_uring *u, struct loop_socket *s)
{
    if (s->state & LOOP_QUEUED)
        return;
    s->state |= LOOP_QUEUED;
    s->next = u->starved;
    u->starved = s;
}

static void arm_receive(struct loop_uring *u, struct loop_socket *s)
{
    struct io_uring_sqe *sqe = loop_uring_next_sqe(u);

    if (sqe == NULL) {
        starve(u, s);
        return;
    }
    if (s->state & LOOP_WANT_ALL)
        io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, s->fd, NULL, u->buffers.size, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFERS_GROUP;
    loop_uring_tag(sqe, s, LOOP_URING_RECEIVE);
    s->state |= ARMED;
    s->inflight++;
}

void uring_socket_receive(struct loop_socket *s)
{
    if (!(s->state & ARMED))
        arm_receive(loop_uring_of(s->loop), s);
}

void uring_socket_receive_stop(struct loop_socket *s)
{
    if (!(s->state & ARMED) || (s->state & CANCELLED))
        return;
    if (loop_uring_cancel(loop_uring_of(s->loop), s, LOOP_URING_RECEIVE))
        s->state |= CANCELLED;
}

/* What follows from a completion for the operation itself. Before the callback,
 * which may give the socket away. */
static void settle_receive(struct loop_uring *u, struct loop_socket *s,
                           const struct loop_uring_completion *c)
{
    if (c->flags & IORING_CQE_F_MORE) {
        if (!(s->state & LOOP_WANTED))
            uring_socket_receive_stop(s); /* the first try found no room */
        return;
    }
    s->state &= (uint16_t) ~(ARMED | CANCELLED);
    s->inflight--;
    if (s->state & LOOP_CLOSING)
        return;
    if (c->result > 0)
        s->state &= (uint16_t)~LOOP_WANT_ONCE;
    if (!(s->state & LOOP_WANTED))
        return;
    if (c->result == -ENOBUFS)
        starve(u, s);
    else if (c->result > 0 || loop_uring_is_passing(c->result))
        arm_receive(u, s);
}

static bool is_end(int result)
{
    return result <= 0 && result != -ENOBUFS && !loop_uring_is_passing(result);
}

void uring_socket_on_receive(struct loop_uring *u, struct loop_socket *s,
                             const struct loop_uring_completion *c)
{
    unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;

    settle_receive(u, s, c);
    if (s->state & LOOP_CLOSING) {
        if (s->inflight == 0)
            loop_queue(s);
    } else if (c->result > 0) {
        s->ops->on_data(s, buffers_bytes(&u->buffers, id, (size_t)c->result));
    } else if (is_end(c->result)) {
        loop_tell_end(s, c->result);
    }
    if (c->flags & IORING_CQE_F_BUFFER)
        buffers_give_back(&u->buffers, id);
}

/* -- sending -- */

static bool start_send_one(struct loop_uring *u, struct loop_socket *s, const struct iovec *iov)
{
    struct io_uring_sqe *sqe = loop_uring_next_sqe(u);

    if (sqe == NULL)
        return false;
    io_uring_prep_send(sqe, s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    loop_uring_tag(sqe, s, LOOP_URING_SEND);
    return true;
}

static bool start_send_many(struct loop_uring *u, struct loop_socket *s, const struct iovec *iov,
                            unsigned count)
{
    void *memory;
    size_t iov_size = count * sizeof(*iov);
    struct io_uring_sqe *sqe =
        loop_uring_next_sqe_with(u, sizeof(struct msghdr) + iov_size, &memory);

    if (sqe == NULL)
        return false;
    struct msghdr *message = memory;
    *message = (struct msghdr){.msg_iov = (struct iovec *)(message + 1), .msg_iovlen = count};
    memcpy(message->msg_iov, iov, iov_size);
    io_uring_prep_sendmsg(sqe, s->fd, message, MSG_NOSIGNAL);
    loop_uring_tag(sqe, s, LOOP_URING_SEND);
    return true;
}

void uring_socket_send(struct loop_socket *s, struct iovec *iov, unsigned count)
{
    struct loop_uring *u = loop_uring_of(s->loop);

    if (count == 1 ? start_send_one(u, s, iov) : start_send_many(u, s, iov, count)) {
        s->inflight++;
        return;
    }
    s->result = 0;
    s->state |= LOOP_SENT;
    loop_queue(s);
}

void uring_socket_on_sent(struct loop_socket *s, const struct loop_uring_completion *c)
{
    bool again = c->result == -EINTR || c->result == -EAGAIN;

    s->inflight--;
    loop_tell_sent(s, again ? 0 : c->result);
    if ((s->state & LOOP_CLOSING) && s->inflight == 0)
        loop_queue(s);
}

/* -- what had to wait -- */

void uring_socket_run(struct loop_socket *s)
{
    if (s->state & LOOP_SENT)
        loop_tell_sent(s, s->result);
    if ((s->state & LOOP_WANTED) && !(s->state & (ARMED | LOOP_CLOSING)))
        arm_receive(loop_uring_of(s->loop), s);
}

/* Buffers are back: receives that found none go on. */
void uring_socket_feed_starved(struct loop_uring *u)
{
    struct loop_socket *s = u->starved;

    if (s == NULL)
        return;
    buffers_run_short(&u->buffers);
    u->starved = NULL;
    while (s != NULL) {
        struct loop_socket *next = s->next;
        s->state &= (uint16_t)~LOOP_QUEUED;
        if (!(s->state & LOOP_CLOSING))
            uring_socket_run(s);
        else if (s->inflight == 0)
            loop_queue(s);
        s = next;
    }
}

/* -- closing -- */

void uring_socket_cancel(struct loop_socket *s)
{
    struct loop_uring *u = loop_uring_of(s->loop);
    bool asked = true;

    if ((s->state & ARMED) && !(s->state & CANCELLED))
        asked = loop_uring_cancel(u, s, LOOP_URING_RECEIVE);
    if ((s->state & LOOP_SENDING) && !(s->state & LOOP_SENT))
        asked &= loop_uring_cancel(u, s, LOOP_URING_SEND);
    if (!asked)
        shutdown(s->fd, SHUT_RDWR); /* ends both as well */
}

void uring_socket_forget(struct loop_socket *s)
{
    check(!(s->state & ARMED));
}
