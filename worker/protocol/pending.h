#ifndef COURTIER_WORKER_PROTOCOL_PENDING_H
#define COURTIER_WORKER_PROTOCOL_PENDING_H

/*
 * An answer to the client (CONNACK, SUBACK, UNSUBACK) that waits for the store or for
 * the disk. Nothing more is read from the client meanwhile, so a session has one at
 * most.
 */

#include "worker/route/journal.h"
#include "worker/session/session.h"

struct pending {
    struct session *session;
    struct journal_wait wait;
    /* The connection ends first: frees it, and what it is part of. */
    void (*drop)(struct pending *pending);
};

static inline void pending_set(struct pending *pending, struct session *session,
                               void (*drop)(struct pending *pending))
{
    *pending = (struct pending){.session = session, .drop = drop};
    list_init(&pending->wait.node);
    session->pending = pending;
}

/* It is over; its memory is the owner's. */
static inline void pending_clear(struct pending *pending)
{
    journal_wait_cancel(&pending->wait);
    pending->session->pending = NULL;
}

static inline bool pending_waits_for_disk(const struct pending *pending)
{
    return list_is_linked(&pending->wait.node);
}

#endif
