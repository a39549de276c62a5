#ifndef COURTIER_WORKER_NET_ACCEPT_H
#define COURTIER_WORKER_NET_ACCEPT_H

/*
 * Accepts connections on this worker's listening sockets, while all workers
 * together have fewer than the limit of the broker and that of the listener (both
 * `connections_max`); more are closed at once. At the descriptor limit a spare
 * descriptor takes one connection to refuse it, and accepting rests (10 ms,
 * doubling to 1 s) instead of spinning.
 */

#include "common/conf/conf.h"
#include "shm/inherit.h"
#include "worker/net/loop.h"
#include "worker/net/peer.h"

struct accept_group;

/* Called for each accepted socket: non-blocking, TCP_NODELAY as configured. */
typedef void (*accept_fn)(void *owner, int fd, uint16_t listener_index, const struct peer *peer);

/* Accepts on all listening sockets of `inherit`. Its conf is
 * borrowed; so is `tunable`, which may change between turns. Aborts without memory. */
struct accept_group *accept_start(struct loop *loop, const struct inherit *inherit,
                                  const struct conf_tunable *tunable, accept_fn on_socket,
                                  void *owner);
/* Takes no more connections; those that the kernel has given out still come. NULL is
 * allowed. */
void accept_stop(struct accept_group *group);
/* For the end of the process: no turn of the loop may follow. NULL is allowed. */
void accept_free(struct accept_group *group);

#endif
