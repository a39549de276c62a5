#include "worker/protocol/on_connect.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/mqtt/codec_connect.h"
#include "common/mqtt/topic.h"
#include "shm/home.h"
#include "worker/protocol/attach.h"
#include "worker/protocol/on_auth.h"
#include "worker/protocol/reply.h"

#include <stdio.h>
#include <stdlib.h>

struct refusal {
    enum mqtt_reason reason; /* zero: none */
    const char *why;
};

static const struct refusal ACCEPTED = {REASON_SUCCESS, ""};

static struct refusal check_client_id(const struct conn *conn, const struct mqtt_connect *c)
{
    if (c->client_id.size > 0)
        return ACCEPTED;
    /* [MQTT-3.1.3-8] of 3.1.1; 3.1 knows no empty client id at all. */
    bool may_be_empty = c->version == MQTT_V5 || (c->version == MQTT_V311 && c->clean_start);
    if (!may_be_empty || !conn->context->tunable->allow_zero_length_clientid)
        return (struct refusal){REASON_CLIENT_IDENTIFIER_NOT_VALID, "a client id is needed"};
    return ACCEPTED;
}

static struct refusal check_login(const struct conn *conn, const struct mqtt_connect *c)
{
    enum mqtt_reason reason = on_auth_check_method(c);
    if (reason != REASON_SUCCESS)
        return (struct refusal){reason, reason_why(reason)};
    if (!conn->context->tunable->allow_anonymous)
        return (struct refusal){REASON_NOT_AUTHORIZED, "anonymous clients are not allowed"};
    return ACCEPTED;
}

static bool is_reserved_topic(struct bytes topic)
{
    struct bytes first = topic_first_level(topic);
    return bytes_equal(first, bytes_of("$SYS")) || bytes_equal(first, bytes_of("$share"));
}

static struct refusal check_will(const struct conn *conn, const struct mqtt_connect *c)
{
    const struct conf_tunable *t = conn->context->tunable;
    struct topic_limits limits = {(uint16_t)t->topic_size_max, (uint16_t)t->topic_levels_max};
    if (!c->has_will)
        return ACCEPTED;
    if (topic_check_name(c->will.topic, &limits) != TOPIC_OK)
        return (struct refusal){REASON_TOPIC_NAME_INVALID, "the will's topic is over a limit"};
    if (is_reserved_topic(c->will.topic))
        return (struct refusal){REASON_NOT_AUTHORIZED, "the will's topic is the broker's own"};
    if (c->will.qos > conn->qos_max) /* [MQTT-3.2.2-12] */
        return (struct refusal){REASON_QOS_NOT_SUPPORTED, "the will's QoS is over the limit"};
    if (c->will.retain && !t->retain_available) /* [MQTT-3.2.2-13] */
        return (struct refusal){REASON_RETAIN_NOT_SUPPORTED, "retained messages are off"};
    return ACCEPTED;
}

/* A 5.0 client is told the keep-alive to use; older ones can only be refused. */
static struct refusal check_keep_alive(const struct conn *conn, const struct mqtt_connect *c)
{
    uint16_t max = conn->context->tunable->keepalive_max_s;
    if (max == 0 || c->version == MQTT_V5 || (c->keep_alive_s != 0 && c->keep_alive_s <= max))
        return ACCEPTED;
    return (struct refusal){REASON_CLIENT_IDENTIFIER_NOT_VALID, "keep-alive too long"};
}

static struct refusal check_connect(const struct conn *conn, const struct mqtt_connect *c)
{
    typedef struct refusal (*check_fn)(const struct conn *, const struct mqtt_connect *);
    static const check_fn CHECKS[] = {check_client_id, check_login, check_will, check_keep_alive};
    for (size_t i = 0; i < sizeof(CHECKS) / sizeof(CHECKS[0]); i++) {
        struct refusal refusal = CHECKS[i](conn, c);
        if (refusal.reason != REASON_SUCCESS)
            return refusal;
    }
    return ACCEPTED;
}

static void hand_off(struct conn *conn, unsigned home, struct bytes packet)
{
    struct protocol *protocol = protocol_of(conn);
    uint16_t listener_index = conn->listener_index;
    struct peer peer = conn->peer;
    uint8_t *pending;
    size_t pending_size;
    int fd = conn_detach(conn, packet, &pending, &pending_size);
    if (fd < 0)
        return;
    int error = handoff_send(protocol->handoff, home, fd, listener_index, &peer,
                             (struct bytes){pending, pending_size});
    free(pending);
    if (error == 0)
        stats_add(protocol->stats, STAT_handoffs, 1);
}

enum { AUTO_ID_SIZE = 5 + 32 };

/* An id that no one else has, and whose home is here: no hand-off is needed. */
static struct bytes make_client_id(const struct protocol *protocol, char memory[AUTO_ID_SIZE + 1])
{
    struct bytes id = {(const uint8_t *)memory, AUTO_ID_SIZE};
    do {
        uint64_t random[2];
        hash_random(random, sizeof(random));
        (void)snprintf(memory, AUTO_ID_SIZE + 1, "auto-%016llx%016llx",
                       (unsigned long long)random[0], (unsigned long long)random[1]);
    } while (home_of(protocol->region, id) != protocol->router->self);
    return id;
}

static void refuse(struct conn *conn, const struct mqtt_connect *c, struct refusal refusal)
{
    static struct log_rate rate;
    unsigned suppressed;
    if (log_rate_allows(&rate, 20, &suppressed)) {
        struct peer_text peer = peer_text(&conn->peer);
        log_notice("Client %s from %s disconnected: %s.", log_text(c->client_id).text, peer.text,
                   refusal.why);
    }
    reply_refuse(conn, c->version, refusal.reason, refusal.why);
}

void on_connect(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct protocol *protocol = protocol_of(conn);
    struct mqtt_connect c;
    enum mqtt_version version = 0;
    enum mqtt_reason reason = codec_connect_decode(&c, header->flags, body, &version);
    if (version == MQTT_V5 && !frame_is_shortest(header))
        reason = WHY_PACKET_LENGTH; /* [MQTT-1.5.5-1] */
    if (reason != REASON_SUCCESS) {
        reply_refuse(conn, version, reason, reason_why(reason));
        return;
    }
    conn->packet_size_max = c.packet_size_max; /* of a refusal too [MQTT-3.2.2-19] */
    conn->qos_max = conf_listener_at(protocol->conf, conn->listener_index)->qos_max;
    struct refusal refusal = check_connect(conn, &c);
    if (refusal.reason != REASON_SUCCESS) {
        refuse(conn, &c, refusal);
        return;
    }
    char memory[AUTO_ID_SIZE + 1];
    bool is_assigned = c.client_id.size == 0;
    if (is_assigned)
        c.client_id = make_client_id(protocol, memory);
    unsigned home = home_of(protocol->region, c.client_id);
    if (home == protocol->router->self)
        attach(conn, &c, is_assigned);
    else
        hand_off(conn, home,
                 (struct bytes){body.data - header->header_size, header->header_size + body.size});
}
