#ifndef COURTIER_WORKER_ROUTE_BACKLOG_H
#define COURTIER_WORKER_ROUTE_BACKLOG_H

/*
 * Push-back from the disk to clients. While it stands or fails, records of the journal
 * wait in memory, up to max_journal_bytes; from then on whoever makes one more is not
 * read any more, until none waits. Clients that need no disk go on.
 */

#include "worker/route/router.h"

#include <stdbool.h>

/* Do so many records wait that nobody should make more? */
bool backlog_is_full(const struct router *router);
/* This client made some: pauses it if they are too many. */
void backlog_hold(struct router *router, struct session *session);
/* The connection ends. */
void backlog_forget(struct session *session);
/* Once per turn, behind outbound_retry(): lets some of the clients go on if nothing waits
 * any more. True when there is more to do: do not sleep. */
bool backlog_step(struct router *router);

#endif
