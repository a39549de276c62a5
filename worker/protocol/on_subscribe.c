#include "worker/protocol/on_subscribe.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/mqtt/codec_subscribe.h"
#include "common/mqtt/topic.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/pending.h"
#include "worker/protocol/reply.h"
#include "worker/route/replay.h"

#include <stdlib.h>
#include <string.h>

/* What is known of one filter of the packet. */
struct granted {
    uint64_t serial;         /* of the store, that its SUBACK waits for; 0: none */
    uint64_t kept;           /* of the journal */
    enum mqtt_reason reason; /* for the SUBACK */
};

/* A SUBSCRIBE that waits for the store or the disk. Behind it a copy of the filters. */
struct pending_subscribe {
    struct pending pending;
    struct list_node node; /* in protocol->pending; not linked: the store is done */
    uint64_t serial;       /* of the store, the highest of its filters; 0: none */
    struct mqtt_subscribe packet;
    struct granted *granted;
    uint8_t filters[];
};

static struct topic_limits limits_of(const struct protocol *protocol)
{
    return (struct topic_limits){(uint16_t)protocol->tunable->topic_size_max,
                                 (uint16_t)protocol->tunable->topic_levels_max};
}

static uint64_t serial_of(const struct protocol *protocol, const struct subscription *s)
{
    uint64_t serial = s->group != NULL ? s->group->serial : s->filter->serial;
    return serial > protocol->router->announcer.confirmed ? serial : 0;
}

static void log_subscribe(const struct session *session, const struct mqtt_filter *f)
{
    if (log_is_on(LOG_LEVEL_SUBSCRIBE))
        log_line(LOG_LEVEL_SUBSCRIBE, "%s %d %s", log_text(session_client_id(session)).text,
                 (int)f->qos, log_text(f->filter).text);
}

/* The filter was announced before, for somebody else. Still, what was routed before
 * this subscriber was there may be in the store's ring yet, and it would get such a
 * message neither live nor as retained: it too has to wait for a pass that begins
 * now, which the same announcement once more brings. */
static void ask_for_pass(struct protocol *protocol, const struct subscription *s)
{
    announce_filter(&protocol->router->announcer, s->filter);
}

/* [MQTT-3.2.2-10] */
static uint8_t granted_qos(const struct session *session, const struct mqtt_filter *f)
{
    uint8_t max = session->conn->qos_max;
    return (uint8_t)f->qos < max ? (uint8_t)f->qos : max;
}

/* Adds or replaces one subscription [MQTT-3.8.4-3]. */
static struct granted subscribe(struct protocol *protocol, struct session *session,
                                const struct mqtt_subscribe *packet, const struct mqtt_filter *f)
{
    struct filters *filters = &protocol->router->filters;
    struct topic_limits limits = limits_of(protocol);
    struct topic_share share;
    enum topic_check check = topic_check_subscription(f->filter, &limits, &share);
    if (check == TOPIC_MALFORMED)
        return (struct granted){.reason = WHY_FILTER_MALFORMED};
    if (check == TOPIC_OVER_LIMIT)
        return (struct granted){.reason = WHY_FILTER_LIMIT};
    if (session->number != 0 && keep_is_refused(protocol))
        return (struct granted){.reason = REASON_QUOTA_EXCEEDED};
    uint64_t serial_before = protocol->router->announcer.serial;
    struct subscription *s = filters_find(filters, session, &share, f->filter);
    bool is_new = s == NULL;
    if (is_new && session->subscription_count >= protocol->tunable->subscriptions_max)
        return (struct granted){.reason = WHY_SUBSCRIPTION_LIMIT};
    if (is_new)
        s = filters_add(filters, session, &share, f->filter);
    if (s == NULL)
        return (struct granted){.reason = REASON_UNSPECIFIED_ERROR};
    s->id = packet->subscription_id;
    s->qos = granted_qos(session, f);
    s->no_local = f->no_local;
    s->retain_as_published = f->retain_as_published;
    log_subscribe(session, f);
    bool by_handling = f->retain_handling == RETAIN_SEND_ALWAYS ||
                       (f->retain_handling == RETAIN_SEND_IF_NEW && is_new);
    bool wants_retained = by_handling && s->group == NULL; /* [MQTT-3.3.1-9] */
    if (!is_new)
        replay_stop(session, f->filter);
    if (wants_retained)
        replay_start(protocol->router, s, f->filter);
    if (wants_retained && s->filter->serial <= serial_before)
        ask_for_pass(protocol, s);
    return (struct granted){
        .serial = serial_of(protocol, s),
        .kept = keep_subscription(protocol, s, f->filter),
        .reason = (enum mqtt_reason)s->qos,
    };
}

/* The rule that a whole packet breaks, or zero. */
static enum mqtt_reason check_filters(const struct mqtt_subscribe *packet,
                                      enum mqtt_version version)
{
    struct reader r = reader_of(packet->filters);
    for (struct mqtt_filter f; codec_subscribe_next(&r, version, &f);) {
        if (f.filter.size == 0)
            return WHY_NO_FILTER; /* [MQTT-4.7.3-1] */
        bool is_shared = bytes_equal(topic_first_level(f.filter), bytes_of("$share"));
        if (is_shared && f.no_local)
            return WHY_NO_LOCAL_SHARED; /* [MQTT-3.8.3-4] */
    }
    return REASON_SUCCESS;
}

/* Third order: SUBACK, then the replays begin, which renew and read retained. */
static void answer(struct session *session, const struct mqtt_subscribe *packet,
                   const struct granted *granted)
{
    struct conn *conn = session->conn;
    uint8_t *codes = malloc(packet->filter_count);
    if (codes == NULL) {
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
        return;
    }
    enum mqtt_reason refusal = REASON_SUCCESS;
    for (unsigned i = 0; i < packet->filter_count; i++) {
        codes[i] = (uint8_t)granted[i].reason;
        if (refusal == REASON_SUCCESS && reason_is_error(granted[i].reason))
            refusal = granted[i].reason;
    }
    reply_suback(conn, packet->packet_id, (struct bytes){codes, packet->filter_count}, refusal);
    free(codes);
}

static void pending_free(struct pending_subscribe *p)
{
    pending_clear(&p->pending);
    list_remove(&p->node);
    free(p->granted);
    free(p);
}

static void drop(struct pending *pending)
{
    pending_free(list_owner(pending, struct pending_subscribe, pending));
}

static void answer_if_done(struct pending_subscribe *p)
{
    struct session *session = p->pending.session;
    if (list_is_linked(&p->node) || pending_waits_for_disk(&p->pending))
        return;
    answer(session, &p->packet, p->granted);
    pending_free(p);
    if (session->conn != NULL)
        conn_unhold(session->conn);
}

/* Takes a subscription back that there was no room for. */
static void take_back(struct protocol *protocol, struct session *session, struct bytes text)
{
    struct topic_limits limits = limits_of(protocol);
    struct topic_share share;
    if (topic_check_subscription(text, &limits, &share) != TOPIC_OK)
        return;
    struct subscription *s = filters_find(&protocol->router->filters, session, &share, text);
    replay_stop(session, text);
    if (s == NULL)
        return;
    filters_remove(&protocol->router->filters, s);
    (void)keep_no_subscription(protocol, session, text);
}

/* Refuses what waits for this serial of the store, or (0) all that the disk was to keep. */
static void refuse_in(struct protocol *protocol, struct pending_subscribe *p, uint64_t serial,
                      enum mqtt_reason reason)
{
    struct reader r = reader_of(p->packet.filters);
    struct mqtt_filter f;
    struct session *session = p->pending.session;
    enum mqtt_version version = (enum mqtt_version)session->version;
    for (unsigned i = 0; codec_subscribe_next(&r, version, &f); i++) {
        struct granted *g = &p->granted[i];
        if (serial == 0 ? g->kept == 0 : g->serial != serial)
            continue;
        g->reason = reason;
        take_back(protocol, session, f.filter);
    }
}

static void on_kept(struct journal_wait *wait, enum mqtt_reason reason)
{
    struct pending_subscribe *p = list_owner(wait, struct pending_subscribe, pending.wait);
    if (reason != REASON_SUCCESS)
        refuse_in(p->pending.session->table->owner, p, 0, reason);
    answer_if_done(p);
}

/* Takes `granted`. False without memory. */
static bool wait_for_both(struct protocol *protocol, struct session *session,
                          const struct mqtt_subscribe *packet, struct granted *granted)
{
    struct journal *journal = &protocol->router->journal;
    uint64_t first_kept = 0;
    struct pending_subscribe *p = malloc(sizeof(*p) + packet->filters.size);
    if (p == NULL)
        return false;
    *p = (struct pending_subscribe){.packet = *packet, .granted = granted};
    memcpy(p->filters, packet->filters.data, packet->filters.size);
    p->packet.filters = (struct bytes){p->filters, packet->filters.size};
    for (unsigned i = 0; i < packet->filter_count; i++) {
        if (granted[i].serial > p->serial)
            p->serial = granted[i].serial;
        if (first_kept == 0)
            first_kept = granted[i].kept;
    }
    pending_set(&p->pending, session, drop);
    p->pending.wait.done = on_kept;
    p->pending.wait.is_hasty = true;
    list_init(&p->node);
    if (p->serial != 0)
        list_push_back(&protocol->pending, &p->node);
    conn_hold(session->conn);
    if (first_kept != 0)
        journal_wait_for(journal, &p->pending.wait, first_kept, journal->serial);
    return true;
}

void on_subscribe(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct protocol *protocol = protocol_of(conn);
    enum mqtt_version version = (enum mqtt_version)conn->version;
    struct mqtt_subscribe packet;
    enum mqtt_reason reason = codec_subscribe_decode(&packet, version, header->flags, body);
    if (reason == REASON_SUCCESS)
        reason = check_filters(&packet, version);
    struct granted *granted =
        reason == REASON_SUCCESS ? calloc(packet.filter_count, sizeof(*granted)) : NULL;
    if (granted == NULL) {
        conn_close(conn, reason == REASON_SUCCESS ? REASON_UNSPECIFIED_ERROR : reason);
        return;
    }
    bool must_wait = false;
    struct reader r = reader_of(packet.filters);
    struct mqtt_filter f;
    for (unsigned i = 0; codec_subscribe_next(&r, version, &f); i++) {
        granted[i] = subscribe(protocol, conn->session, &packet, &f);
        must_wait = must_wait || granted[i].serial != 0 || granted[i].kept != 0;
    }
    if (must_wait && wait_for_both(protocol, conn->session, &packet, granted))
        return;
    if (must_wait)
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
    else
        answer(conn->session, &packet, granted);
    free(granted);
}

void subscribe_confirmed(struct protocol *protocol, uint64_t serial)
{
    if (!announcer_confirm(&protocol->router->announcer, serial))
        return;
    list_for_each(node, &protocol->pending) {
        struct pending_subscribe *p = list_owner(node, struct pending_subscribe, node);
        if (p->serial > protocol->router->announcer.confirmed)
            continue;
        list_remove(node);
        answer_if_done(p);
    }
}

void subscribe_refused(struct protocol *protocol, uint64_t serial, enum mqtt_reason reason)
{
    static struct log_rate rate;
    unsigned suppressed;
    if (log_rate_allows(&rate, 5, &suppressed))
        log_error("The live store is full (live_size_max): a subscription was refused.");
    list_for_each(node, &protocol->pending)
        refuse_in(protocol, list_owner(node, struct pending_subscribe, node), serial, reason);
}
