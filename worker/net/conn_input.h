#ifndef COURTIER_WORKER_NET_CONN_INPUT_H
#define COURTIER_WORKER_NET_CONN_INPUT_H

/*
 * The receiving half of a connection; for conn.c alone.
 *
 * Packets are taken apart where they lie in the receive buffer, and only the
 * unfinished rest is kept in `partial`. While a conn may not read (it is held, or
 * waits), all that still comes is kept. Invariant: when it may read and is not
 * busy, `partial` has no whole packet. Before CONNECT everything goes through
 * `partial`, so that a hand-off finds the unread bytes in one piece.
 */

#include "worker/net/conn.h"

/* Copies bytes behind what is kept. Without memory the conn is closed: false. */
bool conn_input_keep(struct conn *conn, struct bytes data);
/* Bytes that came from the stream. */
void conn_input_take(struct conn *conn, struct bytes data);
/* Takes apart what is kept, as far as the conn may read, and starts or stops
 * receiving. */
void conn_input_resume(struct conn *conn);
/* What is kept and not taken apart. */
struct bytes conn_input_unread(const struct conn *conn);
/* Lets go of what is kept. */
void conn_input_done(struct conn *conn);

#endif
