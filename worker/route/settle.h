#ifndef COURTIER_WORKER_ROUTE_SETTLE_H
#define COURTIER_WORKER_ROUTE_SETTLE_H

/*
 * Acknowledgements that wait until every other worker that got the message has
 * settled it: taken it from its ring, delivered or queued it, and has on disk what
 * is to outlive it; and until our own journal has. Of a worker where nothing is to
 * outlive it only the first is asked, whatever else waits for the disk there. So a
 * publisher has no more than its window under way, however full the rings are, and
 * push-back comes in time. What is compared are positions in the rings, and serials of
 * the journal; no message goes back.
 *
 * One queue per publisher: its acknowledgements keep their order [MQTT-4.6.0-2],
 * and a worker that hangs holds up only those who publish to it.
 */

#include "common/base/list.h"
#include "common/mqtt/reason.h"
#include "shm/mesh.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct journal;
struct settle_queue;

enum { SETTLE_REFUSED_MAX = 32 };

struct publisher_ack {
    uint16_t packet_id; /* 0: none */
    uint8_t type;       /* enum packet_type */
    uint16_t reason;    /* enum mqtt_reason */
    bool has_crossed;   /* on its way back: it waited for other workers */
    uint64_t begun;     /* PUBREC: message that begins with this packet id; 0: it is known */
    bool is_repeat;     /* of a message of before a restart, which may come once more */
    uint64_t takers;    /* bit per worker that keeps nothing of it: it need only take it */
};

struct settle {
    struct mesh *mesh;
    const struct journal *journal;
    struct list_node waiting; /* of struct settle_queue that is not empty */
    uint64_t awaited;         /* bit per worker that the first entry of some queue waits for */
    bool has_news;            /* an entry may go out though nothing moved */
    bool hears_first;         /* all that a worker said is taken before it has settled */
    /* Sends an acknowledgement. */
    void (*on_ack)(struct conn *conn, const struct publisher_ack *ack);
    /* The same for a queue that has no connection: the entry is settled. */
    void (*on_settled)(void *owner);
    void *owner;
    /* A PUBREC whose connection is gone is settled. */
    void (*on_unheard)(struct settle_queue *queue, const struct publisher_ack *ack);
    /* Records of the journal that can't be kept, till those who wait for them are told. */
    struct settle_refused {
        uint64_t first;
        uint64_t last;
        enum mqtt_reason reason;
    } refused[SETTLE_REFUSED_MAX];
    unsigned refused_count;
    /* How far these were when all queues were last looked at: nothing goes out before one
     * of them moves. */
    uint64_t confirmed; /* the journal */
    struct settle_seen {
        uint32_t settled;
        uint32_t released;
    } seen[MESH_PEERS_MAX]; /* the rings to `awaited` */
};

/* Embedded in its publisher. */
struct settle_queue {
    struct list_node node; /* in settle->waiting */
    struct conn *conn;
    uint64_t *words;   /* circular; see settle.c for an entry's form */
    uint32_t capacity; /* words, 0 or a power of two */
    uint32_t first;    /* both run freely */
    uint32_t end;
    uint32_t puback_count; /* PUBACKs among the entries */
    bool is_left;          /* its connection is gone, and it waits for the next */
};

void settle_init(struct settle *settle, struct mesh *mesh, const struct journal *journal,
                 void (*on_ack)(struct conn *conn, const struct publisher_ack *ack));
void settle_queue_init(struct settle_queue *queue, struct conn *conn);
/* Forgets what waits. */
void settle_queue_done(struct settle_queue *queue);
/* The connection is gone: PUBRECs wait on, for on_unheard(); all else is forgotten. False when
 * there is no PUBREC. */
bool settle_queue_leave(struct settle_queue *queue);
/* There is another connection, to which new entries belong. */
void settle_queue_return(struct settle_queue *queue, struct conn *conn);
bool settle_queue_is_empty(const struct settle_queue *queue);

/* Sends the acknowledgement now, or when all of `workers` (a bit each) have settled
 * what is committed to them so far, and the records that were put in the journal so far,
 * from `kept` on (0: none), are on disk. */
void settle_acknowledge(struct settle *settle, struct settle_queue *queue,
                        const struct publisher_ack *ack, uint64_t workers, uint64_t kept);
/* This record of the journal can't be kept: whose PUBACK or PUBREC waits for it, is told by
 * the next settle_release(). */
void settle_refuse(struct settle *settle, uint64_t serial, enum mqtt_reason reason);
/* The same for those who wait for other workers, which have no room on disk either. */
void settle_refuse_workers(struct settle *settle, enum mqtt_reason reason);
/* The same for PUBACKs that wait for any disk: it fails, and is tried again. */
void settle_refuse_all(struct settle *settle, enum mqtt_reason reason);
/* The same for whose message ends at this position of the ring to `worker`, which has no
 * room for it. */
void settle_refuse_position(struct settle *settle, unsigned worker, uint32_t position,
                            enum mqtt_reason reason);
/* Once per turn, before output is sent: sends what has been settled. */
void settle_release(struct settle *settle);
/* Before sleeping: asks for the bell at the next progress. False when there has
 * been some meanwhile: do not sleep. */
bool settle_may_sleep(struct settle *settle);

#endif
