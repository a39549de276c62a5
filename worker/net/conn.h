#ifndef COURTIER_WORKER_NET_CONN_H
#define COURTIER_WORKER_NET_CONN_H

/*
 * A connection: packets in, packets out. It cuts the stream into packets, keeps
 * the half-received one (growing with the bytes that really arrive), watches
 * keep-alive and connect timeout, pauses reading when its publisher is pushed
 * back, and closes with a reason. It knows packets, not what they mean: that is
 * `struct conn_events`, set once in worker.c.
 */

#include "common/base/list.h"
#include "common/base/wheel.h"
#include "common/mqtt/frame.h"
#include "common/mqtt/packet.h"
#include "shm/stats.h"
#include "worker/net/peer.h"
#include "worker/net/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct session;

/* Upward calls. None may free the conn; conn_close() is allowed in all. They come
 * from the loop's turn, conn_start() and conn_resume_all() alone. */
struct conn_events {
    /* One whole packet; `body` is valid during the call. */
    void (*on_packet)(struct conn *conn, const struct frame_header *header, struct bytes body);
    /* Output that had been over the low-water mark fell to it or below. */
    void (*on_drained)(struct conn *conn);
    /* The connection is over, whoever ended it; called once, before it is freed,
     * never from inside conn_close(): in this turn or the next one. Last bytes may
     * still be on their way. `reason` is what the end means (zero: the peer closed or
     * DISCONNECTed). */
    void (*on_end)(struct conn *conn, enum mqtt_reason reason);
};

enum conn_state {
    CONN_FRESH,   /* no CONNECT yet: receives piece by piece */
    CONN_WAITING, /* CONNECT taken; an answer from elsewhere is awaited, nothing is read */
    CONN_OPEN,    /* CONNACK sent */
    CONN_CLOSING, /* last bytes are being sent, input is ignored */
    CONN_CLOSED   /* waits for the last completion */
};

/* What all connections of a worker share. */
struct conn_context {
    struct loop *loop;
    struct output_pool *pool;
    const struct conn_events *events;
    const struct conf_tunable *tunable;
    struct stats stats;
    struct list_node flush;          /* conns that have output in this turn */
    struct list_node resume;         /* conns that have something to do in conn_resume_all() */
    struct wheel_timer resume_timer; /* runs while it is not empty: the loop must not sleep */
    struct list_node all;            /* every conn */
    void *owner;                     /* the worker, for the events */
    uint32_t count;
    uint32_t left_to_close; /* of conn_close_all() */
    uint16_t close_reason;
};

struct conn {
    struct conn_context *context;
    struct stream stream;
    struct list_node flush_node;
    struct list_node all_node;
    struct list_node resume_node;
    struct wheel_timer timer; /* connect timeout, keep-alive, end of closing */
    struct session *session;  /* NULL before CONNECT and after the end */
    uint8_t *partial;         /* received and not yet taken apart; NULL when none */
    uint32_t partial_taken;   /* of it, bytes that are done with */
    uint32_t partial_size;
    uint32_t partial_capacity;
    uint32_t packet_size_max; /* the client's Maximum Packet Size; 0: none */
    uint32_t last_receive_ms; /* low bits of when the last whole packet came */
    uint32_t sent_total;      /* bytes that the kernel took, low bits */
    uint16_t keep_alive_s;    /* in force; 0: off */
    uint16_t listener_index;
    uint16_t holds;      /* reasons to pause reading, counted */
    uint16_t end_reason; /* enum mqtt_reason */
    uint8_t state;       /* enum conn_state */
    uint8_t version;     /* enum mqtt_version; 0 before CONNECT */
    uint8_t qos_max;     /* the listener's max_qos; set by CONNECT */
    bool is_busy : 1;    /* its packets are being taken apart */
    bool is_receiving : 1;
    bool has_ended : 1; /* the peer sends no more */
    bool end_told : 1;
    bool is_detached : 1; /* handed off: only memory is left */
    bool over_low_water : 1;
    bool wants_problem_info : 1;
    bool is_resumed : 1; /* its session was there before */
    bool is_leaving : 1; /* sent DISCONNECT; some of its messages are not acknowledged yet */
    struct peer peer;    /* for logs: peer_text() */
};

/* `tunable` is borrowed and may change between turns (a reload). `owner` is left
 * to the caller to set. */
void conn_context_init(struct conn_context *context, struct loop *loop, struct output_pool *pool,
                       const struct conn_events *events, const struct conf_tunable *tunable,
                       struct stats stats);
/* For the end of the process: ends all connections at once, without on_end() and
 * without last bytes. No turn of the loop may follow. */
void conn_context_done(struct conn_context *context);

/* Takes over a connected socket. `pending` are bytes received already (a
 * connection that came by hand-off): they are processed in a later call to
 * conn_start(). NULL without memory; the descriptor is closed then. */
struct conn *conn_new(struct conn_context *context, int fd, uint16_t listener_index,
                      const struct peer *peer, struct bytes pending);
/* Begins to read (or first takes the pending bytes apart). */
void conn_start(struct conn *conn);

/* CONNECT was accepted: from now on receives continuously, with this keep-alive. */
void conn_open(struct conn *conn, uint16_t keep_alive_s);
/* Waits for an answer: packets that arrive meanwhile stay unread. */
void conn_wait(struct conn *conn);
/* Ends CONN_WAITING. */
void conn_resume(struct conn *conn);
/* Pauses reading; counted. While held, packets stay in `partial` or the kernel. */
void conn_hold(struct conn *conn);
void conn_unhold(struct conn *conn);
/* conn_open(), conn_resume(), conn_unhold() and conn_close() never call upward
 * themselves, because they are called from the middle of other work: they put the
 * conn on a list, and this function, called once per turn from the top, takes
 * apart what the conns on it have unread, lets them receive again, and tells of
 * those that have ended. True when there is more to do at once. */
bool conn_resume_all(struct conn_context *context);

/* Memory for a packet of `size` bytes, or NULL (out of memory, or closing); then
 * conn_commit() with the bytes really used. Marks the conn for the flush. */
uint8_t *conn_reserve(struct conn *conn, size_t size);
void conn_commit(struct conn *conn, size_t size);
/* Appends shared memory right behind what was committed; see output.h. */
bool conn_append_shared(struct conn *conn, struct bytes body, void (*give_back)(void *owner),
                        void *owner);
/* Bytes that wait to be sent. */
size_t conn_backlog(const struct conn *conn);

/* End of turn: one send for each conn that has output. */
void conn_flush_all(struct conn_context *context);

/* Ends the connection: on a 5.0 connection after CONNACK a DISCONNECT with the
 * reason in code and words goes first, when it is one that a server may send; then
 * the output is sent for at most a second, and the stream closed. The reason is
 * what on_end() gets. Further calls are ignored. */
void conn_close(struct conn *conn, enum mqtt_reason reason);
/* The same with words (at most REASON_WHY_SIZE_MAX bytes) that say more. */
void conn_close_saying(struct conn *conn, enum mqtt_reason reason, const char *words);
/* The same after the caller has put its own last packet (CONNACK with an error)
 * into the output. */
void conn_close_quiet(struct conn *conn, enum mqtt_reason reason);
/* conn_close() for all that there are, some in each conn_resume_all(). No other may be
 * made from now on. */
void conn_close_all(struct conn_context *context, enum mqtt_reason reason);

/* Takes the descriptor and the unread bytes away (hand-off); the conn is freed in
 * conn_resume_all(), without on_end(). Only in CONN_FRESH (from on_packet()) or
 * CONN_WAITING. *ret_pending is malloc'ed, owned by the caller, NULL when empty.
 * `packet` is put in front of it (the CONNECT that is being handled). Returns the
 * descriptor, or -ENOMEM: then the connection is closed. */
int conn_detach(struct conn *conn, struct bytes packet, uint8_t **ret_pending,
                size_t *ret_pending_size);

#endif
