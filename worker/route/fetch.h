#ifndef COURTIER_WORKER_ROUTE_FETCH_H
#define COURTIER_WORKER_ROUTE_FETCH_H

/*
 * Queues of sessions that are kept, longer than what a worker holds in memory. Of an
 * offline session nothing new is held, of another one about a page: what comes then goes
 * into the journal alone (struct paging counts it), and so does all that comes behind it.
 * When the client has taken half of the page, the next one is asked for (FETCH in
 * shm/record_journal.h), and comes as deliveries that have their entries.
 */

#include "common/base/list.h"
#include "shm/record_journal.h"
#include "worker/session/session.h"

#include <stdbool.h>
#include <stdint.h>

struct router;

enum {
    FETCH_PAGE_COUNT = 512,               /* deliveries of a session in memory, */
    FETCH_PAGE_BYTES = RECORD_FETCH_BYTES /* and their bytes, before it goes on on disk */
};

struct fetch {
    struct list_node waiting; /* of struct paging: to be asked for */
    struct list_node open;    /* asked for */
    uint32_t requests;        /* made so far */
    struct message *body;     /* for the next delivery */
};

void fetch_init(struct fetch *fetch);
void fetch_done(struct fetch *fetch);

/* Does what comes into this session's queue next go to the disk alone? `is_shared`: it
 * came through a shared group, to whose other members it goes when the session leaves the
 * group, as long as it is in memory (when the session ends, it goes in any case). */
bool fetch_must_page(const struct session *session, bool is_shared);
/* The queue changed, or the client came: asks for more, if it is time to. */
void fetch_update(struct router *router, struct session *session);
/* The queue is full: has dropped what expired on disk, once per second. */
void fetch_drop_expired(struct router *router, struct session *session);
/* The session goes offline: lets go of what is on disk. */
void fetch_page_out(struct router *router, struct session *session);

/* What the committer says, for the inbox: a body; ENQUEUE, FETCH_END or NOT_QUEUED. */
void fetch_take_body(struct router *router, const struct record_message *message);
void fetch_take(struct router *router, const struct record_journal *record);
/* There may be a new committer: asks once more for what is open. */
void fetch_repeat(struct router *router);
/* Once per turn: asks for what waited. */
void fetch_step(struct router *router);

#endif
