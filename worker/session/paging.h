#ifndef COURTIER_WORKER_SESSION_PAGING_H
#define COURTIER_WORKER_SESSION_PAGING_H

/*
 * What waits for a session on disk and nowhere else: the later part of its queue, behind
 * all deliveries in memory. Only its size is known here; worker/route/fetch.h brings it
 * back page by page.
 */

#include "worker/session/session.h"

#include <stdint.h>

struct paging {
    struct list_node node; /* in one of the lists of struct fetch */
    struct session *session;
    uint64_t after;       /* what is on disk only has a seq above this one */
    uint64_t bytes;       /* of its messages, as message_size() has it; so far as is known */
    uint64_t asked_to;    /* session->seq when it was asked for */
    uint64_t asked_at_ms; /* when it was asked to drop what expired */
    uint32_t count;       /* of deliveries; so far as is known */
    uint32_t request;     /* the open one; 0: none */
    bool has_shared;      /* some of it came through a shared group, or may have */
};

/* What comes into the session's queue from now on is on disk only. `after` is the seq of
 * the last delivery that is not. NULL without memory. */
struct paging *paging_begin(struct session *session, uint64_t after);
/* All is in memory again, or gone. Harmless without paging. */
void paging_end(struct session *session);
/* Of the session with this number, or NULL. */
struct paging *paging_find(const struct session_table *table, uint64_t number);
void paging_add(struct paging *paging, uint32_t count, uint64_t bytes);
/* No more than there are. */
void paging_subtract(struct paging *paging, uint32_t count, uint64_t bytes);

#endif
