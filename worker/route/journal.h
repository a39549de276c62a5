#ifndef COURTIER_WORKER_ROUTE_JOURNAL_H
#define COURTIER_WORKER_ROUTE_JOURNAL_H

/*
 * The journal: what this worker tells the committer about its persistent sessions
 * (shm/record_journal.h), and who waits until that is on disk. A record goes into the
 * committer's ring, or waits for it like any other (worker/route/outbound.h). Without
 * persistence the journal is off, and nothing may be put.
 *
 * An entry that is likely to be acknowledged in a moment is put a moment later: it has
 * its serial, and if it is cancelled meanwhile it is never put. What is put at once makes
 * those that wait be put first, so serials rise.
 *
 * A worker starts by asking for what is on disk; until all of that came back nothing
 * may be put, and nothing be taken from clients or other workers.
 */

#include "common/base/list.h"
#include "common/base/wheel.h"
#include "common/mqtt/reason.h"
#include "shm/record.h"
#include "shm/record_journal.h"
#include "worker/route/delayed.h"
#include "worker/route/outbound.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct journal {
    struct outbound *outbound;
    unsigned peer; /* the committer's slot */
    bool is_on;
    bool is_restored; /* or off: all that was on disk is here */
    enum record_journal_state state;
    uint64_t epoch;         /* of our RESET */
    uint64_t serial;        /* given out last */
    uint64_t put;           /* the latest one that was put, */
    uint64_t in_ring;       /* that is in the ring, */
    uint64_t on_disk;       /* and that is on disk, or was refused */
    uint64_t sent;          /* all up to here are in the ring, if not published yet, */
    uint64_t confirmed;     /* or on disk, or were refused; or cancelled, both */
    uint64_t waiting_bytes; /* of records and bodies that wait for the ring */
    uint64_t lost_from;     /* the first that there was no room for; 0: none, */
    uint64_t lost_to;       /* and the last */
    uint64_t repeated_to;   /* what was lost is put again up to here; 0: not yet */
    bool is_repeating;      /* putting it again has begun */
    bool lost_more;         /* ... and more got lost since */
    uint16_t repeat_pass;   /* how often it has begun */
    uint64_t session_count; /* numbers given out */
    uint32_t run;           /* no other worker process ever had it */
    struct list_node waits; /* of struct journal_wait, by `last` */
    struct delayed delayed;
    struct wheel_timer delay_timer;
    struct loop *loop;
    uint32_t delay_ms; /* until an entry is put; 0: at once */
    void (*put_entry)(struct journal *journal, struct session *session, struct delivery *delivery);
};

/* Somebody who waits until records are on disk; embedded in its owner. */
struct journal_wait {
    struct list_node node;
    uint64_t first; /* the records that it cares about: */
    uint64_t last;  /* all from the first to the last */
    bool is_hasty;  /* it is refused as soon as the disk fails */
    enum mqtt_reason reason;
    /* `reason`: 0, or why the first of them that was refused was. The wait is over,
     * and its owner may free it. */
    void (*done)(struct journal_wait *wait, enum mqtt_reason reason);
};

/* `peer` is the committer's slot; `is_on` false: there is none. */
void journal_init(struct journal *journal, struct outbound *outbound, unsigned peer, bool is_on);
/* From now on entries may wait for `delay_ms`; `put_entry` is to put one, whose record has
 * its serial already. */
void journal_use_delay(struct journal *journal, struct loop *loop, uint32_t delay_ms,
                       void (*put_entry)(struct journal *journal, struct session *session,
                                         struct delivery *delivery));
/* At the end of the process: forgets what was to be put later. */
void journal_done(struct journal *journal);
/* Asks for what is on disk; `epoch` is the process's. If the journal is on. */
void journal_start(struct journal *journal, uint64_t epoch);

/* Tells the committer; its serial, which is also set in `record` (before, if it was
 * delayed). */
uint64_t journal_put(struct journal *journal, struct record_journal *record);
/* The same with the body that it needs: `message`, for `publisher` (a handle, or 0),
 * which pauses while the body waits for the ring. */
uint64_t journal_put_message(struct journal *journal, struct record_journal *record,
                             struct message *message, uint32_t publisher);
/* KEEP_WILL and KEEP_RETAINED: `body` is made from `message` (NULL: from something else). */
uint64_t journal_put_body(struct journal *journal, struct record_journal *record,
                          const struct record_message *body, struct message *message,
                          uint32_t publisher);
/* Puts the entry of this delivery later; its serial, or 0: it is to be put at once. */
uint64_t journal_delay_entry(struct journal *journal, struct session *session,
                             struct delivery *delivery);
/* An entry that was to be put later is not wanted any more. */
void journal_cancel(struct journal *journal, uint64_t serial);
/* A DONE, which nobody waits for, some time. */
void journal_put_done(struct journal *journal, uint64_t session, uint64_t seq);
/* Puts all that was to be put later. */
void journal_put_delayed(struct journal *journal);
/* A FETCH, which has no serial: it changes nothing. */
void journal_ask(struct journal *journal, const struct record_journal *fetch);
/* Do records wait for room in the ring? */
bool journal_is_behind(const struct journal *journal);

/* A number for a session that no other session ever had. */
uint64_t journal_next_session(struct journal *journal);

/* Is all up to this serial on disk (or refused)? Of serial 0: yes. */
bool journal_is_safe(const struct journal *journal, uint64_t serial);
/* The last serial up to which all that is still wanted is on disk: before any delivery
 * that there was no room for, until it was put once more. */
uint64_t journal_kept(const struct journal *journal);
/* Was there no room for this record, perhaps? When it is known: once it is safe. */
bool journal_is_lost(const struct journal *journal, uint64_t serial);
/* There is room again for what was lost: all that is still wanted of it is to be put once
 * more, then journal_repeated() be called. */
bool journal_must_repeat(const struct journal *journal);
/* That begins. */
void journal_repeat(struct journal *journal);
/* It is done; false when more got lost meanwhile, so that it must be done once more. */
bool journal_repeated(struct journal *journal);
/* Calls wait->done when all of `first` to `last` are on disk, or refused; at once, when
 * they are. `first` 0: none. Records that were just put, in this turn of the loop: a
 * refusal that came earlier is not known any more. */
void journal_wait_for(struct journal *journal, struct journal_wait *wait, uint64_t first,
                      uint64_t last);
/* Harmless when it is over. wait->node must be initialized. */
void journal_wait_cancel(struct journal_wait *wait);

/* What the committer says, for the inbox. */
void journal_set_state(struct journal *journal, enum record_journal_state state);
void journal_confirm(struct journal *journal, uint64_t serial);
void journal_refuse(struct journal *journal, uint64_t serial, enum mqtt_reason reason);
/* RESTORE_BEGIN: false when it answers a predecessor. */
bool journal_restore_begin(struct journal *journal, const struct record_journal *record);
void journal_restore_end(struct journal *journal);

#endif
