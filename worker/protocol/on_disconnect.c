#include "worker/protocol/on_disconnect.h"

#include "common/mqtt/codec_control.h"
#include "worker/protocol/reply.h"
#include "worker/protocol/will.h"

/* A session that was to end with its connection can't be made to last now
 * [MQTT-3.14.2-2]. */
static enum mqtt_reason change_expiry(struct conn *conn, uint32_t expiry_s)
{
    struct session *s = conn->session;
    uint32_t max = conn->context->tunable->session_expiry_max_s;
    if (s->expiry_s == 0 && expiry_s != 0)
        return REASON_PROTOCOL_ERROR;
    s->expiry_s = expiry_s < max ? expiry_s : max;
    return REASON_SUCCESS;
}

void on_disconnect(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct mqtt_disconnect d;
    enum mqtt_reason reason =
        codec_disconnect_decode(&d, (enum mqtt_version)conn->version, header->flags, body);
    if (reason == REASON_SUCCESS && d.has_session_expiry)
        reason = change_expiry(conn, d.session_expiry_s);
    if (reason != REASON_SUCCESS) {
        conn_close(conn, reason);
        return;
    }
    if (d.reason == REASON_NORMAL_DISCONNECTION)
        will_drop(protocol_of(conn), conn->session); /* [MQTT-3.14.4-3] */
    conn_close(conn, REASON_NORMAL_DISCONNECTION);
}

void on_pingreq(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    enum mqtt_reason reason = codec_pingreq_decode(header->flags, body);
    if (reason != REASON_SUCCESS)
        conn_close(conn, reason);
    else
        reply_pingresp(conn);
}

/* No authentication method was agreed on at CONNECT, so there is no AUTH. */
void on_auth(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct mqtt_auth auth;
    enum mqtt_reason reason = REASON_PROTOCOL_ERROR;
    if (conn->version == MQTT_V5 &&
        codec_auth_decode(&auth, header->flags, body) == REASON_MALFORMED_PACKET)
        reason = REASON_MALFORMED_PACKET;
    conn_close(conn, reason);
}
