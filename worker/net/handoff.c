#include "worker/net/handoff.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/base/list.h"
#include "common/ipc/fdpass.h"
#include "shm/listener_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A message is the head and then the bytes. Both sides are forks of one
 * executable, so the head travels as it lies in memory; what does not hold
 * together is dropped, because the sender may be a process that has gone wrong.
 */

enum { ARRIVALS_PER_TURN = 64, RETRY_MS = 3, WAITING_MS_MAX = 5000 };

struct head {
    struct peer peer;
    uint16_t listener_index;
};

/* A connection that found the way to its home full. */
struct waiting {
    struct list_node node;
    uint64_t until_ms;
    unsigned to;
    int fd;
    struct head head;
    size_t size;
    uint8_t pending[];
};

struct handoff {
    struct loop *loop;
    int in;
    const int *out;
    unsigned worker_count;
    handoff_fn on_arrival;
    void *owner;
    struct loop_watch watch;
    struct wheel_timer arrival_timer; /* more arrivals than one turn takes */
    struct wheel_timer retry_timer;
    struct list_node waiting;
    unsigned waiting_count;
    uint8_t memory[sizeof(struct head) + HANDOFF_BYTES_MAX]; /* one arrival */
};

/* -- arriving -- */

static void arrive(struct handoff *h, int fd, size_t size)
{
    struct head head;

    if (fd < 0)
        return; /* no room for one more descriptor here */
    if (size < sizeof(head)) {
        close(fd);
        return;
    }
    kill_point("handoff-arrived");
    memcpy(&head, h->memory, sizeof(head));
    if (head.listener_index >= LAYOUT_LISTENERS) {
        close(fd);
        return;
    }
    h->on_arrival(h->owner, fd, head.listener_index, &head.peer,
                  (struct bytes){.data = h->memory + sizeof(head), .size = size - sizeof(head)});
}

static void take_arrivals(struct handoff *h)
{
    for (unsigned i = 0; i < ARRIVALS_PER_TURN; i++) {
        int fd = -1;
        ssize_t size = fdpass_receive(h->watch.fd, h->memory, sizeof(h->memory), &fd);
        if (size > 0)
            arrive(h, fd, (size_t)size);
        else if (size != -EMSGSIZE)
            return; /* no more; or a fault that asking again would not mend */
    }
    wheel_start(loop_wheel(h->loop), &h->arrival_timer, loop_now_ms(h->loop));
}

static void on_readable(struct loop_watch *watch)
{
    take_arrivals(list_owner(watch, struct handoff, watch));
}

static void on_arrival_timer(struct wheel_timer *timer, void *loop_context)
{
    (void)loop_context;
    take_arrivals(list_owner(timer, struct handoff, arrival_timer));
}

/* -- leaving -- */

static int send_now(const struct handoff *h, unsigned to, int fd, const struct head *head,
                    struct bytes pending)
{
    struct head copy = *head;
    struct iovec iov[2] = {
        {.iov_base = &copy, .iov_len = sizeof(copy)},
        {.iov_base = (void *)(uintptr_t)pending.data, .iov_len = pending.size},
    };

    kill_point("handoff-due");
    int r = fdpass_send(h->out[to], fd, iov, pending.size > 0 ? 2 : 1);
    kill_point("handoff-sent");
    return r;
}

static bool is_full(int error)
{
    return error == -EAGAIN || error == -ETOOMANYREFS || error == -ENOBUFS || error == -EINTR;
}

static void drop(struct handoff *h, struct waiting *w)
{
    list_remove(&w->node);
    h->waiting_count--;
    close(w->fd);
    free(w);
}

/* In order for each home: once one is full, the others for it wait as well. */
static void on_retry(struct wheel_timer *timer, void *loop_context)
{
    struct handoff *h = list_owner(timer, struct handoff, retry_timer);
    uint64_t now_ms = loop_now_ms(h->loop);
    uint64_t full = 0;

    (void)loop_context;
    list_for_each(node, &h->waiting) {
        struct waiting *w = list_owner(node, struct waiting, node);
        struct bytes pending = {.data = w->pending, .size = w->size};
        uint64_t home = 1ULL << w->to;
        if (!(full & home) && is_full(send_now(h, w->to, w->fd, &w->head, pending)))
            full |= home;
        if (!(full & home) || w->until_ms <= now_ms)
            drop(h, w);
    }
    if (h->waiting_count > 0)
        wheel_start(loop_wheel(h->loop), timer, now_ms + RETRY_MS);
}

static int wait_in_line(struct handoff *h, unsigned to, int fd, const struct head *head,
                        struct bytes pending)
{
    struct waiting *w = NULL;

    if (h->waiting_count < HANDOFF_WAITING_MAX)
        w = malloc(sizeof(*w) + pending.size);
    if (w == NULL)
        return -ENOBUFS;
    w->until_ms = loop_now_ms(h->loop) + WAITING_MS_MAX;
    w->to = to;
    w->fd = fd;
    w->head = *head;
    w->size = pending.size;
    if (pending.size > 0)
        memcpy(w->pending, pending.data, pending.size);
    list_push_back(&h->waiting, &w->node);
    h->waiting_count++;
    if (!wheel_timer_is_running(&h->retry_timer))
        wheel_start(loop_wheel(h->loop), &h->retry_timer, loop_now_ms(h->loop) + RETRY_MS);
    return 0;
}

int handoff_send(struct handoff *h, unsigned to, int fd, uint16_t listener_index,
                 const struct peer *peer, struct bytes pending)
{
    struct head head = {.peer = *peer, .listener_index = listener_index};
    int r = -EMSGSIZE;

    check(to < h->worker_count);
    if (fd < 0)
        return fd;
    if (pending.size <= HANDOFF_BYTES_MAX)
        r = send_now(h, to, fd, &head, pending);
    if (is_full(r)) {
        r = wait_in_line(h, to, fd, &head, pending);
        if (r == 0)
            return 0;
    }
    close(fd);
    return r;
}

/* -- life -- */

struct handoff *handoff_new(struct loop *loop, int in, const int *out, unsigned worker_count,
                            handoff_fn on_arrival, void *owner)
{
    struct handoff *h = calloc(1, sizeof(*h));

    if (h == NULL)
        fatal("no memory at start");
    check(worker_count <= 64);
    h->loop = loop;
    h->out = out;
    h->worker_count = worker_count;
    h->on_arrival = on_arrival;
    h->owner = owner;
    list_init(&h->waiting);
    wheel_timer_init(&h->arrival_timer, on_arrival_timer);
    wheel_timer_init(&h->retry_timer, on_retry);
    h->in = in;
    h->watch.on_readable = on_readable;
    return h;
}

void handoff_start(struct handoff *h)
{
    loop_watch_start(h->loop, &h->watch, h->in);
}

void handoff_free(struct handoff *h)
{
    if (h == NULL)
        return;
    wheel_stop(loop_wheel(h->loop), &h->arrival_timer);
    wheel_stop(loop_wheel(h->loop), &h->retry_timer);
    list_for_each(node, &h->waiting)
        drop(h, list_owner(node, struct waiting, node));
    free(h);
}
