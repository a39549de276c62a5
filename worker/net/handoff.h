#ifndef COURTIER_WORKER_NET_HANDOFF_H
#define COURTIER_WORKER_NET_HANDOFF_H

/*
 * Moves a connection to its home worker: the descriptor (SCM_RIGHTS) and the
 * bytes read so far, as one packet over a Unix socket that leads to the home.
 * When that socket is full the connection waits here, for a few seconds at most.
 */

#include "common/base/bytes.h"
#include "worker/net/loop.h"
#include "worker/net/peer.h"

#include <stdint.h>

enum {
    HANDOFF_BYTES_MAX = 128 * 1024, /* of unread bytes per connection */
    HANDOFF_WAITING_MAX = 4096      /* connections that wait per worker */
};

struct handoff;

/* A connection has come home; `fd` and the right to it are the callee's, the
 * bytes are borrowed. */
typedef void (*handoff_fn)(void *owner, int fd, uint16_t listener_index, const struct peer *peer,
                           struct bytes pending);

/* `in` is this worker's inbox, `out` one descriptor per worker slot. What comes in
 * waits there until handoff_start(). */
struct handoff *handoff_new(struct loop *loop, int in, const int *out, unsigned worker_count,
                            handoff_fn on_arrival, void *owner);
void handoff_start(struct handoff *handoff);
/* For the end of the process: no turn of the loop may follow. What waits is
 * closed. NULL is allowed. */
void handoff_free(struct handoff *handoff);
/* Sends a connection to worker `to`; takes `fd` in any case (a negative one is
 * returned as the error that it is). `pending` is copied if it must wait. 0, or
 * -errno: it was closed. */
int handoff_send(struct handoff *handoff, unsigned to, int fd, uint16_t listener_index,
                 const struct peer *peer, struct bytes pending);

#endif
