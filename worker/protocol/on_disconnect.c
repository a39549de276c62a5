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
        return WHY_EXPIRY_RAISED;
    s->expiry_s = expiry_s < max ? expiry_s : max;
    return REASON_SUCCESS;
}

static bool owes_acknowledgements(const struct conn *conn)
{
    const struct publisher *p = conn->session->publisher;
    return p != NULL && !settle_queue_is_empty(&p->unsettled);
}

/* What the client published before is acknowledged before the end [MQTT-4.3.2-4];
 * nothing more of it is read. */
static void leave(struct conn *conn)
{
    if (owes_acknowledgements(conn)) {
        conn->is_leaving = true;
        conn_hold(conn);
    } else {
        conn_close(conn, REASON_NORMAL_DISCONNECTION);
    }
}

void on_disconnect_settled(struct conn *conn)
{
    if (conn->is_leaving && !owes_acknowledgements(conn))
        conn_close(conn, REASON_NORMAL_DISCONNECTION);
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
    leave(conn);
}

void on_pingreq(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    enum mqtt_reason reason = codec_pingreq_decode(header->flags, body);
    if (reason != REASON_SUCCESS)
        conn_close(conn, reason);
    else
        reply_pingresp(conn);
}
