#include "worker/protocol/on_unsubscribe.h"

#include "common/base/log.h"
#include "common/mqtt/codec_subscribe.h"
#include "common/mqtt/topic.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/pending.h"
#include "worker/protocol/reply.h"
#include "worker/route/redistribute.h"
#include "worker/route/replay.h"

#include <stdlib.h>

/* An UNSUBACK, which may have to wait. */
struct pending_unsubscribe {
    struct pending pending;
    uint16_t packet_id;
    enum mqtt_reason refusal;
    unsigned count;
    uint8_t codes[];
};

static void drop(struct pending *pending)
{
    pending_clear(pending);
    free(list_owner(pending, struct pending_unsubscribe, pending));
}

static void answer(struct conn *conn, const struct pending_unsubscribe *p)
{
    reply_unsuback(conn, p->packet_id, (struct bytes){p->codes, p->count}, p->refusal);
}

/* Nothing that makes room is refused. */
static void on_kept(struct journal_wait *wait, enum mqtt_reason reason)
{
    struct pending_unsubscribe *p = list_owner(wait, struct pending_unsubscribe, pending.wait);
    struct conn *conn = p->pending.session->conn;
    (void)reason;
    answer(conn, p);
    drop(&p->pending);
    conn_unhold(conn);
}

static enum mqtt_reason unsubscribe(struct protocol *protocol, struct session *session,
                                    struct bytes text)
{
    struct topic_limits limits = {(uint16_t)protocol->tunable->topic_size_max,
                                  (uint16_t)protocol->tunable->topic_levels_max};
    struct topic_share share;
    if (topic_check_subscription(text, &limits, &share) != TOPIC_OK)
        return WHY_FILTER_MALFORMED;
    struct subscription *s = filters_find(&protocol->router->filters, session, &share, text);
    if (s == NULL)
        return REASON_NO_SUBSCRIPTION_EXISTED;
    if (log_is_on(LOG_LEVEL_UNSUBSCRIBE))
        log_line(LOG_LEVEL_UNSUBSCRIBE, "%s %s", log_text(session_client_id(session)).text,
                 log_text(text).text);
    replay_stop(session, text);
    if (s->group != NULL)
        redistribute_queue(protocol->router, session, s->group->share);
    filters_remove(&protocol->router->filters, s);
    (void)keep_no_subscription(protocol, session, text);
    return REASON_SUCCESS;
}

static bool has_empty_filter(const struct mqtt_subscribe *packet)
{
    struct reader r = reader_of(packet->filters);
    for (struct bytes text; codec_unsubscribe_next(&r, &text);)
        if (text.size == 0)
            return true;
    return false;
}

static void unsubscribe_all(struct conn *conn, const struct mqtt_subscribe *packet,
                            struct pending_unsubscribe *p)
{
    struct reader r = reader_of(packet->filters);
    for (struct bytes text; codec_unsubscribe_next(&r, &text);) {
        enum mqtt_reason reason = unsubscribe(protocol_of(conn), conn->session, text);
        p->codes[p->count++] = (uint8_t)reason;
        if (p->refusal == REASON_SUCCESS && reason_is_error(reason))
            p->refusal = reason;
    }
}

void on_unsubscribe(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct journal *journal = &protocol_of(conn)->router->journal;
    struct mqtt_subscribe packet;
    enum mqtt_reason reason =
        codec_unsubscribe_decode(&packet, (enum mqtt_version)conn->version, header->flags, body);
    if (reason == REASON_SUCCESS && has_empty_filter(&packet))
        reason = WHY_NO_FILTER; /* [MQTT-4.7.3-1] */
    struct pending_unsubscribe *p =
        reason == REASON_SUCCESS ? malloc(sizeof(*p) + packet.filter_count) : NULL;
    if (p == NULL) {
        conn_close(conn, reason == REASON_SUCCESS ? REASON_UNSPECIFIED_ERROR : reason);
        return;
    }
    *p = (struct pending_unsubscribe){.packet_id = packet.packet_id};
    uint64_t first = journal->serial + 1;
    unsubscribe_all(conn, &packet, p);
    if (journal->serial < first) {
        answer(conn, p);
        free(p);
        return;
    }
    pending_set(&p->pending, conn->session, drop);
    p->pending.wait.done = on_kept;
    conn_hold(conn);
    journal_wait_for(journal, &p->pending.wait, first, journal->serial);
}
