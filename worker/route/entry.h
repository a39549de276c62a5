#ifndef COURTIER_WORKER_ROUTE_ENTRY_H
#define COURTIER_WORKER_ROUTE_ENTRY_H

/*
 * The journal's entries of what is under way to and from a session that is kept (one
 * with a number): deliveries at QoS 1 and 2, and QoS 2 ids that came from the client.
 * For other sessions nothing is written, and the serial is 0.
 */

#include "worker/route/journal.h"
#include "worker/session/session.h"

/* A delivery that is queued, if it has no entry yet. */
void entry_queued(struct journal *journal, struct session *session, struct delivery *delivery);
/* A delivery that has its entry, which may not be on disk: it is put once more. */
void entry_again(struct journal *journal, const struct session *session, struct delivery *delivery);
/* A delivery that is queued on disk only. `record` says how it goes out: qos, retain, ids,
 * repeat; and is completed. The message counts it as kept, for the caller to take back. */
void entry_paged(struct journal *journal, struct session *session, struct record_journal *record,
                 struct message *message, const struct share *share);
/* It was put in flight. At QoS 1 it may be acknowledged before its entry is made. */
void entry_sent(struct journal *journal, struct session *session, struct delivery *delivery);
/* For the journal, which delayed the entry that entry_sent() was to make. */
void entry_put_delayed(struct journal *journal, struct session *session, struct delivery *delivery);
/* PUBREC came: session_release() was called. */
void entry_released(struct journal *journal, const struct session *session,
                    struct delivery *delivery);
/* It is acknowledged, or given up, or goes to another session. */
void entry_done(struct journal *journal, const struct session *session, struct delivery *delivery);

/* Its session ends, which says the same of all that it has: what was not put is not put any
 * more. */
void entry_end(struct journal *journal, struct delivery *delivery);

/* A QoS 2 id of the client is in use. `message_id`: as long as not all who are to have the
 * message may have it on disk; else 0. `is_routed`: it is in the rings to other workers.
 * First of all it is put without, before anybody can get the message: so a crash at any
 * time leaves the id that a repeat is known by. */
uint64_t entry_received(struct journal *journal, const struct session *session, uint16_t packet_id,
                        uint64_t message_id, bool is_routed);
/* It is so no more. */
uint64_t entry_receive_end(struct journal *journal, const struct session *session,
                           uint16_t packet_id);

/* Is all on disk that the journal has of this delivery? Once it is released, its entry is. */
bool entry_is_kept(const struct journal *journal, const struct delivery *delivery);

/* Once per turn: when there is room again for entries that there was none for, puts some
 * of them once more. True when there is more to do at once. */
bool entry_repeat(struct journal *journal, struct session_table *sessions);

#endif
