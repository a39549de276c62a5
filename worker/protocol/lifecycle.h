#ifndef COURTIER_WORKER_PROTOCOL_LIFECYCLE_H
#define COURTIER_WORKER_PROTOCOL_LIFECYCLE_H

/*
 * How sessions lose their connection, wait, and end. The one place that knows
 * all that hangs on a session.
 */

#include "worker/protocol/protocol.h"

/* The session's connection is over: detaches it. Then the session ends, or waits
 * for its client with its will and expiry running. */
void lifecycle_connection_ended(struct protocol *protocol, struct session *session);
/* Detaches the connection and nothing more; the caller decides what follows. */
void lifecycle_detach(struct protocol *protocol, struct session *session);
/* An offline session starts to wait: publishes a will that is due, ends a session
 * that does not last. The session may be gone after. */
void lifecycle_wait_offline(struct protocol *protocol, struct session *session);
/* Ends a detached session: its will goes out [MQTT-3.1.3-9], its subscriptions
 * go, it is freed. */
void lifecycle_end_session(struct protocol *protocol, struct session *session);
/* After a restore: every session waits for its client, for what it has left of its
 * time; one that was connected begins to wait now (its expires_at_ms is 0). */
void lifecycle_wait_again(struct protocol *protocol);
/* The timer of an offline session is due; for struct session_table. */
void lifecycle_on_timer(struct session *session);
/* Frees all sessions at the end of the process; no wills, no packets. */
void lifecycle_free_all(struct protocol *protocol);

#endif
