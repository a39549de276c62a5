#ifndef COURTIER_WORKER_ROUTE_PUBLISHER_H
#define COURTIER_WORKER_ROUTE_PUBLISHER_H

/*
 * The connections of this worker that publish, and why some of them pause.
 *
 * A publisher is paused (its socket is not read) while a message of its waits
 * for a full ring, and while a subscriber whose output is congested asks for it
 * (HOLD), wherever that subscriber lives. The second kind ends with UNHOLD, or
 * by itself PUBLISHER_HOLD_MAX_MS after the last HOLD, so that neither a lost
 * UNHOLD nor a dead worker nor a stalled subscriber can stop a publisher for long.
 *
 * Publishers are named by handles, which other processes may hold on to longer
 * than the connection lives.
 */

#include "common/base/wheel.h"
#include "shm/stats.h"
#include "worker/route/settle.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUBLISHER_HOLD_MAX_MS = 250 };

struct conn;
struct journal;
struct loop;
struct session;

struct publisher {
    struct conn *conn;       /* NULL: gone, but a message of its still waits */
    struct session *session; /* NULL: gone, too */
    struct publishers *all;
    struct wheel_timer hold_timer;
    struct settle_queue unsettled;
    uint64_t ack_workers;     /* that `ack` is about, */
    uint64_t ack_kept;        /* and the first record of the journal */
    struct publisher_ack ack; /* of the message that waits for a ring */
    uint32_t handle;
    uint32_t hold_count; /* congested subscribers that asked for a pause */
    uint32_t waiting;    /* full rings that its latest message waits for */
    bool is_paced;       /* paused until enough of it is acknowledged */
};

struct publishers {
    struct publisher **slots; /* by the handle's low bits */
    uint32_t slot_count;
    uint32_t free_hint;
    uint32_t round; /* high bits of new handles */
    struct loop *loop;
    struct settle *settle;
    struct journal *journal;
    struct stats stats;
};

void publishers_init(struct publishers *publishers, struct loop *loop, struct stats stats,
                     struct settle *settle, struct journal *journal);
void publishers_done(struct publishers *publishers);

/* Registers a connection; done at its first PUBLISH. NULL without memory. */
struct publisher *publishers_add(struct publishers *publishers, struct conn *conn);
/* The session ends: what it waited for is forgotten. NULL is allowed. */
void publishers_remove(struct publisher *publisher);
/* The connection ends. False: it is removed. True: its session is kept, and waits on for what
 * becomes of its QoS 2 messages. NULL is allowed. */
bool publishers_leave(struct publisher *publisher);
/* Its session, which waited on, publishes on another connection. */
void publishers_return(struct publisher *publisher, struct conn *conn);
/* The session of a publisher, or NULL when it is gone. */
const struct session *publishers_session(const struct publishers *publishers, uint32_t handle);

/* A congested subscriber asks for a pause, or takes it back. Unknown handles are
 * ignored: the connection is gone. So is a request to pause a client that owes us
 * acknowledgements, because its socket is the way that they come. */
void publishers_hold(struct publishers *publishers, uint32_t handle);
void publishers_unhold(struct publishers *publishers, uint32_t handle);

/* A message of this publisher waits for a ring; a waiting one is in now. */
void publishers_message_waits(struct publishers *publishers, uint32_t handle);
void publishers_message_done(struct publishers *publishers, uint32_t handle);
/* The message that waits went to these workers meanwhile, and into the journal from
 * `kept` on (0: not), as its acknowledgement must know. Before publishers_message_done(). */
void publishers_message_went(struct publishers *publishers, uint32_t handle, uint64_t workers,
                             uint64_t kept);
/* Acknowledges the publisher's latest message, which went to `workers` (a bit each) and
 * into the journal from `kept` on: when it is in all rings, and settled, and on disk. */
void publishers_acknowledge(struct publisher *publisher, const struct publisher_ack *ack,
                            uint64_t workers, uint64_t kept);
/* Pauses a publisher that has sent more at QoS 1 than `open_max` and all of it waits
 * for its PUBACK, until one of them has gone out (publishers_acknowledged()). */
void publishers_pace(struct publisher *publisher, uint32_t open_max);
/* What a PUBREC says is certain: that the message is with all who are to have it, or that it
 * could not be; so it is noted for a repeat, which may come on another connection. */
void publishers_note(struct publisher *publisher, const struct publisher_ack *ack);
/* An acknowledgement went out. */
void publishers_acknowledged(struct publisher *publisher);

#endif
