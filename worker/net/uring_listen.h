#ifndef COURTIER_WORKER_NET_URING_LISTEN_H
#define COURTIER_WORKER_NET_URING_LISTEN_H

/* Listeners and watched descriptors of the io_uring backend; see loop_backend.h
 * for the contracts. */

#include "worker/net/loop_uring.h"

int uring_listen_accept(struct loop_acceptor *a);
void uring_listen_stop(struct loop_acceptor *a);
void uring_listen_distrust(struct loop_acceptor *a);
void uring_listen_watch(struct loop_watch *w);

void uring_listen_on_accept(struct loop_uring *u, struct loop_acceptor *a,
                            const struct loop_uring_completion *c);
void uring_listen_on_watch(struct loop_watch *w, const struct loop_uring_completion *c);

#endif
