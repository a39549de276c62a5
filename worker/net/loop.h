#ifndef COURTIER_WORKER_NET_LOOP_H
#define COURTIER_WORKER_NET_LOOP_H

/*
 * The event loop: the only door to time and to the kernel's notion of a socket.
 * Two backends stand behind it: io_uring (multishot accept and receive, provided
 * buffers, one submission per turn) and epoll. The objects below are embedded in
 * their owners; each counts its operations in flight and may be freed only when
 * the loop has said so.
 *
 * Callbacks run from loop_turn() alone, after the completions were collected,
 * never while the kernel's queue is being walked, and never from inside the
 * functions that start something.
 */

#include "common/base/bytes.h"
#include "common/base/wheel.h"
#include "common/conf/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct loop;
struct loop_socket;

/* `wanted` auto: io_uring where the kernel allows it, else epoll. `context` goes
 * to the timers' callbacks. To be called by the process that runs the loop, after
 * the fork. *ret_reason is a text for the log, static or owned by the loop: what
 * was chosen and why; on failure, why not. 0 or -errno. */
int loop_open(struct loop **ret_loop, enum conf_event_loop wanted, void *context,
              const char **ret_reason);
/* What is in flight is forgotten; see loop_socket_drop() for sockets. */
void loop_close(struct loop *loop);
const char *loop_name(const struct loop *loop); /* "io_uring" or "epoll" */

/* The time that this turn began at (boot clock). */
uint64_t loop_now_ms(const struct loop *loop);
/* Timers; the loop advances the wheel each turn and sleeps no longer than it
 * allows. */
struct wheel *loop_wheel(struct loop *loop);

/* Submits what was started, waits until something happens or the wheel or
 * `until_ms` (UINT64_MAX: none) is due (not at all when `may_sleep` is false),
 * then runs the callbacks and the timers. 0 or -errno. */
int loop_turn(struct loop *loop, bool may_sleep, uint64_t until_ms);
/* Hands started operations to the kernel now, without waiting. */
void loop_submit(struct loop *loop);

/* -- connected sockets -- */
struct loop_socket_ops {
    /* Bytes arrived; valid during the call. May stop or close the socket. */
    void (*on_data)(struct loop_socket *socket, struct bytes data);
    /* No more will arrive: 0 for an orderly end, or -errno. At most once. */
    void (*on_end)(struct loop_socket *socket, int error);
    /* A send is done: bytes taken by the kernel (may be short, even 0: try
     * again), or -errno. */
    void (*on_sent)(struct loop_socket *socket, ptrdiff_t result);
    /* After loop_socket_close(): nothing refers to the socket any more, the
     * owner may free it. */
    void (*on_closed)(struct loop_socket *socket);
};

/* Only the loop looks inside. Aligned so that a pointer has room for a tag. */
struct loop_socket {
    _Alignas(8) struct loop *loop;
    const struct loop_socket_ops *ops;
    struct loop_socket *next; /* in the loop's queue */
    int fd;
    int32_t result;    /* of a send that was not reported yet */
    uint16_t inflight; /* operations whose completion is outstanding */
    uint16_t state;    /* the backend's flags */
};

void loop_socket_init(struct loop *loop, struct loop_socket *socket, int fd,
                      const struct loop_socket_ops *ops);
/* Receives until stopped; no buffer is owned while nothing arrives. */
void loop_receive(struct loop_socket *socket);
/* Receives one piece of at most LOOP_ONCE_MAX bytes, then stops: nothing stays
 * armed on the descriptor. */
enum { LOOP_ONCE_MAX = 8192 };
void loop_receive_once(struct loop_socket *socket);
/* Stops receiving. on_data may still come for bytes the kernel had already
 * given out; nothing is lost. loop_receive() may follow at any time. */
void loop_receive_stop(struct loop_socket *socket);
/* Starts a send; at most one at a time per socket. The iovec array (at most
 * LOOP_IOV_MAX) may change after the call, the memory it points to not before
 * on_sent(). */
enum { LOOP_IOV_MAX = 64 };
void loop_send(struct loop_socket *socket, struct iovec *iov, unsigned count);
bool loop_is_sending(const struct loop_socket *socket);
bool loop_is_closing(const struct loop_socket *socket);
/* Tells the peer that no more bytes come. Not while a send is under way. */
void loop_socket_shutdown(struct loop_socket *socket);
/* Forbids new work, cancels what is in flight, closes the descriptor; on_closed
 * comes in a later turn. on_data, on_end and on_sent come no more. */
void loop_socket_close(struct loop_socket *socket);
/* For the end of the process: closes at once, the owner may be freed, without
 * on_closed. No turn may follow. */
void loop_socket_drop(struct loop_socket *socket);
/* As close, but the descriptor stays open and is returned to the caller. Only
 * when nothing is in flight (checked): between two receive_once, not from
 * on_sent. on_closed does not come; the owner may free the socket at once. */
int loop_socket_release(struct loop_socket *socket);

/* -- other descriptors: bells, control channels, listeners -- */
struct loop_watch {
    _Alignas(8) struct loop *loop;
    int fd;
    /* The descriptor is readable (edge-triggered: read until -EAGAIN). */
    void (*on_readable)(struct loop_watch *watch);
};
/* Watches for the life of the loop; the descriptor is not owned. The caller has
 * set on_readable. */
void loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd);

struct loop_acceptor {
    _Alignas(8) struct loop *loop;
    int fd; /* listening, non-blocking */
    /* A connection (non-blocking, close-on-exec), or -errno: out of descriptors
     * or memory; accepting has stopped then until loop_accept() again. */
    void (*on_accept)(struct loop_acceptor *acceptor, int fd_or_error);
    uint16_t state; /* the backend's flags */
};
/* `fd` and `on_accept` are the caller's, the rest is zero before the first call.
 * The acceptor must live as long as the loop. 0 or -errno (out of memory). */
int loop_accept(struct loop *loop, struct loop_acceptor *acceptor);
/* Takes no more; connections already taken by the kernel still come. */
void loop_accept_stop(struct loop_acceptor *acceptor);
/* The descriptor that on_accept() got was none (a fault of some kernels with
 * multishot accept): this loop accepts one by one from now on. */
void loop_accept_distrust(struct loop_acceptor *acceptor);

#endif
