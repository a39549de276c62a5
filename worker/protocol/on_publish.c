#include "worker/protocol/on_publish.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "common/mqtt/codec_publish.h"
#include "common/mqtt/topic.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/on_disconnect.h"
#include "worker/protocol/reply.h"
#include "worker/route/entry.h"
#include "worker/route/route.h"

#include <stdio.h>
#include <stdlib.h>

enum { PASSED_ON_STACK = 512 };

/* The highest alias that the client may use: what was announced counts, whatever a
 * reload has made of it since. */
static uint16_t alias_max(const struct conn *conn)
{
    const struct session *s = conn->session;
    return s->alias_in != NULL ? alias_in_max(s->alias_in)
                               : conn->context->tunable->topic_alias_max;
}

/* Puts the topic that an alias stands for in its place, or learns a new alias. */
static enum mqtt_reason resolve_alias(struct conn *conn, struct mqtt_publish *p)
{
    struct session *s = conn->session;
    if (p->topic_alias == 0)
        return REASON_SUCCESS;
    uint16_t max = alias_max(conn);
    if (p->topic_alias > max)
        return WHY_ALIAS_LIMIT; /* [MQTT-3.3.2-9] */
    if (s->alias_in == NULL)
        s->alias_in = alias_in_new(max);
    if (s->alias_in == NULL)
        return REASON_UNSPECIFIED_ERROR;
    if (p->message.topic.size > 0)
        return alias_in_set(s->alias_in, p->topic_alias, p->message.topic)
                   ? REASON_SUCCESS
                   : REASON_UNSPECIFIED_ERROR;
    p->message.topic = alias_in_get(s->alias_in, p->topic_alias);
    return p->message.topic.size > 0 ? REASON_SUCCESS : WHY_ALIAS_UNKNOWN;
}

static unsigned count_levels(struct bytes topic)
{
    unsigned count = 1;
    for (size_t i = 0; i < topic.size; i++)
        count += topic.data[i] == '/';
    return count;
}

static bool is_over_limit(const struct conf_tunable *t, struct bytes topic)
{
    return topic.size > t->topic_size_max ||
           (topic.size >= t->topic_levels_max && count_levels(topic) > t->topic_levels_max);
}

/* Topics that only the broker writes to. */
static bool is_reserved(struct bytes topic)
{
    if (!topic_is_dollar(topic))
        return false;
    struct bytes first = topic_first_level(topic);
    return bytes_equal(first, bytes_of("$SYS")) || bytes_equal(first, bytes_of("$share"));
}

static bool needs_disk(const struct conn *conn, const struct mqtt_publish *p)
{
    const struct session *s = conn->session;
    const struct receiving *r =
        p->message.qos == QOS_EXACTLY_ONCE ? session_receiving(s, p->packet_id) : NULL;
    if (r != NULL)
        return r->is_lost;
    if (p->message.retain || (p->message.qos == QOS_EXACTLY_ONCE && s->number != 0))
        return true;
    return route_is_kept(protocol_of(conn)->router, p->message.topic);
}

/* Why it is answered, but goes nowhere. Zero: it does. */
static enum mqtt_reason refusal_of(const struct conn *conn, const struct mqtt_publish *p)
{
    if (is_reserved(p->message.topic))
        return WHY_TOPIC_RESERVED;
    bool is_kept = p->message.qos != QOS_AT_MOST_ONCE && keep_is_refused(protocol_of(conn));
    return is_kept && needs_disk(conn, p) ? WHY_DISK : REASON_SUCCESS;
}

/* What ends the connection. Zero: go on. */
static enum mqtt_reason check_publish(struct conn *conn, struct mqtt_publish *p)
{
    const struct conf_tunable *t = conn->context->tunable;
    enum mqtt_reason reason = resolve_alias(conn, p);
    if (reason != REASON_SUCCESS)
        return reason;
    if (p->message.qos > conn->qos_max)
        return REASON_QOS_NOT_SUPPORTED; /* [MQTT-3.2.2-11] */
    if (is_over_limit(t, p->message.topic))
        return WHY_TOPIC_LIMIT;
    if (p->message.retain && !t->retain_available)
        return WHY_RETAIN_OFF; /* [MQTT-3.2.2-14] */
    return REASON_SUCCESS;
}

static void acknowledge(struct conn *conn, const struct mqtt_publish *p, enum mqtt_reason reason,
                        const struct route_result *result, bool is_repeat)
{
    struct session *s = conn->session;
    if (p->message.qos == QOS_AT_MOST_ONCE)
        return;
    struct publisher_ack ack = {
        .packet_id = p->packet_id,
        .type = p->message.qos == QOS_AT_LEAST_ONCE ? PACKET_PUBACK : PACKET_PUBREC,
        .reason = (uint16_t)reason,
        .begun = p->message.qos == QOS_EXACTLY_ONCE ? result->message_id : 0,
        .is_repeat = is_repeat,
        .takers = result->takers,
    };
    publishers_acknowledge(s->publisher, &ack, result->workers, result->kept);
}

/* Messages that the client has open, and that it must count too: QoS 2 up to our
 * PUBCOMP, QoS 1 up to our PUBACK [MQTT-3.3.4-9]. Those that wait for a PUBACK of
 * ours do no harm at QoS 1, there are clients that count none, and the PUBACKs of a
 * broker with one thread would be out by now: who sends more is made to wait. */
static bool exceeds_receive_max(const struct conn *conn, const struct mqtt_publish *p)
{
    const struct session *s = conn->session;
    uint32_t open = session_receive_open(s);
    if (conn->version != MQTT_V5 || p->message.qos == QOS_AT_MOST_ONCE)
        return false;
    if (p->message.qos == QOS_EXACTLY_ONCE && session_is_receiving(s, p->packet_id))
        return false;
    if (p->message.qos == QOS_EXACTLY_ONCE)
        open += s->publisher->unsettled.puback_count;
    return open >= s->receive_max;
}

/* What the id of a QoS 2 message says. */
struct known {
    bool is_repeat;      /* of what was routed: it is answered again */
    uint64_t message_id; /* of what was, but some may not have got; 0: it is new */
};

/* QoS 2 is routed when the PUBLISH comes and its id kept until PUBREL, so that a
 * repeat is answered but not routed again [MQTT-4.3.3-10]. Returns what ends the
 * connection. */
static enum mqtt_reason begin_qos2(struct conn *conn, const struct mqtt_publish *p,
                                   struct known *ret_known)
{
    struct session *s = conn->session;
    struct receiving *r = session_receiving(s, p->packet_id);
    if (r != NULL) {
        ret_known->message_id = r->is_lost ? r->message_id : 0;
        ret_known->is_repeat = !r->is_lost;
        return REASON_SUCCESS;
    }
    if (s->receiving_count == UINT16_MAX || !session_receive_begin(s, p->packet_id))
        return REASON_QUOTA_EXCEEDED;
    return REASON_SUCCESS;
}

/* The id before the message: who has that may be done with it before the next commit. So the
 * committer is to see the id before any other worker can see the message. Its serial in the
 * journal. */
static uint64_t keep_id(struct conn *conn, uint16_t packet_id, uint64_t message_id)
{
    struct router *router = protocol_of(conn)->router;
    struct receiving *r = session_receiving(conn->session, packet_id);
    r->message_id = message_id;
    r->is_lost = false;
    uint64_t serial = entry_received(&router->journal, conn->session, packet_id, message_id, false);
    if (serial != 0)
        mesh_show(&router->mesh);
    return serial;
}

static struct route_result route(struct conn *conn, const struct mqtt_publish *p,
                                 struct bytes properties, uint64_t old_id)
{
    struct router *router = protocol_of(conn)->router;
    const struct mqtt_message *m = &p->message;
    struct publication publication = {
        .topic = m->topic,
        .properties = properties,
        .payload = m->payload,
        .message_id = old_id != 0 ? old_id : router_next_message_id(router),
        .publisher_session = conn->session,
        .publisher = conn->session->publisher->handle,
        .origin = (uint16_t)router->self,
        .qos = (uint8_t)m->qos,
        .retain = m->retain,
        .is_repeat = old_id != 0,
    };
    if (m->has_expiry)
        publication.expiry_at_ms = loop_now_ms(router->loop) + m->expiry_s * 1000ULL;
    uint64_t received =
        m->qos == QOS_EXACTLY_ONCE ? keep_id(conn, p->packet_id, publication.message_id) : 0;
    struct route_result result = route_publish(router, &publication);
    if (received != 0)
        result.kept = received;
    result.message_id = publication.message_id; /* also of one that has to wait */
    publication_done(&publication);
    return result;
}

/* Routes with only the properties that pass through. False without memory. */
static bool route_passing(struct conn *conn, const struct mqtt_publish *p, uint64_t old_id,
                          struct route_result *ret_result)
{
    struct bytes block = p->message.properties;
    if (p->message.properties_pass || block.size == 0) {
        *ret_result = route(conn, p, block, old_id);
        return true;
    }
    uint8_t on_stack[PASSED_ON_STACK];
    uint8_t *memory = block.size <= PASSED_ON_STACK ? on_stack : malloc(block.size);
    if (memory == NULL)
        return false;
    struct bytes passed = {memory, codec_publish_pass(block, memory)};
    *ret_result = route(conn, p, passed, old_id);
    if (memory != on_stack)
        free(memory);
    return true;
}

/* For a repeat: what came of it may not be settled yet, and was part of all that was put
 * into rings and journal so far. */
static struct route_result settled_so_far(const struct conn *conn)
{
    const struct router *router = protocol_of(conn)->router;
    uint64_t all = (UINT64_C(1) << router->region->worker_count) - 1;
    return (struct route_result){
        .is_matched = true,
        .workers = all & ~(UINT64_C(1) << router->self),
        .kept = conn->session->number == 0 ? 0 : router->journal.serial,
    };
}

/* It was not routed: so its repeat is no repeat. */
static void forget_new(struct conn *conn, const struct mqtt_publish *p, const struct known *known)
{
    if (p->message.qos == QOS_EXACTLY_ONCE && known->message_id == 0)
        (void)session_receive_end(conn->session, p->packet_id);
}

static void count(const struct conn *conn, const struct mqtt_publish *p)
{
    stats_add(conn->context->stats, STAT_publish_received, 1);
    stats_add(conn->context->stats, STAT_publish_bytes_received, p->message.payload.size);
}

static void close_for(struct conn *conn, const struct mqtt_publish *p, enum mqtt_reason reason)
{
    char words[REASON_WHY_SIZE_MAX + 1];
    const char *text = words;
    if (reason == WHY_ALIAS_LIMIT)
        (void)snprintf(words, sizeof(words), "topic alias %u is above the limit of %u",
                       p->topic_alias, alias_max(conn));
    else if (reason == REASON_RECEIVE_MAXIMUM_EXCEEDED)
        (void)snprintf(words, sizeof(words), "more than %u open messages of QoS 1 and 2",
                       conn->session->receive_max);
    else
        text = reason_why(reason);
    conn_close_saying(conn, reason, text);
}

void on_publish(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct mqtt_publish p;
    enum mqtt_reason reason =
        codec_publish_decode(&p, (enum mqtt_version)conn->version, header->flags, body);
    if (reason == REASON_SUCCESS)
        reason = check_publish(conn, &p);
    struct known known = {0};
    if (reason == REASON_SUCCESS && !on_publish_register(conn))
        reason = REASON_UNSPECIFIED_ERROR;
    if (reason == REASON_SUCCESS && exceeds_receive_max(conn, &p))
        reason = REASON_RECEIVE_MAXIMUM_EXCEEDED;
    enum mqtt_reason refusal = reason == REASON_SUCCESS ? refusal_of(conn, &p) : reason;
    if (refusal == REASON_SUCCESS && p.message.qos == QOS_EXACTLY_ONCE)
        reason = begin_qos2(conn, &p, &known);
    if (reason != REASON_SUCCESS) {
        close_for(conn, &p, reason);
        return;
    }
    count(conn, &p);
    struct route_result result = {.is_matched = true};
    if (known.is_repeat)
        result = settled_so_far(conn);
    else if (refusal == REASON_SUCCESS && !route_passing(conn, &p, known.message_id, &result)) {
        forget_new(conn, &p, &known);
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
        return;
    }
    if (!result.is_matched)
        refusal = REASON_NO_MATCHING_SUBSCRIBERS;
    if (result.is_refused)
        refusal = WHY_QUEUE;
    acknowledge(conn, &p, refusal, &result, known.message_id != 0);
    if (conn->session != NULL && conn->version == MQTT_V5)
        publishers_pace(conn->session->publisher, conn->session->receive_max);
}

bool on_publish_register(struct conn *conn)
{
    struct session *s = conn->session;
    if (s->publisher == NULL)
        s->publisher = publishers_add(&protocol_of(conn)->router->publishers, conn);
    else if (s->publisher->conn == NULL)
        publishers_return(s->publisher, conn);
    return s->publisher != NULL;
}

/* -- the answer -- */

/* Told so, the client may use the id for another message. */
static void take_back(struct conn *conn, uint16_t packet_id)
{
    if (session_receive_end(conn->session, packet_id))
        (void)entry_receive_end(&protocol_of(conn)->router->journal, conn->session, packet_id);
}

/* Was this message refused on an earlier connection, without the client knowing? */
static bool is_lost(const struct conn *conn, const struct publisher_ack *ack)
{
    const struct receiving *r =
        ack->type == PACKET_PUBREC ? session_receiving(conn->session, ack->packet_id) : NULL;
    return r != NULL && r->is_lost;
}

static bool is_refusal(const struct publisher_ack *ack)
{
    return ack->reason == WHY_DISK || ack->reason == WHY_QUEUE;
}

static void answer(struct conn *conn, const struct publisher_ack *ack)
{
    kill_point("ack-due");
    reply_ack(conn, ack);
    publishers_acknowledged(conn->session->publisher);
    on_disconnect_settled(conn);
}

void on_publish_answer(struct conn *conn, const struct publisher_ack *ack)
{
    struct publisher_ack told = *ack;
    if (is_lost(conn, ack) && !is_refusal(ack))
        told.reason = WHY_DISK;
    /* Before 5.0 nobody can be told: the client comes again with the same id. */
    bool can_tell = conn->state == CONN_OPEN && (!is_refusal(&told) || conn->version == MQTT_V5);
    if (can_tell && is_refusal(&told) && told.type == PACKET_PUBREC)
        take_back(conn, told.packet_id);
    else if (told.type == PACKET_PUBREC)
        publishers_note(conn->session->publisher, &told);
    if (can_tell)
        answer(conn, &told);
    else if (conn->state == CONN_OPEN)
        conn_close(conn, told.reason);
}
