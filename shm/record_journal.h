#ifndef COURTIER_SHM_RECORD_JOURNAL_H
#define COURTIER_SHM_RECORD_JOURNAL_H

/*
 * The journal: what a worker tells the committer about sessions, and what it gets
 * back after a restart. Every record is absolute, so that reading it twice does no
 * harm. Serials of a worker's slot rise, some are left out, and go on over successors.
 * CONFIRM and REFUSE (record.h) name them: CONFIRM means that all records up to its
 * serial are on disk, but for those that a REFUSE named before. After the death of a
 * store process a CONFIRM may come again, and with a lower serial.
 *
 *   worker -> committer, first of all:
 *     JOURNAL_RESET   epoch         nothing else may follow before RESTORE_END, and what
 *                                   comes before RESTORE_BEGIN was for a predecessor
 *   worker -> committer, `serial` in each:
 *     SESSION         session, expiry_s, end_at_ms, version, connected, name (client id),
 *                                   seq: of the last delivery that may have been sent, though
 *                                   there is no SENT of it (connected: of all); `leaving`:
 *                                   it ended, but what came through shared groups has to go
 *                                   to other members yet
 *     SESSION_END     session                        with all that it has
 *     SUBSCRIBE       session, subscription_id, options, name (filter, with $share/g/)
 *     UNSUBSCRIBE     session, name
 *     ENQUEUE         session, seq, message_id, bytes, packet_id, qos, retain, released,
 *                     repeat, share (shared: the group that it came through), ids
 *     SENT            session, seq, packet_id        is in flight now
 *     RELEASED        session, seq                   PUBREC came: the body is not needed
 *     DONE            session, seq                   acknowledged, expired, dropped
 *     RECEIVED        session, packet_id, message_id QoS 2 id from the client, in use; and
 *                                   its message, if not all may have it on disk; `unsure`:
 *                                   nor in their rings; of a session that is leaving: a
 *                                   message that is on its way to another member
 *     RECEIVE_END     session, packet_id
 *     KEEP_RETAINED   message_id                     retained; an empty payload clears
 *     KEEP_WILL       message_id                     the will of the message's client_id;
 *                                                    its expiry_at_ms is the interval itself;
 *                                   one that was published may not be forgotten yet when the
 *                                   client's next one is kept
 *     FORGET_WILL     message_id                     of its KEEP_WILL
 *   worker -> committer:
 *     FETCH           request (as serial), session, seq, count
 *   committer -> worker:
 *     RESTORE_BEGIN   epoch (of the RESET), serial (the last one known: the worker's go
 *                     on from there), run; again, when a store process died meanwhile
 *     SESSION, SUBSCRIBE, RECEIVED, ENQUEUE, KEEP_WILL as above, with serial 0
 *     HAD             session, message_id (of any worker's session): it was done with this
 *                                   message, or has it through a shared group, and it may
 *                                   come once more; so may that of an ENQUEUE with `unsure`
 *     QUEUED          session, seq, count, bytes     what waits, behind what is in flight;
 *                                   `shared`: some of it came through a group
 *     RESTORE_END     epoch
 *     JOURNAL_STATE   state
 *     NOT_QUEUED      session, seq, bytes            an ENQUEUE that came to nothing
 *     ENQUEUE         as above, with the request as serial
 *     FETCH_END       request (as serial), session, seq, count, bytes, is_all
 *
 * A body is a message record of purpose RECORD_FOR_JOURNAL, with nothing between it
 * and the record that needs it. Each KEEP_RETAINED and KEEP_WILL needs one of its own;
 * an ENQUEUE needs one unless an entry that the worker has enqueued, and is not done
 * with, refers to the same message. Coming back, a body precedes each ENQUEUE that is
 * not released, and each KEEP_WILL.
 *
 * What waits for a session need not be in the worker's memory. A restore tells of it in
 * one QUEUED: how much there is, and the last seq. A FETCH asks for what waits after its
 * seq, at most `count` deliveries; it is answered by as many as make a page (one that is
 * larger comes alone), in order, and a FETCH_END: `seq` is the last one that was looked
 * at, `count` and `bytes` tell of those that had expired, which are gone. With `is_all`
 * nothing was left behind when the FETCH was taken. A FETCH with count 0 only drops what
 * expired, from the front. Requests of a worker differ. A committer that dies forgets
 * them: so a worker repeats what is open at each JOURNAL_STATE, and takes no answer but to
 * its latest request for a session.
 *
 * NOT_QUEUED comes before the REFUSE of an ENQUEUE; and alone for one with `repeat` (its
 * message may have been enqueued before a crash) whose message the session has on disk.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "shm/mesh.h"
#include "shm/record.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RECORD_FETCHES_MAX = 64,        /* open FETCHes of a worker */
    RECORD_FETCH_BYTES = 256 * 1024 /* of messages: a page is not begun anew above it */
};

enum record_journal_state {
    RECORD_JOURNAL_OK,
    RECORD_JOURNAL_SCARCE, /* room for what is under way: nothing that grows is to be begun */
    RECORD_JOURNAL_FULL,   /* what grows is refused: no room on the disk, or over the limit */
    RECORD_JOURNAL_FAILING /* nothing can be written: it is tried again */
};

/* Only the fields that its kind has (above) are sent, the others are 0. */
struct record_journal {
    enum record_kind kind;
    uint64_t serial;
    uint64_t epoch;           /* of the worker process that sent the RESET */
    uint64_t session;         /* number, made by the worker, never used twice; not 0 */
    uint64_t seq;             /* place in the session's queue; rises, is never used twice */
    uint64_t message_id;      /* never used twice */
    uint64_t bytes;           /* of the message(s), as message_size() has it */
    uint64_t end_at_ms;       /* boot clock: when an offline session ends; 0: not (yet) */
    uint32_t expiry_s;        /* as the client asked */
    uint32_t run;             /* never given to any other worker process of this data */
    uint32_t subscription_id; /* 0: none */
    uint32_t count;
    uint16_t packet_id; /* ENQUEUE: 0 while it waits */
    uint8_t version;    /* enum mqtt_version of the latest connection: 3, 4 or 5 */
    uint8_t qos;
    uint8_t options; /* of the subscription, as in SUBSCRIBE */
    uint8_t state;   /* enum record_journal_state */
    bool connected;
    bool retain;
    bool released;
    bool unsure;
    bool repeat;
    bool is_all;
    bool shared;
    bool leaving;
    struct hash128 share;
    struct bytes name; /* not empty where a kind has it */
    struct bytes ids;  /* subscription identifiers: uint32_t each, not aligned */
};

/* Is it one of the kinds above? */
bool record_is_journal(uint16_t kind);
/* False when the ring is full: try again later. A name must leave 64 bytes of the
 * largest record of the ring (check()). Publishes nothing. */
bool record_put_journal(struct mesh *mesh, unsigned peer, const struct record_journal *journal);
/* The serial of a record that need not hold together; 0: it has none. */
uint64_t record_journal_serial(const struct ring_record *record);
/* False for a record that does not hold together. Name and ids are borrowed. */
bool record_get_journal(const struct ring_record *record, struct record_journal *ret_journal);

#endif
