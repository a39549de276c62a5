#ifndef COURTIER_WORKER_NET_LOOP_BACKEND_H
#define COURTIER_WORKER_NET_LOOP_BACKEND_H

/*
 * What the two backends of the loop implement, and what they share. Only loop.c
 * and the backends include this.
 *
 * The queue holds sockets with something to be done in a later turn: the last
 * step of a close, the report of a send, bytes that may wait in the kernel. A
 * socket is in it once at most (LOOP_QUEUED); its owner can't be freed meanwhile,
 * because on_closed comes from the queue.
 */

#include "worker/net/loop.h"

enum { LOOP_FOREVER = -1, LOOP_REASON_MAX = 200 };

/* Flags of loop_socket.state that both backends know; theirs begin at LOOP_PRIVATE. */
enum {
    LOOP_QUEUED = 1,
    LOOP_CLOSING = 2,
    LOOP_ENDED = 4, /* on_end was told */
    LOOP_SENDING = 8,
    LOOP_SENT = 16,      /* on_sent(result) is due */
    LOOP_WANT_ALL = 32,  /* receive until stopped */
    LOOP_WANT_ONCE = 64, /* receive one piece */
    LOOP_WANTED = LOOP_WANT_ALL | LOOP_WANT_ONCE,
    LOOP_PRIVATE = 128
};

/* Memory for received bytes; tests make it tiny. */
struct loop_limits {
    unsigned buffer_count; /* power of two */
    unsigned buffer_size;
};

struct loop_backend {
    const char *name;
    void (*close)(struct loop *loop);
    /* Submits, waits up to `timeout_ms` (or LOOP_FOREVER), collects. 0 or -errno. */
    int (*wait)(struct loop *loop, int64_t timeout_ms);
    /* Runs the callbacks of what was collected. */
    void (*dispatch)(struct loop *loop);
    /* It is the turn of a socket that was in the queue and is not closing. */
    void (*run)(struct loop_socket *socket);
    void (*submit)(struct loop *loop);
    /* LOOP_WANTED has changed. */
    void (*receive)(struct loop_socket *socket);
    void (*receive_stop)(struct loop_socket *socket);
    void (*send)(struct loop_socket *socket, struct iovec *iov, unsigned count);
    /* LOOP_CLOSING is set: cancels what is in flight. */
    void (*cancel)(struct loop_socket *socket);
    /* Forgets a descriptor that lives on elsewhere. */
    void (*forget)(struct loop_socket *socket);
    void (*watch)(struct loop_watch *watch);
    int (*accept)(struct loop_acceptor *acceptor);
    void (*accept_stop)(struct loop_acceptor *acceptor);
    void (*accept_distrust)(struct loop_acceptor *acceptor);
};

/* The first member of each backend's own struct. */
struct loop {
    const struct loop_backend *backend;
    struct wheel *wheel;
    uint64_t now_ms;
    struct loop_socket *queue_first;
    struct loop_socket *queue_last;
    unsigned queue_count;
    char reason[LOOP_REASON_MAX]; /* why this backend, when it was the second choice */
};

/* As loop_open(), with limits other than the default ones. */
int loop_open_sized(struct loop **ret_loop, enum conf_event_loop wanted, void *context,
                    const struct loop_limits *limits, const char **ret_reason);
/* Puts a socket into the queue unless it is there. */
void loop_queue(struct loop_socket *socket);

/* Callbacks with the flags that belong to them. */
void loop_tell_end(struct loop_socket *socket, int error);
void loop_tell_sent(struct loop_socket *socket, ptrdiff_t result);

/* 0 or -errno; the loop's memory is the backend's. */
int loop_uring_open(struct loop **ret_loop, const struct loop_limits *limits,
                    const char **ret_reason);
int loop_epoll_open(struct loop **ret_loop, const char **ret_reason);

#endif
