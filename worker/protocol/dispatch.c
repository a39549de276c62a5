#include "worker/protocol/dispatch.h"

#include "common/base/log.h"
#include "worker/protocol/lifecycle.h"
#include "worker/protocol/on_ack.h"
#include "worker/protocol/on_auth.h"
#include "worker/protocol/on_connect.h"
#include "worker/protocol/on_disconnect.h"
#include "worker/protocol/on_publish.h"
#include "worker/protocol/on_subscribe.h"
#include "worker/protocol/on_unsubscribe.h"
#include "worker/protocol/will.h"
#include "worker/route/backlog.h"
#include "worker/route/deliver.h"

typedef void (*packet_fn)(struct conn *conn, const struct frame_header *header, struct bytes body);

/* NULL: a packet that only a server sends, or a reserved type. */
static const packet_fn HANDLERS[16] = {
    [PACKET_PUBLISH] = on_publish,
    [PACKET_PUBACK] = on_ack,
    [PACKET_PUBREC] = on_ack,
    [PACKET_PUBREL] = on_ack,
    [PACKET_PUBCOMP] = on_ack,
    [PACKET_SUBSCRIBE] = on_subscribe,
    [PACKET_UNSUBSCRIBE] = on_unsubscribe,
    [PACKET_PINGREQ] = on_pingreq,
    [PACKET_DISCONNECT] = on_disconnect,
    [PACKET_AUTH] = on_auth,
};

/* Who makes records of the journal, however few they are, waits while they are too many. */
static void handle(packet_fn handler, struct conn *conn, const struct frame_header *header,
                   struct bytes body)
{
    struct router *router = protocol_of(conn)->router;
    uint64_t serial = router->journal.serial;
    handler(conn, header, body);
    if (conn->session != NULL && router->journal.serial != serial)
        backlog_hold(router, conn->session);
}

void dispatch_packet(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    if (conn->session == NULL) {
        if (header->type == PACKET_CONNECT)
            on_connect(conn, header, body);
        else
            conn_close(conn, REASON_PROTOCOL_ERROR); /* [MQTT-3.1.0-1] */
        return;
    }
    packet_fn handler = HANDLERS[header->type];
    if (conn->version == MQTT_V5 && !frame_is_shortest(header))
        conn_close(conn, WHY_PACKET_LENGTH); /* [MQTT-1.5.5-1] */
    else if (header->type == PACKET_CONNECT)
        conn_close(conn, WHY_SECOND_CONNECT); /* [MQTT-3.1.0-2] */
    else if (handler == NULL)
        conn_close(conn, WHY_PACKET_TYPE);
    else
        handle(handler, conn, header, body);
}

void dispatch_drained(struct conn *conn)
{
    if (conn->session != NULL)
        deliver_resume(protocol_of(conn)->router, conn->session);
}

static void log_end(const struct conn *conn, enum mqtt_reason reason)
{
    struct log_text id = log_text(session_client_id(conn->session));
    if (!conn->context->tunable->connection_messages)
        return;
    if (reason == REASON_NORMAL_DISCONNECTION)
        log_info("Client %s disconnected.", id.text);
    else if (reason == REASON_KEEP_ALIVE_TIMEOUT)
        log_info("Client %s has exceeded timeout, disconnecting.", id.text);
    else if (reason == reason_code(reason))
        log_info("Client %s disconnected: %s.", id.text, reason_text(reason));
    else
        log_info("Client %s disconnected: %s (%s).", id.text, reason_text(reason),
                 reason_why(reason));
}

void dispatch_end(struct conn *conn, enum mqtt_reason reason)
{
    struct protocol *protocol = protocol_of(conn);
    struct session *session = conn->session;
    if (session == NULL)
        return;
    log_end(conn, reason);
    lifecycle_connection_ended(protocol, session);
}
