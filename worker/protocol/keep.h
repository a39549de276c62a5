#ifndef COURTIER_WORKER_PROTOCOL_KEEP_H
#define COURTIER_WORKER_PROTOCOL_KEEP_H

/*
 * What is kept on disk of sessions, subscriptions and wills. A session is kept if it
 * has a number, which it gets when it is to outlive its connection. All functions do
 * nothing, and return serial 0, where nothing is to be kept; else they return the
 * serial of what they told (worker/route/journal.h).
 */

#include "worker/protocol/protocol.h"
#include "worker/route/filters.h"

/* Does the disk take nothing more, so that what needs it has to be refused? */
bool keep_is_refused(const struct protocol *protocol);

/* The session as it is now: with a connection, or offline until expires_at_ms. */
uint64_t keep_session(struct protocol *protocol, struct session *session);
/* The session ends; with what it leaves to others, when that is where it belongs. */
void keep_session_end(struct protocol *protocol, const struct session *session);
/* `text` is the whole filter as subscribed. */
uint64_t keep_subscription(struct protocol *protocol, const struct subscription *subscription,
                           struct bytes text);
uint64_t keep_no_subscription(struct protocol *protocol, const struct session *session,
                              struct bytes text);
/* The will of any session: on disk, or with the store if nothing is kept there. */
void keep_will(struct protocol *protocol, const struct session *session);
/* `message_id`: which one, on disk; with the store a client has one only. */
void keep_no_will(struct protocol *protocol, struct bytes client_id, uint64_t message_id);

#endif
