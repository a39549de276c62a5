#include "worker/net/loop_uring.h"

#include "common/base/check.h"
#include "worker/net/uring_listen.h"
#include "worker/net/uring_setup.h"
#include "worker/net/uring_socket.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SQ_ENTRIES = 1024,
    CQ_ENTRIES = 8192, /* multishot operations post many completions each */
    STARVED_MS = 10
};

struct loop_uring *loop_uring_of(struct loop *loop)
{
    return (struct loop_uring *)loop;
}

/* -- submission -- */

/* The kernel has its own copy of what it has taken. */
static void reset_arena(struct loop_uring *u)
{
    if (io_uring_sq_ready(&u->ring) == 0)
        u->arena_used = 0;
}

static int submit(struct loop_uring *u)
{
    int r = io_uring_submit(&u->ring);

    reset_arena(u);
    return r;
}

struct io_uring_sqe *loop_uring_next_sqe(struct loop_uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

    if (sqe == NULL && submit(u) > 0)
        sqe = io_uring_get_sqe(&u->ring);
    return sqe;
}

struct io_uring_sqe *loop_uring_next_sqe_with(struct loop_uring *u, size_t size, void **ret_memory)
{
    size = (size + 15) & ~(size_t)15;
    /* First of all: a submission later on would take the memory back. */
    if (io_uring_sq_space_left(&u->ring) == 0 || LOOP_URING_ARENA_SIZE - u->arena_used < size)
        submit(u);
    if (LOOP_URING_ARENA_SIZE - u->arena_used < size)
        return NULL;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (sqe == NULL)
        return NULL;
    *ret_memory = u->arena + u->arena_used;
    u->arena_used += size;
    return sqe;
}

static uint64_t user_data_of(const void *owner, enum loop_uring_tag tag)
{
    return (uint64_t)(uintptr_t)owner | tag;
}

void loop_uring_tag(struct io_uring_sqe *sqe, const void *owner, enum loop_uring_tag tag)
{
    io_uring_sqe_set_data64(sqe, user_data_of(owner, tag));
}

bool loop_uring_cancel(struct loop_uring *u, const void *owner, enum loop_uring_tag tag)
{
    struct io_uring_sqe *sqe = loop_uring_next_sqe(u);

    if (sqe == NULL)
        return false;
    io_uring_prep_cancel64(sqe, user_data_of(owner, tag), 0);
    loop_uring_tag(sqe, NULL, LOOP_URING_NONE);
    return true;
}

bool loop_uring_is_passing(int result)
{
    /* ECONNABORTED: of a connection that was gone before it was accepted. */
    return result == -ECANCELED || result == -EINTR || result == -EAGAIN || result == -ECONNABORTED;
}

/* -- the turn -- */

static void uring_submit(struct loop *loop)
{
    submit(loop_uring_of(loop));
}

static int enter(struct loop_uring *u, int64_t timeout_ms)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec ts = {
        .tv_sec = timeout_ms / 1000,
        .tv_nsec = timeout_ms % 1000 * 1000000,
    };

    if (timeout_ms == 0)
        return io_uring_submit_and_get_events(&u->ring);
    return io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1,
                                            timeout_ms == LOOP_FOREVER ? NULL : &ts, NULL);
}

static void collect(struct loop_uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;

    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        if (count == LOOP_URING_BATCH_MAX)
            break;
        u->batch[count++] = (struct loop_uring_completion){
            .user_data = cqe->user_data,
            .result = cqe->res,
            .flags = cqe->flags,
        };
    }
    io_uring_cq_advance(&u->ring, count);
    u->batch_count = count;
}

static int uring_wait(struct loop *loop, int64_t timeout_ms)
{
    struct loop_uring *u = loop_uring_of(loop);

    /* Short of memory: receives that could not be started are tried again soon. */
    if (u->starved != NULL && (timeout_ms < 0 || timeout_ms > STARVED_MS))
        timeout_ms = STARVED_MS;
    int r = enter(u, timeout_ms);
    reset_arena(u);
    collect(u);
    /* Out of memory or of completion slots: what is collected makes room. */
    if (r >= 0 || r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY)
        return 0;
    return r;
}

static void run_completion(struct loop_uring *u, const struct loop_uring_completion *c)
{
    void *owner = (void *)(uintptr_t)(c->user_data & ~(uint64_t)LOOP_URING_TAG_MASK);

    switch ((enum loop_uring_tag)(c->user_data & LOOP_URING_TAG_MASK)) {
    case LOOP_URING_NONE:
        return;
    case LOOP_URING_RECEIVE:
        uring_socket_on_receive(u, owner, c);
        return;
    case LOOP_URING_SEND:
        uring_socket_on_sent(owner, c);
        return;
    case LOOP_URING_ACCEPT:
        uring_listen_on_accept(u, owner, c);
        return;
    case LOOP_URING_WATCH:
        uring_listen_on_watch(owner, c);
        return;
    }
    unreachable();
}

static void uring_dispatch(struct loop *loop)
{
    struct loop_uring *u = loop_uring_of(loop);

    for (unsigned i = 0; i < u->batch_count; i++)
        run_completion(u, &u->batch[i]);
    u->batch_count = 0;
    uring_socket_feed_starved(u);
    buffers_end_turn(&u->buffers);
}

static void uring_close(struct loop *loop)
{
    struct loop_uring *u = loop_uring_of(loop);

    buffers_close(&u->buffers);
    io_uring_queue_exit(&u->ring);
    free(u);
}

static const struct loop_backend backend = {
    .name = "io_uring",
    .close = uring_close,
    .wait = uring_wait,
    .dispatch = uring_dispatch,
    .run = uring_socket_run,
    .submit = uring_submit,
    .receive = uring_socket_receive,
    .receive_stop = uring_socket_receive_stop,
    .send = uring_socket_send,
    .cancel = uring_socket_cancel,
    .forget = uring_socket_forget,
    .watch = uring_listen_watch,
    .accept = uring_listen_accept,
    .accept_stop = uring_listen_stop,
    .accept_distrust = uring_listen_distrust,
};

int loop_uring_open(struct loop **ret_loop, const struct loop_limits *limits,
                    const char **ret_reason)
{
    struct loop_uring *u = calloc(1, sizeof(*u));
    int r = -ENOMEM;

    if (u != NULL)
        r = uring_setup_open(&u->ring, SQ_ENTRIES, CQ_ENTRIES);
    if (r < 0)
        goto fail;
    r = buffers_open(&u->buffers, &u->ring, limits->buffer_count, limits->buffer_size);
    if (r < 0) {
        io_uring_queue_exit(&u->ring);
        goto fail;
    }
    u->loop.backend = &backend;
    *ret_loop = &u->loop;
    *ret_reason = "io_uring";
    return 0;
fail:
    free(u);
    *ret_reason = uring_setup_reason(r);
    return r;
}
