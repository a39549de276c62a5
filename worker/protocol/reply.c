#include "worker/protocol/reply.h"

#include "common/base/check.h"
#include "common/mqtt/codec_ack.h"
#include "common/mqtt/codec_connect.h"
#include "common/mqtt/codec_control.h"
#include "common/mqtt/codec_subscribe.h"

enum {
    CONNACK_FIXED_MAX = 64, /* all of it but its strings */
    SUBACK_FIXED_MAX = 16,
    ACK_MAX = 16
};

static uint8_t *reserve(struct conn *conn, size_t size)
{
    uint8_t *memory = conn_reserve(conn, size);
    if (memory == NULL)
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
    return memory;
}

static bool fits_client(const struct conn *conn, size_t size)
{
    return conn->packet_size_max == 0 || size <= conn->packet_size_max;
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
    size_t size = codec_connack_encode(connack, version, memory, size_max);
    check(size > 0);
    if (!fits_client(conn, size)) {
        conn_commit(conn, 0);
        return false;
    }
    conn_commit(conn, size);
    return true;
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

void reply_ack(struct conn *conn, const struct publisher_ack *ack)
{
    struct mqtt_ack packet = {
        .packet_id = ack->packet_id,
        .reason = (enum mqtt_reason)ack->reason,
    };
    uint8_t *memory = reserve(conn, ACK_MAX);
    if (memory == NULL)
        return;
    size_t size = codec_ack_encode(&packet, (enum packet_type)ack->type,
                                   (enum mqtt_version)conn->version, memory, ACK_MAX);
    check(size > 0);
    conn_commit(conn, size);
}

/* A client that can't take the answer to its own request can't go on
 * [MQTT-3.1.2-24]. */
static void commit_fitting(struct conn *conn, size_t size)
{
    bool fits = fits_client(conn, size);
    conn_commit(conn, fits ? size : 0);
    if (!fits)
        conn_close(conn, REASON_PACKET_TOO_LARGE);
}

typedef size_t (*codes_encode_fn)(uint16_t packet_id, struct bytes codes,
                                  enum mqtt_version version, uint8_t *memory, size_t size);

static void put_codes(struct conn *conn, codes_encode_fn encode, uint16_t packet_id,
                      struct bytes codes)
{
    size_t size_max = SUBACK_FIXED_MAX + codes.size;
    uint8_t *memory = reserve(conn, size_max);
    if (memory == NULL)
        return;
    size_t size = encode(packet_id, codes, (enum mqtt_version)conn->version, memory, size_max);
    check(size > 0);
    commit_fitting(conn, size);
}

void reply_suback(struct conn *conn, uint16_t packet_id, struct bytes codes)
{
    put_codes(conn, codec_suback_encode, packet_id, codes);
}

void reply_unsuback(struct conn *conn, uint16_t packet_id, struct bytes codes)
{
    put_codes(conn, codec_unsuback_encode, packet_id, codes);
}

void reply_pingresp(struct conn *conn)
{
    uint8_t *memory = reserve(conn, CODEC_PINGRESP_SIZE);
    if (memory == NULL)
        return;
    conn_commit(conn, codec_pingresp_encode(memory, CODEC_PINGRESP_SIZE));
}
