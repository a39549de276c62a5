#ifndef COURTIER_WORKER_ROUTE_PUBLISHER_H
#define COURTIER_WORKER_ROUTE_PUBLISHER_H

/*
 * The connections of this worker that publish, and why some of them pause.
 *
 * A publisher is paused (its socket is not read) while a message of its waits
 * for a full ring, and while a subscriber whose output is congested asks for it
 * (HOLD), wherever that subscriber lives. The second kind ends with UNHOLD, or
 * by itself after PUBLISHER_HOLD_MAX_MS, so that neither a lost UNHOLD nor a
 * dead worker nor a stalled subscriber can stop a publisher for long.
 *
 * Publishers are named by handles, which other processes may hold on to longer
 * than the connection lives.
 */

#include "common/base/list.h"
#include "common/base/wheel.h"
#include "common/mqtt/packet.h"
#include "shm/stats.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUBLISHER_HOLD_MAX_MS = 500 };

struct conn;
struct loop;
struct session;

/* The acknowledgement that goes out when the message is wholly handed over. */
struct publisher_ack {
    uint16_t packet_id; /* 0: none */
    uint8_t type;       /* enum packet_type */
    uint8_t reason;     /* enum mqtt_reason */
};

struct publisher {
    struct conn *conn;
    struct wheel_timer hold_timer;
    struct publishers *all;
    uint32_t handle;
    uint32_t hold_count; /* congested subscribers that asked for a pause */
    uint32_t waiting;    /* messages, one per full ring */
    struct publisher_ack ack;
};

struct publishers {
    struct publisher **slots; /* by the handle's low bits */
    uint32_t slot_count;
    uint32_t free_hint;
    uint32_t round;           /* high bits of new handles */
    struct loop *loop;
    struct stats stats;
    /* Sends the acknowledgement that had to wait. */
    void (*on_ack)(struct conn *conn, const struct publisher_ack *ack);
};

void publishers_init(struct publishers *publishers, struct loop *loop, struct stats stats,
                     void (*on_ack)(struct conn *conn, const struct publisher_ack *ack));
void publishers_done(struct publishers *publishers);

/* Registers a connection; done at its first PUBLISH. NULL without memory. */
struct publisher *publishers_add(struct publishers *publishers, struct conn *conn);
/* The connection ends: what it waited for is forgotten. NULL is allowed. */
void publishers_remove(struct publisher *publisher);

/* The session of a publisher, or NULL when it is gone. */
const struct session *publishers_session(const struct publishers *publishers, uint32_t handle);

/* A congested subscriber asks for a pause, or takes it back. Unknown handles are
 * ignored: the connection is gone. */
void publishers_hold(struct publishers *publishers, uint32_t handle);
void publishers_unhold(struct publishers *publishers, uint32_t handle);

/* A message of this publisher waits for a ring; a waiting one is in now. */
void publishers_message_waits(struct publishers *publishers, uint32_t handle);
void publishers_message_done(struct publishers *publishers, uint32_t handle);
/* Keeps the acknowledgement while the message waits; false when it does not wait
 * and the caller sends the acknowledgement itself. */
bool publishers_defer_ack(struct publisher *publisher, const struct publisher_ack *ack);

#endif
