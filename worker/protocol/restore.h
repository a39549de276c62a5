#ifndef COURTIER_WORKER_PROTOCOL_RESTORE_H
#define COURTIER_WORKER_PROTOCOL_RESTORE_H

/*
 * What is on disk of the sessions at home here, back into memory: at every start of a
 * worker, also after a crash. Before the end of it no client is served and nothing is
 * taken from other workers. The committer begins anew when its process dies meanwhile.
 */

#include "common/base/map.h"
#include "shm/record_journal.h"
#include "worker/protocol/protocol.h"

struct restore {
    struct protocol *protocol;
    bool is_successor; /* the rings are the predecessor's */
    bool is_begun;
    bool was_connected;      /* `session`, at the end */
    struct session *session; /* whose records come; NULL: they are dropped */
    struct message *body;    /* for the next record */
    struct map bodies;       /* by message id, so that many deliveries share one */
    uint64_t subscribed;     /* all subscriptions are in force when the store confirms this */
};

void restore_init(struct restore *restore, struct protocol *protocol, bool is_successor);
void restore_done(struct restore *restore);
/* A body came, or another record but CONFIRM, REFUSE and JOURNAL_STATE. */
void restore_take_body(struct restore *restore, const struct record_message *message);
void restore_take(struct restore *restore, const struct record_journal *record);
/* Is all here, and routed to by every worker? Then lifecycle_wait_again() is next, when
 * the other workers are as far. */
bool restore_is_complete(const struct restore *restore);

#endif
