#ifndef COURTIER_WORKER_SESSION_SESSION_H
#define COURTIER_WORKER_SESSION_SESSION_H

/*
 * A session: all that outlives a network connection. It lives on its home worker
 * and is touched by nobody else. It holds state and the rules of that state;
 * what follows from a change (routing, packets, wills going out) is up to
 * worker/route and worker/protocol.
 */

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/wheel.h"
#include "common/mqtt/packet.h"
#include "shm/stats.h"
#include "worker/session/alias.h"
#include "worker/session/delivery.h"
#include "worker/session/inflight.h"
#include "worker/session/message.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct leaving;
struct paging;
struct pending;
struct publisher;

/* A will as it waits for its connection to end. */
struct will {
    struct message *message;
    uint32_t expiry_s; /* Message Expiry Interval, counted from its publication; 0: none */
    uint32_t delay_s;
    bool is_restored; /* it may have been published before */
    struct list_node node;
    struct list_node older; /* of struct will: restored ones, which were published before */
};

/* A QoS 2 id from the client, between PUBLISH and PUBREL. */
struct receiving {
    uint64_t message_id; /* 0: all who are to have the message have it for good */
    uint16_t packet_id;
    bool is_lost; /* some may not: when the client repeats the message, it is routed again */
};

struct session_table;

struct session {
    struct session_table *table;
    struct conn *conn;              /* NULL: offline */
    struct list_node subscriptions; /* of struct subscription (worker/route/filters.h) */
    struct list_node replays;       /* of struct replay (worker/route/replay.h) */
    struct list_node queue;         /* of struct delivery, QoS 1 and 2, and 0 when offline */
    struct paging *paging;          /* what waits behind the queue, on disk; NULL: nothing */
    struct leaving *leaving;        /* what goes to others (redistribute.h); NULL: nothing */
    struct inflight inflight;       /* towards the client */
    struct will *will;              /* NULL: none */
    struct publisher *publisher;    /* NULL: has not published, and nothing of it waits */
    struct pending *pending;        /* an answer that waits (worker/protocol/pending.h) */
    struct receiving *receiving;    /* QoS 2 ids from the client */
    struct alias_in *alias_in;
    struct alias_out *alias_out;
    struct wheel_timer timer;   /* offline: will due, or the session's end */
    uint64_t expires_at_ms;     /* offline: when the session ends */
    uint64_t number;            /* in the journal (session_keep()); 0: not in it */
    struct list_node kept_node; /* in table->kept */
    uint64_t seq;               /* of the delivery that came into the journal last, */
    uint64_t seq_sent;          /* ... and of the last that may have been sent before a restart */
    struct list_node backlog_node; /* in router->backlog: not read (worker/route/backlog.h) */
    uint64_t queued_bytes;
    uint64_t congested_since_ms; /* 0: not congested (worker/route/hold.h) */
    uint64_t progress_at_ms;     /* congested: when its progress was last looked at, */
    uint32_t progress;           /* and the connection's sent_total then */
    struct list_node hold_node;  /* in router->holds */
    struct holding *holding;     /* publishers that wait for this one; NULL: none */
    uint32_t subscription_count;
    uint32_t queued_count;
    uint32_t expiry_s; /* SESSION_NEVER_EXPIRES: never */
    uint16_t receiving_count;
    uint16_t receiving_old; /* the first so many: from earlier connections, outside of the quota */
    uint16_t receiving_capacity;
    uint16_t resend_count; /* in flight, not yet sent on this connection */
    uint16_t receive_max;  /* open QoS 1 and 2 messages that we told the client to keep to */
    uint16_t window;       /* in-flight deliveries that the client takes */
    uint16_t client_id_size;
    uint8_t version; /* enum mqtt_version of the latest connection */
    bool is_slow;    /* holds nobody back any more */
    bool is_remnant; /* stands for a will that outlived its worker */
    bool is_gone;    /* no client's any more: session_leave() */
    bool is_awaited; /* packets to it wait for the journal (worker/route/await.h) */
    uint8_t client_id[];
};

struct session_table {
    struct map by_client_id;
    struct map paged;            /* of struct paging, by session number */
    struct list_node kept;       /* of sessions that have a number */
    struct list_node *repeat_at; /* entry_repeat() goes on there; NULL: at the first */
    struct stats stats;
    void *owner; /* the worker */
    /* Called when an offline session's timer is due: its will, or its end. */
    void (*on_timer)(struct session *session);
};

void session_table_init(struct session_table *table, const struct hash_key *key,
                        struct stats stats);
/* The session with this client id, or NULL. */
struct session *session_find(const struct session_table *table, struct bytes client_id);
/* Makes a session that is not in the table yet. NULL without memory. */
struct session *session_new(struct session_table *table, struct bytes client_id);
/* The journal keeps it, under this number. */
void session_keep(struct session *session, uint64_t number);
/* Frees it with everything in it but its subscriptions and replays, which must
 * be gone (checked), and its connection, which must be detached. */
void session_free(struct session *session);
/* It ended, and is in the table no more; it stays for what it leaves to others. */
void session_leave(struct session *session);

struct bytes session_client_id(const struct session *session);
/* Lives on without its connection. */
bool session_is_persistent(const struct session *session);
/* What only a connection has (aliases) goes with it. */
void session_forget_connection(struct session *session);

/* Puts a delivery in flight that was so before a restart, with its packet id. False
 * without memory, or when the id is in use. */
bool session_restore_in_flight(struct session *session, struct delivery *delivery,
                               uint16_t packet_id);
/* Queues a delivery (taken) behind the others; the caller has checked limits. */
void session_enqueue(struct session *session, struct delivery *delivery);
/* Takes the first queued delivery out; it stays the session's to place. */
struct delivery *session_dequeue(struct session *session);
/* Puts a dequeued delivery in flight. False without memory or a free packet id. */
bool session_put_in_flight(struct session *session, struct delivery *delivery);
/* PUBREC came: from now on only the identifier is in flight; PUBRELs keep the
 * order of the PUBRECs [MQTT-4.6.0-4]. */
void session_release(struct session *session, struct delivery *delivery);
/* An in-flight delivery is acknowledged, refused or given up: frees it. */
void session_settle(struct session *session, struct delivery *delivery);
/* For other members of a shared group (`share` NULL: of every one), in order, to
 * the end of `list`: what is queued at QoS 1 and 2. */
void session_take_queued(struct session *session, const struct share *share,
                         struct list_node *list);
/* The session ends. For other members of its shared groups, in order, to the end
 * of `list`: what is in flight, but for QoS 2 that was begun [MQTT-4.8.2-5]. */
void session_take_in_flight(struct session *session, struct list_node *list);
/* Deliveries that wait, here and on disk. */
uint32_t session_waiting_count(const struct session *session);
/* Takes the last queued delivery out; it stays the session's to place. */
struct delivery *session_take_last(struct session *session);
/* Would one more delivery of this size stay within the limits (0: none)? */
bool session_has_room(const struct session *session, uint32_t size, uint32_t messages_max,
                      uint64_t bytes_max);
/* The delivery of this message in its queue, or in flight with its body; or NULL. Looks at
 * all of them. */
struct delivery *session_find_message(const struct session *session, uint64_t message_id);
/* May another delivery be put in flight now? */
bool session_window_is_open(const struct session *session);

/* QoS 2 ids of messages that came from the client [MQTT-4.3.3-10]. */
bool session_is_receiving(const struct session *session, uint16_t packet_id);
/* NULL: the id is not in. Valid until one comes or goes. */
struct receiving *session_receiving(const struct session *session, uint16_t packet_id);
/* NULL without memory. The id is not in yet. */
struct receiving *session_receive_begin(struct session *session, uint16_t packet_id);
/* How many of them count against the quota of this connection [MQTT 5.0, 4.9]. */
uint32_t session_receive_open(const struct session *session);
/* False when the id was unknown. */
bool session_receive_end(struct session *session, uint16_t packet_id);

/* Takes `will`, in place of the old one, which is freed. NULL: none. */
void session_set_will(struct session *session, struct will *will);
void will_free(struct will *will);

#endif
