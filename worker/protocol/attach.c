#include "worker/protocol/attach.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/lifecycle.h"
#include "worker/protocol/pending.h"
#include "worker/protocol/reply.h"
#include "worker/protocol/will.h"
#include "worker/route/backlog.h"
#include "worker/route/deliver.h"

#include <stdlib.h>

/* A client id with a live connection: the old one gets its notice and is closed
 * before the new one hears anything [MQTT-3.1.4-3]. */
static void take_over(struct protocol *protocol, struct session *session)
{
    struct conn *old = session->conn;
    log_info("Client %s already connected, closing old connection.",
             log_text(session_client_id(session)).text);
    lifecycle_detach(protocol, session);
    kill_point("taken-over");
    conn_close(old, REASON_SESSION_TAKEN_OVER);
    if (session->will != NULL && session->will->delay_s == 0)
        will_publish(protocol, session);
}

/* The session to go on with, or NULL when it is to be a new one. */
static struct session *find_session(struct protocol *protocol, const struct mqtt_connect *c)
{
    struct session *s = session_find(&protocol->sessions, c->client_id);
    if (s == NULL)
        return NULL;
    if (s->conn != NULL)
        take_over(protocol, s);
    bool goes_on = !c->clean_start && session_is_persistent(s);
    if (goes_on)
        will_drop(protocol, s); /* [MQTT-3.1.3-9] */
    if (goes_on && !s->is_remnant) {
        wheel_stop(loop_wheel(protocol->router->loop), &s->timer);
        return s;
    }
    lifecycle_end_session(protocol, s);
    return NULL;
}

static uint32_t expiry_of(const struct protocol *protocol, const struct mqtt_connect *c)
{
    uint32_t max = protocol->tunable->session_expiry_max_s;
    return c->session_expiry_s < max ? c->session_expiry_s : max;
}

static uint16_t receive_max_of(const struct protocol *protocol)
{
    uint16_t max = protocol->tunable->inflight_max;
    return max == 0 ? UINT16_MAX : max;
}

static uint16_t keep_alive_of(const struct protocol *protocol, const struct mqtt_connect *c)
{
    uint16_t max = protocol->tunable->keepalive_max_s;
    bool is_over = max != 0 && (c->keep_alive_s == 0 || c->keep_alive_s > max);
    return is_over ? max : c->keep_alive_s;
}

static void set_up_session(struct protocol *protocol, struct session *s,
                           const struct mqtt_connect *c)
{
    uint16_t aliases = c->topic_alias_max < protocol->tunable->topic_alias_out_max
                           ? c->topic_alias_max
                           : protocol->tunable->topic_alias_out_max;
    uint16_t window = receive_max_of(protocol);
    s->version = (uint8_t)c->version;
    s->expiry_s = expiry_of(protocol, c);
    s->window = c->receive_max < window ? c->receive_max : window;
    s->receive_max = window;
    if (aliases > 0)
        s->alias_out = alias_out_new(aliases);
}

static void set_up_conn(struct conn *conn, struct session *s, const struct mqtt_connect *c)
{
    conn->session = s;
    conn->version = (uint8_t)c->version;
    conn->wants_problem_info = c->wants_problem_info;
    s->conn = conn;
}

static struct mqtt_connack connack_of(const struct protocol *protocol, const struct conn *conn,
                                      const struct mqtt_connect *c)
{
    const struct conf_tunable *t = protocol->tunable;
    uint16_t keep_alive_s = keep_alive_of(protocol, c);
    uint16_t receive_max = conn->session->receive_max;
    return (struct mqtt_connack){
        .reason = REASON_SUCCESS,
        .has_session_expiry = conn->session->expiry_s != c->session_expiry_s,
        .session_expiry_s = conn->session->expiry_s,
        .receive_max = receive_max == UINT16_MAX ? 0 : receive_max,
        .has_qos_max = conn->qos_max < QOS_EXACTLY_ONCE, /* [MQTT-3.2.2-9] */
        .qos_max = conn->qos_max,
        .retain_unavailable = !t->retain_available,
        .packet_size_max = t->packet_size_max < (uint32_t)PACKET_REMAINING_MAX + FRAME_HEADER_MAX
                               ? t->packet_size_max
                               : 0,
        .topic_alias_max = t->topic_alias_max,
        .has_server_keep_alive = keep_alive_s != c->keep_alive_s,
        .server_keep_alive_s = keep_alive_s,
    };
}

static void log_connected(const struct conn *conn, const struct mqtt_connect *c)
{
    struct peer_text peer = peer_text(&conn->peer);
    if (!protocol_of(conn)->tunable->connection_messages)
        return;
    log_info("New client connected from %s as %s (p%u, c%u, k%u).", peer.text,
             log_text(c->client_id).text,
             c->version == MQTT_V5     ? 5U
             : c->version == MQTT_V311 ? 2U
                                       : 1U,
             c->clean_start, c->keep_alive_s);
}

static bool is_over_limit(const struct protocol *protocol)
{
    return stats_sum(protocol->region, STAT_clients_total) >= protocol->tunable->sessions_max;
}

/* -- the answer -- */

/* A CONNACK, which may have to wait for the disk. */
struct pending_connect {
    struct pending pending;
    struct mqtt_connack connack;
    uint16_t keep_alive_s;
};

static void drop(struct pending *pending)
{
    pending_clear(pending);
    free(list_owner(pending, struct pending_connect, pending));
}

static void accept_session(struct protocol *protocol, struct session *s,
                           const struct mqtt_connack *connack, uint16_t keep_alive_s)
{
    struct conn *conn = s->conn;
    reply_connack(conn, connack);
    if (conn->state >= CONN_CLOSING)
        return; /* the client's packet limit is below any CONNACK */
    conn_open(conn, keep_alive_s);
    filters_update_session(&protocol->router->filters, s);
    deliver_resend(protocol->router, s);
}

/* The disk could not take the session: it ends with its connection. */
static void refuse_session(struct protocol *protocol, struct session *s)
{
    will_drop(protocol, s);
    s->expiry_s = 0;
    reply_refuse(s->conn, (enum mqtt_version)s->version, REASON_QUOTA_EXCEEDED,
                 "no room on disk for the session");
}

static void on_kept(struct journal_wait *wait, enum mqtt_reason reason)
{
    struct pending_connect *p = list_owner(wait, struct pending_connect, pending.wait);
    struct session *s = p->pending.session;
    struct protocol *protocol = s->table->owner;
    struct mqtt_connack connack = p->connack;
    uint16_t keep_alive_s = p->keep_alive_s;
    drop(&p->pending);
    /* One that is on disk is served, while what is new about it can't be written. */
    if (reason != REASON_SUCCESS && s->number != 0 && !connack.session_present)
        refuse_session(protocol, s);
    else
        accept_session(protocol, s, &connack, keep_alive_s);
}

/* Answers when the records from `first` on are on disk; 0: there are none. */
static void answer(struct conn *conn, const struct mqtt_connack *connack, uint16_t keep_alive_s,
                   uint64_t first)
{
    struct protocol *protocol = protocol_of(conn);
    struct pending_connect *p = first == 0 ? NULL : malloc(sizeof(*p));
    if (first == 0) {
        accept_session(protocol, conn->session, connack, keep_alive_s);
        return;
    }
    if (p == NULL)
        fatal("no memory for a CONNECT that waits for the disk");
    *p = (struct pending_connect){.connack = *connack, .keep_alive_s = keep_alive_s};
    pending_set(&p->pending, conn->session, drop);
    p->pending.wait.done = on_kept;
    p->pending.wait.is_hasty = true;
    conn_wait(conn);
    journal_wait_for(&protocol->router->journal, &p->pending.wait, first,
                     protocol->router->journal.serial);
}

/* -- CONNECT -- */

/* A session to take up the CONNECT with, new if there is none. NULL: refused. */
static struct session *make_session(struct conn *conn, const struct mqtt_connect *c)
{
    struct protocol *protocol = protocol_of(conn);
    if (is_over_limit(protocol)) {
        reply_refuse(conn, c->version, REASON_QUOTA_EXCEEDED, "too many sessions");
        return NULL;
    }
    if (expiry_of(protocol, c) != 0 && keep_is_refused(protocol)) {
        reply_refuse(conn, c->version, REASON_QUOTA_EXCEEDED, "no room on disk for the session");
        return NULL;
    }
    struct session *s = session_new(&protocol->sessions, c->client_id);
    if (s == NULL)
        reply_refuse(conn, c->version, REASON_SERVER_BUSY, "out of memory");
    return s;
}

/* Tells the journal of the session and its will. The first record that the CONNACK has to
 * wait for; 0: none. The end of an old session is on disk with the begin of the new one. */
static uint64_t keep(struct protocol *protocol, struct session *s, const struct mqtt_connect *c,
                     bool has_ended_kept)
{
    const struct journal *journal = &protocol->router->journal;
    uint64_t last = journal->serial;
    uint64_t first = keep_session(protocol, s);
    if (c->has_will && !will_take(protocol, s, c))
        log_warning("No memory for the will of client %s.", log_text(c->client_id).text);
    if (first == 0 && has_ended_kept)
        return last;
    return first == 0 && journal->serial != last ? last + 1 : first;
}

void attach(struct conn *conn, const struct mqtt_connect *connect, bool is_assigned)
{
    struct protocol *protocol = protocol_of(conn);
    const struct session *old = session_find(&protocol->sessions, connect->client_id);
    bool was_kept = old != NULL && old->number != 0;
    if ((was_kept || expiry_of(protocol, connect) != 0) && backlog_is_full(protocol->router)) {
        reply_refuse(conn, connect->version, REASON_SERVER_BUSY, "too much waits for the disk");
        return;
    }
    struct session *s = find_session(protocol, connect);
    bool is_present = s != NULL;
    conn->is_resumed = is_present;
    if (s == NULL)
        s = make_session(conn, connect);
    if (s == NULL)
        return;
    set_up_session(protocol, s, connect);
    set_up_conn(conn, s, connect);
    stats_add(protocol->stats, STAT_clients_connected, 1);
    stats_add(protocol->stats, STAT_connects_received, 1);
    uint64_t first = keep(protocol, s, connect, was_kept && !is_present);
    log_connected(conn, connect);
    struct mqtt_connack connack = connack_of(protocol, conn, connect);
    connack.session_present = is_present;
    if (is_assigned)
        connack.assigned_client_id = session_client_id(s); /* [MQTT-3.2.2-16] */
    answer(conn, &connack, keep_alive_of(protocol, connect), first);
}
