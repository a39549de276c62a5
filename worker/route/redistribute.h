#ifndef COURTIER_WORKER_ROUTE_REDISTRIBUTE_H
#define COURTIER_WORKER_ROUTE_REDISTRIBUTE_H

/*
 * What a member of a shared group leaves behind when it goes: messages that it was
 * not sent, and those at QoS 1 that it did not acknowledge, are delivered anew to
 * another member, on whatever worker. QoS 2 that was begun ends with its session
 * [MQTT-4.8.2-5]. Bounded work per turn, and none while a ring that it needs is
 * full.
 *
 * What is on disk stays there, as an entry of the old session, until its new place is
 * on disk: the publisher was told that it is safe. So a session that ends may be on
 * disk for a while as one that is leaving, and goes on with that after a restart.
 *
 * What came from another worker, and goes on to a third because nobody here can take it,
 * is kept in the same way meanwhile, by a session that nobody had. If its publisher
 * waited for the third worker instead, workers that pass on to each other would wait for
 * one another for ever.
 */

#include "worker/route/publication.h"
#include "worker/route/router.h"
#include "worker/session/session.h"

#include <stdbool.h>

/* The session ends; its subscriptions are gone. True when something goes to others: it
 * must leave its table then, and is freed here later. */
bool redistribute_session(struct router *router, struct session *session);
/* The session leaves this group and lives on: what was sent to it stays its own, and so
 * does what waits on disk only. */
void redistribute_queue(struct router *router, struct session *session, const struct share *share);
/* A message of this group at QoS 1 or 2, which another worker sent, was passed on to `worker`. */
void redistribute_passed(struct router *router, struct publication *publication,
                         const struct hash128 *id, unsigned worker);
/* Tells the journal that the session, which it keeps, is leaving. */
void redistribute_note(struct journal *journal, const struct session *session);
/* Once per turn: goes on. True when there is more to do at once. */
bool redistribute_step(struct router *router);
/* At the end of the process: frees what is left. */
void redistribute_done(struct router *router);

/* A session is back from the disk that was leaving, and has left its table. */
void redistribute_restored(struct router *router, struct session *session);
/* A delivery of it (taken), which was in flight. */
void redistribute_delivery(struct session *session, struct delivery *delivery);

#endif
