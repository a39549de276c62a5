#ifndef COURTIER_SHM_RECORD_H
#define COURTIER_SHM_RECORD_H

/*
 * The records that cross the rings, as typed put and get. Records between
 * processes are input: a getter returns false for one that does not hold
 * together, and the reader treats its producer as broken.
 *
 *   worker -> worker  MESSAGE, FRAGMENT, HOLD, UNHOLD, OVERFLOW
 *   worker -> store   RESET, FILTER, GROUP, MESSAGE+FRAGMENT (retain or will), WILL_CLEAR
 *   store  -> worker  CONFIRM, REFUSE, MESSAGE+FRAGMENT (a will that outlived its worker)
 *   worker -> committer, and back   see record_journal.h
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/mqtt/reason.h"
#include "shm/mesh.h"

#include <stdbool.h>
#include <stdint.h>

enum record_kind {
    RECORD_MESSAGE = 1,
    RECORD_FRAGMENT,
    RECORD_HOLD,
    RECORD_UNHOLD,
    RECORD_OVERFLOW,
    RECORD_RESET,
    RECORD_FILTER,
    RECORD_GROUP,
    RECORD_WILL_CLEAR,
    RECORD_CONFIRM,
    RECORD_REFUSE,
    RECORD_JOURNAL_RESET, /* from here on: record_journal.h */
    RECORD_SESSION,
    RECORD_SESSION_END,
    RECORD_SUBSCRIBE,
    RECORD_UNSUBSCRIBE,
    RECORD_ENQUEUE,
    RECORD_SENT,
    RECORD_RELEASED,
    RECORD_DONE,
    RECORD_RECEIVED,
    RECORD_RECEIVE_END,
    RECORD_KEEP_RETAINED,
    RECORD_KEEP_WILL,
    RECORD_FORGET_WILL,
    RECORD_HAD,
    RECORD_FETCH,
    RECORD_RESTORE_BEGIN,
    RECORD_RESTORE_END,
    RECORD_QUEUED,
    RECORD_FETCH_END,
    RECORD_NOT_QUEUED,
    RECORD_JOURNAL_STATE
};

/* What a message record is for. */
enum record_purpose {
    RECORD_FOR_DELIVERY = 1, /* worker -> worker */
    RECORD_FOR_RETAIN,       /* worker -> store; an empty payload clears */
    RECORD_FOR_WILL,         /* worker -> store: keep it; store -> worker: it is yours now */
    RECORD_FOR_JOURNAL       /* worker <-> committer: the next record says what it is for */
};

enum {
    RECORD_GROUPS_MAX = 64 /* shared groups of one destination in one record */
};

struct record_message {
    enum record_purpose purpose;
    uint64_t message_id;       /* unique across restarts: slot, epoch, count */
    uint64_t expiry_at_ms;     /* boot clock; 0: never */
    uint32_t publisher;        /* the producer's handle for HOLD; 0: nobody to hold */
    uint32_t will_delay_s;     /* will */
    uint32_t session_expiry_s; /* will */
    uint8_t qos;
    bool retain;
    bool plain;     /* delivery: plain subscriptions match */
    bool repeat;    /* delivery: whom it is for may have it already */
    bool dup;       /* delivery: nobody has it, but it may have been sent before a death */
    uint8_t hops;   /* delivery: times a shared message was passed on */
    uint8_t origin; /* delivery: worker that the publisher is connected to */
    struct bytes topic;
    struct bytes properties; /* only those that pass through */
    struct bytes client_id;  /* will */
    struct bytes groups;     /* delivery: struct hash128 of each shared group meant */
    struct bytes payload;
};

/* Sends one message, over several turns if the ring fills up: a large one is cut
 * into consecutive fragments and nothing else may be put to that peer between. */
struct record_sender {
    size_t sent; /* payload bytes committed so far */
    bool begun;
};
/* True when the message is wholly committed; false when the ring is full: call
 * again with the same arguments later. Counts in mesh, publishes nothing. */
bool record_put_message(struct mesh *mesh, unsigned peer, const struct record_message *message,
                        struct record_sender *sender);

/* Puts a message together again; one per producer. A message that came whole is
 * borrowed from the ring, a larger one from the assembly. */
struct record_assembly {
    uint8_t *memory; /* NULL: none in progress */
    size_t size;
    size_t filled;
    struct record_message message;
};
enum record_progress {
    RECORD_BROKEN,  /* does not hold together: check() or drop the producer */
    RECORD_PARTIAL, /* more fragments to come, or a fragment of a lost message */
    RECORD_WHOLE    /* *ret_message is set, valid until the next call or release */
};
/* Takes a MESSAGE or FRAGMENT record. `memory_max` bounds one assembly. */
enum record_progress record_get_message(struct record_assembly *assembly,
                                        const struct ring_record *record, size_t memory_max,
                                        struct record_message *ret_message);
void record_assembly_done(struct record_assembly *assembly);

/* HOLD, UNHOLD: the consumer of messages asks for a pause of one publisher. */
bool record_put_hold(struct mesh *mesh, unsigned peer, bool hold, uint32_t publisher);
bool record_get_hold(const struct ring_record *record, uint32_t *ret_publisher);

/* OVERFLOW: a queue was too full for the message that ends at this position of the ring
 * that leads to the sender. */
bool record_put_overflow(struct mesh *mesh, unsigned peer, uint32_t position);
bool record_get_overflow(const struct ring_record *record, uint32_t *ret_position);

/* RESET: a worker starts with empty hands; what its slot had set before is void. */
bool record_put_reset(struct mesh *mesh, unsigned peer, uint64_t serial);
bool record_get_reset(const struct ring_record *record, uint64_t *ret_serial);

/* FILTER: this worker wants (or no longer wants) messages for a plain filter.
 * Absolute, so that reading it twice does no harm. Serials rise by one with each
 * FILTER, GROUP and RESET of a worker. A filter here, as a client id below, fits
 * into one record of the ring with 32 bytes besides; a longer one is a check(). */
struct record_filter {
    uint64_t serial;
    bool any;        /* some session here subscribes */
    bool persistent; /* some persistent one does */
    struct bytes filter;
};
bool record_put_filter(struct mesh *mesh, unsigned peer, const struct record_filter *filter);
bool record_get_filter(const struct ring_record *record, struct record_filter *ret_filter);

/* GROUP: members of a shared group on this worker; both 0: none. */
struct record_group {
    uint64_t serial;
    uint32_t online;
    uint32_t offline;
    struct hash128 id;   /* of "$share/group/filter" */
    struct bytes filter; /* the plain filter */
};
bool record_put_group(struct mesh *mesh, unsigned peer, const struct record_group *group);
bool record_get_group(const struct ring_record *record, struct record_group *ret_group);

bool record_put_will_clear(struct mesh *mesh, unsigned peer, struct bytes client_id);
bool record_get_will_clear(const struct ring_record *record, struct bytes *ret_client_id);

/* CONFIRM: all serials up to this one are done. REFUSE comes before it for a
 * serial that could not be done. */
bool record_put_confirm(struct mesh *mesh, unsigned peer, uint64_t serial);
bool record_get_confirm(const struct ring_record *record, uint64_t *ret_serial);
bool record_put_refuse(struct mesh *mesh, unsigned peer, uint64_t serial, enum mqtt_reason reason);
bool record_get_refuse(const struct ring_record *record, uint64_t *ret_serial,
                       enum mqtt_reason *ret_reason);

#endif
