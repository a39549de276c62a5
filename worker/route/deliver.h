#ifndef COURTIER_WORKER_ROUTE_DELIVER_H
#define COURTIER_WORKER_ROUTE_DELIVER_H

/*
 * One message to one session: QoS, retain flag, identifiers, expiry, the client's
 * window and packet size, the session's queue, and what happens when there is no
 * room. A slow subscriber hurts itself alone: QoS 0 is dropped for it and
 * counted, QoS 1 and 2 wait in its bounded queue.
 */

#include "worker/route/publication.h"
#include "worker/route/router.h"
#include "worker/session/session.h"

/* How a delivery goes out, by its subscription, or by all of a session that match. */
struct deliver_terms {
    enum qos qos; /* granted */
    bool retain;  /* the flag as it goes out */
    struct subscription_ids ids;
    struct share *share; /* shared group, borrowed; NULL: none */
};

/* Delivers, queues or drops (counted). */
void deliver_message(struct router *router, struct session *session,
                     struct publication *publication, const struct deliver_terms *terms);
/* Terms of a live delivery to this subscription; false when No Local forbids it
 * [MQTT-3.8.3-3]. */
bool deliver_terms_of(const struct router *router, const struct subscription *subscription,
                      const struct publication *publication, struct deliver_terms *ret_terms);
/* Delivers a live message to a subscription that it matches. */
void deliver_live(struct router *router, struct subscription *subscription,
                  struct publication *publication);

/* Has the session, or had it before a restart, this message, which comes once more? Looks
 * at all that it has. An entry that may not be on disk is put again: who waits for what this
 * makes of the message waits for that. */
bool deliver_is_known(struct router *router, struct session *session, uint64_t message_id);

/* What would become of a live message, from best to worst. */
enum deliver_prospect {
    DELIVER_AT_ONCE,
    DELIVER_SOON,      /* behind others */
    DELIVER_CONGESTED, /* behind many, its publishers would be paused */
    DELIVER_OFFLINE,   /* kept for when the client is back */
    DELIVER_NEVER      /* no room, or too large for the client */
};
enum deliver_prospect deliver_prospect(const struct router *router,
                                       const struct subscription *subscription,
                                       const struct publication *publication);

/* The window opened or output drained: sends what is queued, as far as it goes. */
void deliver_resume(struct router *router, struct session *session);
/* The client is back: sends again what was in flight, in the same order, with
 * DUP [MQTT-4.4.0-1], then what is queued. */
void deliver_resend(struct router *router, struct session *session);
/* Sends a delivery that is in flight, or is at QoS 0; ends one that can't be sent. */
void deliver_begin(struct router *router, struct session *session, struct delivery *delivery);
/* One in flight is acknowledged, or given up: frees it. */
void deliver_done(struct router *router, struct session *session, struct delivery *delivery);
/* PUBREC came: sends PUBREL, as soon as that may be. */
void deliver_release(struct router *router, struct session *session, struct delivery *delivery);
/* Sends PUBREL for a delivery that waits for PUBCOMP. */
void deliver_pubrel(struct session *session, const struct delivery *delivery);

#endif
