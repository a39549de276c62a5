#include "worker/route/deliver.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "common/mqtt/codec_ack.h"
#include "common/mqtt/codec_publish.h"
#include "worker/net/conn.h"
#include "worker/route/await.h"
#include "worker/route/entry.h"
#include "worker/route/fetch.h"
#include "worker/route/hold.h"
#include "worker/route/replay.h"
#include "worker/session/paging.h"

enum {
    SHARED_PAYLOAD_MIN = 8192, /* larger payloads are shared, not copied */
    ALIAS_SIZE = 3 + 2,        /* a Topic Alias adds to a packet: itself, two longer lengths */
    CONGESTED_SHARE = 4        /* of output_buffer_max: QoS 1 and 2 wait above it */
};

enum outcome {
    SENT,
    NO_ROOM,   /* of memory or output: it may work later */
    UNSENDABLE /* too large for this client, or expired: never */
};

static bool can_send(const struct session *session)
{
    return session->conn != NULL && session->conn->state == CONN_OPEN;
}

/* Aliases are for topics that are longer than what the alias itself takes. */
static void use_alias(struct session *session, struct publish_out *out, size_t size)
{
    uint32_t size_max = session->conn->packet_size_max;
    if (session->alias_out == NULL || out->topic.size <= ALIAS_SIZE)
        return;
    if (size_max != 0 && size + ALIAS_SIZE > size_max)
        return;
    bool is_known;
    out->topic_alias = alias_out_use(session->alias_out, out->topic, &is_known);
    if (is_known)
        out->topic = (struct bytes){NULL, 0};
}

/* Encodes one PUBLISH into the connection's output. `message` is the shared copy
 * when there is one. */
static enum outcome encode(struct session *session, struct publish_out *out, struct bytes payload,
                           struct message *message)
{
    struct conn *conn = session->conn;
    enum mqtt_version version = (enum mqtt_version)conn->version;
    size_t size = codec_publish_size(out, version);
    if (size == 0 || (conn->packet_size_max != 0 && size > conn->packet_size_max))
        return UNSENDABLE; /* [MQTT-3.1.2-24] */
    if (version == MQTT_V5)
        use_alias(session, out, size);
    bool is_shared = message != NULL && payload.size >= SHARED_PAYLOAD_MIN;
    size_t head_size = codec_publish_head_size(out, version);
    size_t own_size = is_shared ? head_size : head_size + payload.size;
    uint8_t *memory = conn_reserve(conn, own_size);
    if (memory == NULL) {
        /* Out of memory: what is in flight waits for the next connection, and an
         * alias that this one would miss goes with it. */
        conn_close(conn, REASON_SERVER_BUSY);
        return NO_ROOM;
    }
    struct writer w = writer_of(memory, own_size);
    codec_publish_encode_head(&w, out, version);
    if (!is_shared)
        writer_bytes(&w, payload);
    check(!w.bad);
    conn_commit(conn, own_size);
    if (is_shared && !conn_append_shared(conn, payload, message_give_back, message_get(message)))
        fatal("no memory for output");
    stats_add(conn->context->stats, STAT_publish_sent, 1);
    stats_add(conn->context->stats, STAT_publish_bytes_sent, payload.size);
    return SENT;
}

/* Fills in what both ways of sending share. False when the message expired. */
static bool describe(const struct router *router, struct publish_out *out, uint64_t expiry_at_ms,
                     const struct subscription_ids *ids)
{
    out->subscription_ids = ids->list;
    out->subscription_id_count = ids->count;
    if (expiry_at_ms != 0) {
        bool is_expired;
        out->has_expiry = true;
        out->expiry_s = message_expiry_left_s(expiry_at_ms, loop_now_ms(router->loop), &is_expired);
        if (is_expired)
            return false; /* [MQTT-3.3.2-5] */
    }
    return true;
}

static void count_drop(const struct router *router)
{
    stats_add(router->stats, STAT_publish_dropped, 1);
}

static enum outcome send_delivery(struct router *router, struct session *session,
                                  struct delivery *d)
{
    struct message *m = d->message;
    struct publish_out out = {
        .topic = message_topic(m),
        .properties = message_properties(m),
        .payload_size = m->payload_size,
        .qos = (enum qos)d->qos,
        .retain = d->retain,
        .dup = d->sent && d->qos > 0,
        .packet_id = d->packet_id,
    };
    const struct subscription_ids ids = {d->subscription_ids, d->subscription_id_count};
    bool is_alive = describe(router, &out, m->expiry_at_ms, &ids);
    if (!is_alive && !d->sent) /* what was begun is brought to an end */
        return UNSENDABLE;
    enum outcome outcome = encode(session, &out, message_payload(m), m);
    if (outcome == SENT)
        d->sent = 1;
    return outcome;
}

/* -- QoS 0 -- */

static enum outcome send_at_once(struct router *router, struct session *session,
                                 struct publication *p, const struct deliver_terms *terms)
{
    size_t backlog = conn_backlog(session->conn);
    if (backlog > 0 && backlog + p->payload.size > router->tunable->output_buffer_max)
        return NO_ROOM; /* one message fits always: max_packet_size bounds it */
    struct message *message = p->message;
    if (p->payload.size >= SHARED_PAYLOAD_MIN)
        message = publication_message(p);
    struct publish_out out = {
        .topic = p->topic,
        .properties = p->properties,
        .payload_size = p->payload.size,
        .qos = QOS_AT_MOST_ONCE,
        .retain = terms->retain,
    };
    if (!describe(router, &out, p->expiry_at_ms, &terms->ids))
        return UNSENDABLE;
    /* What is sent later must not lie in the publisher's input. */
    struct bytes payload = message != NULL ? message_payload(message) : p->payload;
    return encode(session, &out, payload, message);
}

/* -- QoS 1 and 2, and QoS 0 for offline sessions -- */

static void log_full(const struct session *session)
{
    static struct log_rate rate;
    unsigned suppressed;
    if (log_rate_allows(&rate, 5, &suppressed))
        log_notice("Outgoing messages are being dropped for client %s: its queue is full.",
                   log_text(session_client_id(session)).text);
}

/* A delivery that is in no list of the session. */
static void end_delivery(struct router *router, struct session *session, struct delivery *d)
{
    entry_done(&router->journal, session, d);
    delivery_free(d);
}

static void drop(struct router *router, struct session *session, struct delivery *d)
{
    end_delivery(router, session, d);
    count_drop(router);
}

/* A full queue first lets go of what nobody would get any more, from its front. */
static void drop_expired(struct router *router, struct session *session)
{
    uint64_t now = loop_now_ms(router->loop);
    for (struct list_node *node; (node = list_first(&session->queue)) != NULL;) {
        const struct delivery *d = list_owner(node, struct delivery, node);
        if (d->message->expiry_at_ms == 0 || d->message->expiry_at_ms > now)
            return;
        drop(router, session, session_dequeue(session));
    }
}

static bool fits_queue(const struct router *router, const struct session *session,
                       const struct publication *p)
{
    const struct conf_tunable *t = router->tunable;
    size_t size = p->topic.size + p->properties.size + p->payload.size;
    return session_has_room(session, (uint32_t)size, t->queued_messages_max, t->queued_bytes_max);
}

bool deliver_is_known(struct router *router, struct session *session, uint64_t message_id)
{
    struct delivery *d = session_find_message(session, message_id);
    if (d != NULL)
        entry_again(&router->journal, session, d);
    return d != NULL || lately_has(&router->lately, session, message_id) ||
           had_contains(&router->had, session->number, message_id);
}

/* By a predecessor, which died before the journal had to know. */
static bool may_be_sent(const struct publication *p)
{
    return p->is_repeat || p->may_be_sent;
}

/* Behind what is on disk already, or too much to be held here. False without memory. */
static bool page(struct router *router, struct session *session, struct publication *p,
                 const struct deliver_terms *terms)
{
    struct message *message = publication_message(p);
    struct record_journal record = {
        .qos = (uint8_t)terms->qos,
        .retain = terms->retain,
        .repeat = may_be_sent(p),
        .ids = {(const uint8_t *)terms->ids.list, terms->ids.count * sizeof(terms->ids.list[0])},
    };
    if (message == NULL)
        return false;
    journal_put_delayed(&router->journal); /* they get their seq: what follows is behind them */
    if (session->paging == NULL && paging_begin(session, session->seq) == NULL)
        return false;
    paging_add(session->paging, 1, message_size(message));
    session->paging->has_shared |= terms->share != NULL;
    entry_paged(&router->journal, session, &record, message, terms->share);
    if (may_be_sent(p))
        session->seq_sent = session->seq;
    p->paged++;
    return true;
}

static bool enqueue_here(struct session *session, struct publication *p,
                         const struct deliver_terms *terms)
{
    struct message *message = publication_message(p);
    struct delivery *d =
        message == NULL ? NULL : delivery_new(message, terms->qos, terms->retain, &terms->ids);
    if (d == NULL)
        return false;
    d->share = share_get(terms->share);
    d->sent = may_be_sent(p) && d->qos == QOS_AT_LEAST_ONCE && session->number != 0;
    session_enqueue(session, d);
    return true;
}

static void enqueue(struct router *router, struct session *session, struct publication *p,
                    const struct deliver_terms *terms)
{
    if (p->is_repeat && deliver_is_known(router, session, p->message_id))
        return;
    if (!fits_queue(router, session, p)) {
        drop_expired(router, session);
        fetch_drop_expired(router, session);
    }
    if (!fits_queue(router, session, p)) {
        log_full(session);
        count_drop(router);
        p->is_refused = router->tunable->queue_full == CONF_QUEUE_REFUSE;
        return;
    }
    bool is_done = fetch_must_page(session, terms->share != NULL) ? page(router, session, p, terms)
                                                                  : enqueue_here(session, p, terms);
    if (!is_done)
        count_drop(router);
}

void deliver_done(struct router *router, struct session *session, struct delivery *delivery)
{
    entry_done(&router->journal, session, delivery);
    session_settle(session, delivery);
}

void deliver_begin(struct router *router, struct session *session, struct delivery *delivery)
{
    bool is_qos0 = delivery->qos == 0;
    enum outcome outcome = send_delivery(router, session, delivery);
    if (outcome != SENT && (is_qos0 || outcome == UNSENDABLE))
        count_drop(router);
    if (is_qos0)
        end_delivery(router, session, delivery);
    else if (outcome == UNSENDABLE)
        deliver_done(router, session, delivery);
}

/* At QoS 1 and 2. False when its packet has to wait. */
static bool put_in_flight(struct router *router, struct session *session, struct delivery *d)
{
    bool is_qos2 = d->qos == QOS_EXACTLY_ONCE;
    d->state = is_qos2 ? DELIVERY_WAITS_PUBREC : DELIVERY_WAITS_PUBACK;
    entry_sent(&router->journal, session, d);
    kill_point("sent-put");
    return !await_delivery(router, session, d);
}

/* Places the first queued delivery. False when it must go on waiting. */
static bool send_first(struct router *router, struct session *session)
{
    struct delivery *first = list_owner(list_first(&session->queue), struct delivery, node);
    if (conn_backlog(session->conn) > router->tunable->output_buffer_max / CONGESTED_SHARE)
        return false;
    if (first->qos > 0 && !session_window_is_open(session))
        return false;
    struct delivery *d = session_dequeue(session);
    if (d->qos > 0 && !session_put_in_flight(session, d))
        drop(router, session, d);
    else if (d->qos == 0 || put_in_flight(router, session, d))
        deliver_begin(router, session, d);
    return true;
}

/* Stays within the window of the new connection, which may be smaller than what
 * was in flight on the old one [MQTT-4.9.0-1]. */
static void resend_within_window(struct router *router, struct session *session)
{
    if (session->resend_count == 0)
        return;
    list_for_each(node, &session->inflight.order) {
        struct delivery *d = list_owner(node, struct delivery, node);
        if (!can_send(session) || !session_window_is_open(session))
            return;
        if (!d->must_resend)
            continue;
        d->must_resend = 0;
        session->resend_count--;
        deliver_begin(router, session, d);
    }
}

void deliver_resume(struct router *router, struct session *session)
{
    resend_within_window(router, session);
    while (session->resend_count == 0 && can_send(session) && !list_is_empty(&session->queue))
        if (!send_first(router, session))
            break;
    fetch_update(router, session);
    hold_update(router, session);
}

/* What could not go out at once. One that did has its entry, with the packet id. */
static void write_down(struct router *router, struct session *session)
{
    if (session->number == 0 || list_is_empty(&session->queue))
        return;
    entry_queued(&router->journal, session, list_owner(session->queue.prev, struct delivery, node));
}

void deliver_message(struct router *router, struct session *session,
                     struct publication *publication, const struct deliver_terms *terms)
{
    if (terms->qos == QOS_AT_MOST_ONCE && can_send(session)) {
        if (send_at_once(router, session, publication, terms) != SENT)
            count_drop(router);
    } else {
        bool is_wanted = session->conn != NULL || session_is_persistent(session);
        if (terms->qos == QOS_AT_MOST_ONCE && !router->tunable->queue_qos0_messages)
            is_wanted = false;
        if (!is_wanted) {
            count_drop(router);
            return;
        }
        enqueue(router, session, publication, terms);
        deliver_resume(router, session);
        write_down(router, session);
    }
    if (hold_is_congested(router, session))
        hold_publisher(router, session, publication->origin, publication->publisher);
}

bool deliver_terms_of(const struct router *router, const struct subscription *subscription,
                      const struct publication *publication, struct deliver_terms *ret_terms)
{
    if (subscription->no_local && subscription->session == publication->publisher_session)
        return false;
    uint8_t qos = subscription->qos;
    if (qos > publication->qos && !router->tunable->upgrade_outgoing_qos)
        qos = publication->qos; /* [MQTT-3.8.4-8] */
    *ret_terms = (struct deliver_terms){
        .qos = (enum qos)qos,
        .retain = subscription->retain_as_published && publication->retain,
        .ids = {&subscription->id, subscription->id != 0},
        .share = subscription->group == NULL ? NULL : subscription->group->share,
    };
    return true;
}

void deliver_live(struct router *router, struct subscription *subscription,
                  struct publication *publication)
{
    struct deliver_terms terms;
    if (!deliver_terms_of(router, subscription, publication, &terms))
        return;
    /* A group's message may be an old one, that another member left behind. */
    if (publication->retain && subscription->group == NULL)
        replay_saw(subscription->session, publication->topic);
    deliver_message(router, subscription->session, publication, &terms);
}

/* -- before a delivery -- */

static bool fits_client(const struct router *router, const struct conn *conn,
                        const struct publication *p, const struct deliver_terms *terms)
{
    struct publish_out out = {
        .topic = p->topic,
        .properties = p->properties,
        .payload_size = p->payload.size,
        .qos = terms->qos,
        .retain = terms->retain,
        .packet_id = 1,
    };
    if (conn->packet_size_max == 0)
        return true;
    (void)describe(router, &out, p->expiry_at_ms, &terms->ids);
    size_t size = codec_publish_size(&out, (enum mqtt_version)conn->version);
    return size != 0 && size <= conn->packet_size_max;
}

static bool fits_output(const struct router *router, const struct conn *conn,
                        const struct publication *p)
{
    size_t backlog = conn_backlog(conn);
    return backlog == 0 || backlog + p->payload.size <= router->tunable->output_buffer_max;
}

enum deliver_prospect deliver_prospect(const struct router *router,
                                       const struct subscription *subscription,
                                       const struct publication *publication)
{
    const struct session *session = subscription->session;
    struct deliver_terms terms;
    if (!deliver_terms_of(router, subscription, publication, &terms))
        return DELIVER_NEVER;
    bool is_qos0 = terms.qos == QOS_AT_MOST_ONCE;
    if (!can_send(session)) {
        bool is_kept = !is_qos0 || router->tunable->queue_qos0_messages;
        return is_kept && fits_queue(router, session, publication) ? DELIVER_OFFLINE
                                                                   : DELIVER_NEVER;
    }
    bool has_room = is_qos0 ? fits_output(router, session->conn, publication)
                            : fits_queue(router, session, publication);
    if (!has_room || !fits_client(router, session->conn, publication, &terms))
        return DELIVER_NEVER;
    if (hold_is_congested(router, session))
        return DELIVER_CONGESTED;
    bool must_wait = session_waiting_count(session) > 0 || !session_window_is_open(session);
    return is_qos0 || !must_wait ? DELIVER_AT_ONCE : DELIVER_SOON;
}

/* -- after a reconnect -- */

void deliver_pubrel(struct session *session, const struct delivery *delivery)
{
    struct mqtt_ack ack = {.packet_id = delivery->packet_id};
    uint8_t *memory = conn_reserve(session->conn, CODEC_ACK_SIZE_MIN);
    if (memory == NULL)
        return;
    size_t size = codec_ack_encode(&ack, PACKET_PUBREL, (enum mqtt_version)session->conn->version,
                                   memory, CODEC_ACK_SIZE_MIN);
    check(size > 0);
    conn_commit(session->conn, size);
}

void deliver_release(struct router *router, struct session *session, struct delivery *delivery)
{
    kill_point("pubrec-taken");
    lately_note(&router->lately, session, delivery->message->id);
    session_release(session, delivery);
    entry_released(&router->journal, session, delivery);
    if (!await_delivery(router, session, delivery))
        deliver_pubrel(session, delivery);
}

void deliver_resend(struct router *router, struct session *session)
{
    session->resend_count = 0;
    list_for_each(node, &session->inflight.order) {
        struct delivery *d = list_owner(node, struct delivery, node);
        if (d->must_wait && await_delivery(router, session, d))
            continue;
        d->must_wait = 0;
        d->must_resend = d->state != DELIVERY_WAITS_PUBCOMP;
        session->resend_count = (uint16_t)(session->resend_count + d->must_resend);
        if (!d->must_resend)
            deliver_pubrel(session, d);
    }
    deliver_resume(router, session);
}
