#include "worker/net/uring_listen.h"

#include "common/base/check.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* Flags of loop_acceptor.state. */
enum { WANTED = 1, ARMED = 2 };

static int arm_accept(struct loop_uring *u, struct loop_acceptor *a)
{
    struct io_uring_sqe *sqe = loop_uring_next_sqe(u);

    if (sqe == NULL)
        return -ENOMEM;
    if (u->accepts_singly)
        io_uring_prep_accept(sqe, a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    else
        io_uring_prep_multishot_accept(sqe, a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    loop_uring_tag(sqe, a, LOOP_URING_ACCEPT);
    a->state |= WANTED | ARMED;
    return 0;
}

int uring_listen_accept(struct loop_acceptor *a)
{
    if (!(a->state & ARMED))
        return arm_accept(loop_uring_of(a->loop), a);
    a->state |= WANTED;
    return 0;
}

void uring_listen_stop(struct loop_acceptor *a)
{
    a->state &= (uint16_t)~WANTED;
    if (a->state & ARMED)
        loop_uring_cancel(loop_uring_of(a->loop), a, LOOP_URING_ACCEPT);
}

void uring_listen_distrust(struct loop_acceptor *a)
{
    struct loop_uring *u = loop_uring_of(a->loop);

    u->accepts_singly = true;
    if (a->state & ARMED)
        loop_uring_cancel(u, a, LOOP_URING_ACCEPT);
}

void uring_listen_on_accept(struct loop_uring *u, struct loop_acceptor *a,
                            const struct loop_uring_completion *c)
{
    int result = c->result;

    if (result == -EINVAL && !u->accepts_singly) {
        u->accepts_singly = true; /* this kernel knows no multishot accept */
        result = -ECANCELED;
    }
    if (result < 0 && !loop_uring_is_passing(result))
        a->state &= (uint16_t)~WANTED;
    if (!(c->flags & IORING_CQE_F_MORE)) {
        a->state &= (uint16_t)~ARMED;
        if ((a->state & WANTED) && arm_accept(u, a) < 0) {
            a->state = 0;
            a->on_accept(a, -ENOMEM);
        }
    }
    if (result >= 0 || !loop_uring_is_passing(result))
        a->on_accept(a, result);
}

void uring_listen_watch(struct loop_watch *w)
{
    struct io_uring_sqe *sqe = loop_uring_next_sqe(loop_uring_of(w->loop));

    if (sqe == NULL)
        fatal("io_uring takes no request");
    io_uring_prep_poll_multishot(sqe, w->fd, POLLIN);
    loop_uring_tag(sqe, w, LOOP_URING_WATCH);
}

void uring_listen_on_watch(struct loop_watch *w, const struct loop_uring_completion *c)
{
    check(c->result != -EBADF);
    /* Armed anew it tells at once what came in between. */
    if (!(c->flags & IORING_CQE_F_MORE))
        uring_listen_watch(w);
    w->on_readable(w);
}
