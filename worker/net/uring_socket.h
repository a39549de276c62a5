#ifndef COURTIER_WORKER_NET_URING_SOCKET_H
#define COURTIER_WORKER_NET_URING_SOCKET_H

/* Connected sockets of the io_uring backend; see loop_backend.h for the contracts. */

#include "worker/net/loop_uring.h"

void uring_socket_receive(struct loop_socket *s);
void uring_socket_receive_stop(struct loop_socket *s);
void uring_socket_send(struct loop_socket *s, struct iovec *iov, unsigned count);
void uring_socket_cancel(struct loop_socket *s);
void uring_socket_forget(struct loop_socket *s);
void uring_socket_run(struct loop_socket *s);

void uring_socket_on_receive(struct loop_uring *u, struct loop_socket *s,
                             const struct loop_uring_completion *c);
void uring_socket_on_sent(struct loop_socket *s, const struct loop_uring_completion *c);
/* Buffers are back: receives that found none go on. */
void uring_socket_feed_starved(struct loop_uring *u);

#endif
