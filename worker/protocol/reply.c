#include "worker/protocol/reply.h"

#include "common/base/check.h"
#include "common/mqtt/codec_ack.h"
#include "common/mqtt/codec_connect.h"
#include "common/mqtt/codec_control.h"
#include "common/mqtt/codec_subscribe.h"

enum {
    CONNACK_FIXED_MAX = 64, /* all of it but its strings */
    SUBACK_FIXED_MAX = 16,
    ACK_FIXED_MAX = 16
};

static uint8_t *reserve(struct conn *conn, size_t size)
{
    uint8_t *memory = conn_reserve(conn, size);
    if (memory == NULL)
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
    return memory;
}

/* What a packet may take of `size` bytes that were reserved for it: the encoders
 * leave the reason string out when it does not fit. */
static size_t allowed(const struct conn *conn, size_t size)
{
    bool is_limited = conn->packet_size_max != 0 && conn->packet_size_max < size;
    return is_limited ? conn->packet_size_max : size;
}

/* Words for an acknowledgement; none for a client that does not want them
 * [MQTT-3.1.2-29]. */
static struct bytes words_for(const struct conn *conn, enum mqtt_reason reason)
{
    if (!reason_is_error(reason) || !conn->wants_problem_info)
        return (struct bytes){NULL, 0};
    return bytes_of(reason_why(reason));
}

static bool put_connack(struct conn *conn, const struct mqtt_connack *connack,
                        enum mqtt_version version)
{
    size_t size_max = CONNACK_FIXED_MAX + connack->assigned_client_id.size +
                      connack->reason_string.size + connack->response_info.size +
                      connack->server_reference.size;
    uint8_t *memory = reserve(conn, size_max);
    if (memory == NULL)
        return false;
    size_t size = codec_connack_encode(connack, version, memory, allowed(conn, size_max));
    conn_commit(conn, size);
    return size > 0;
}

void reply_connack(struct conn *conn, const struct mqtt_connack *connack)
{
    if (!put_connack(conn, connack, (enum mqtt_version)conn->version))
        conn_close_quiet(conn, REASON_PACKET_TOO_LARGE);
}

/* Something that is not MQTT (version 0) hears nothing. */
static bool has_connack(enum mqtt_version version, enum mqtt_reason reason)
{
    if (version == MQTT_V5)
        return reason_fits((uint8_t)reason, REASON_IN_CONNACK);
    return version != 0 && reason_connack3(reason) != 0;
}

void reply_refuse(struct conn *conn, enum mqtt_version version, enum mqtt_reason reason,
                  const char *why)
{
    struct mqtt_connack connack = {.reason = reason, .reason_string = bytes_of(why)};
    if (has_connack(version, reason))
        (void)put_connack(conn, &connack, version);
    conn_close_quiet(conn, reason);
}

/* A client that can't take the answer to its own request can't go on
 * [MQTT-3.1.2-24]. */
static void commit(struct conn *conn, size_t size)
{
    conn_commit(conn, size);
    if (size == 0)
        conn_close(conn, REASON_PACKET_TOO_LARGE);
}

void reply_ack(struct conn *conn, const struct publisher_ack *ack)
{
    enum mqtt_reason reason = (enum mqtt_reason)ack->reason;
    struct mqtt_ack packet = {
        .packet_id = ack->packet_id,
        .reason = reason,
        .reason_string = words_for(conn, reason),
    };
    size_t size_max = ACK_FIXED_MAX + packet.reason_string.size;
    uint8_t *memory = reserve(conn, size_max);
    if (memory == NULL)
        return;
    commit(conn,
           codec_ack_encode(&packet, (enum packet_type)ack->type, (enum mqtt_version)conn->version,
                            memory, allowed(conn, size_max)));
}

typedef size_t (*codes_encode_fn)(const struct mqtt_suback *p, enum mqtt_version version,
                                  uint8_t *memory, size_t size);

static void put_codes(struct conn *conn, codes_encode_fn encode, const struct mqtt_suback *p)
{
    size_t size_max = SUBACK_FIXED_MAX + p->codes.size + p->reason_string.size;
    uint8_t *memory = reserve(conn, size_max);
    if (memory != NULL)
        commit(conn, encode(p, (enum mqtt_version)conn->version, memory, allowed(conn, size_max)));
}

void reply_suback(struct conn *conn, uint16_t packet_id, struct bytes codes,
                  enum mqtt_reason refusal)
{
    struct mqtt_suback packet = {packet_id, codes, words_for(conn, refusal)};
    put_codes(conn, codec_suback_encode, &packet);
}

void reply_unsuback(struct conn *conn, uint16_t packet_id, struct bytes codes,
                    enum mqtt_reason refusal)
{
    struct mqtt_suback packet = {packet_id, codes, words_for(conn, refusal)};
    put_codes(conn, codec_unsuback_encode, &packet);
}

void reply_pingresp(struct conn *conn)
{
    uint8_t *memory = reserve(conn, CODEC_PINGRESP_SIZE);
    if (memory == NULL)
        return;
    conn_commit(conn, codec_pingresp_encode(memory, CODEC_PINGRESP_SIZE));
}
