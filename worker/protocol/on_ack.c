/*
 * Acknowledgements. Those for an identifier that we do not know are answered (so
 * that the other side can finish) or ignored, never fatal: after a reconnect
 * both sides may remember different things. One of the wrong kind for a delivery
 * that is in flight is a protocol error.
 */
#include "worker/protocol/on_ack.h"

#include "common/mqtt/codec_ack.h"
#include "worker/protocol/on_publish.h"
#include "worker/protocol/reply.h"
#include "worker/route/deliver.h"
#include "worker/route/entry.h"

static void finish(struct conn *conn, struct delivery *d)
{
    deliver_done(protocol_of(conn)->router, conn->session, d);
    deliver_resume(protocol_of(conn)->router, conn->session);
}

/* One whose packet the client has got; NULL: none. */
static struct delivery *find(const struct conn *conn, const struct mqtt_ack *ack)
{
    struct delivery *d = inflight_find(&conn->session->inflight, ack->packet_id);
    return d == NULL || d->must_wait ? NULL : d;
}

static void on_puback(struct conn *conn, const struct mqtt_ack *ack)
{
    struct delivery *d = find(conn, ack);
    if (d == NULL)
        return;
    if (d->state != DELIVERY_WAITS_PUBACK)
        conn_close(conn, WHY_ACK_KIND);
    else
        finish(conn, d);
}

static void on_pubrec(struct conn *conn, const struct mqtt_ack *ack)
{
    struct session *s = conn->session;
    struct delivery *d = inflight_find(&s->inflight, ack->packet_id);
    if (d != NULL && d->must_wait)
        return; /* PUBREL is to come */
    if (d == NULL) {
        struct publisher_ack answer = {
            .packet_id = ack->packet_id,
            .type = PACKET_PUBREL,
            .reason = REASON_PACKET_IDENTIFIER_NOT_FOUND,
        };
        if (!reason_is_error(ack->reason))
            reply_ack(conn, &answer);
        return;
    }
    if (d->state == DELIVERY_WAITS_PUBACK) {
        conn_close(conn, WHY_ACK_KIND);
        return;
    }
    if (reason_is_error(ack->reason)) { /* [MQTT-4.3.3-4] */
        finish(conn, d);
        return;
    }
    if (d->state == DELIVERY_WAITS_PUBREC)
        deliver_release(protocol_of(conn)->router, s, d);
    else
        deliver_pubrel(s, d);
}

static void on_pubrel(struct conn *conn, const struct mqtt_ack *ack)
{
    /* After a reconnect the client may repeat one whose PUBCOMP it missed: no error
     * [MQTT 5.0, 3.7.2.1], and there are clients that take the code for one. */
    bool is_known = session_receive_end(conn->session, ack->packet_id) || conn->is_resumed;
    struct publisher_ack answer = {
        .packet_id = ack->packet_id,
        .type = PACKET_PUBCOMP,
        .reason = is_known ? REASON_SUCCESS : REASON_PACKET_IDENTIFIER_NOT_FOUND,
    };
    uint64_t kept = is_known ? entry_receive_end(&protocol_of(conn)->router->journal, conn->session,
                                                 ack->packet_id)
                             : 0;
    if (kept == 0)
        reply_ack(conn, &answer);
    else if (on_publish_register(conn))
        publishers_acknowledge(conn->session->publisher, &answer, 0, kept);
    else
        conn_close(conn, REASON_UNSPECIFIED_ERROR);
}

static void on_pubcomp(struct conn *conn, const struct mqtt_ack *ack)
{
    struct delivery *d = find(conn, ack);
    if (d == NULL)
        return;
    if (d->state != DELIVERY_WAITS_PUBCOMP)
        conn_close(conn, WHY_ACK_KIND);
    else
        finish(conn, d);
}

void on_ack(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct mqtt_ack ack;
    enum mqtt_reason reason =
        codec_ack_decode(&ack, header->type, (enum mqtt_version)conn->version, header->flags, body);
    if (reason != REASON_SUCCESS)
        conn_close(conn, reason);
    else if (header->type == PACKET_PUBACK)
        on_puback(conn, &ack);
    else if (header->type == PACKET_PUBREC)
        on_pubrec(conn, &ack);
    else if (header->type == PACKET_PUBREL)
        on_pubrel(conn, &ack);
    else
        on_pubcomp(conn, &ack);
}
