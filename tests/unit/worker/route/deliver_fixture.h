#ifndef COURTIER_TESTS_UNIT_WORKER_ROUTE_DELIVER_FIXTURE_H
#define COURTIER_TESTS_UNIT_WORKER_ROUTE_DELIVER_FIXTURE_H

/* One client that messages are delivered to, for the tests of route/deliver.h. */

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/deliver.h"

struct client {
    struct fixture *f;
    struct session *session; /* persistent, with a large window */
    struct fake_conn conn;
};

static inline void client_open(struct client *c, struct fixture *f)
{
    c->f = f;
    c->session = fixture_session(f, "client", &c->conn);
    c->session->expiry_s = 60;
}

static inline void client_close(struct client *c)
{
    fixture_end(c->f, c->session);
}

static inline void client_go_offline(struct client *c)
{
    fixture_detach(c->f, c->session, &c->conn);
}

/* Comes back on a new connection, with this Receive Maximum. */
static inline void client_reconnect(struct client *c, uint16_t window)
{
    if (c->session->conn != NULL)
        client_go_offline(c);
    fake_conn_open(&c->conn, &c->f->conns, MQTT_V5);
    c->conn.conn.session = c->session;
    c->session->conn = &c->conn.conn;
    c->session->window = window;
    deliver_resend(&c->f->router, c->session);
}

/* A message of QoS 2 for "topic". */
static inline struct publication client_publication(const char *payload)
{
    return (struct publication){
        .topic = bytes_of("topic"),
        .payload = bytes_of(payload),
        .qos = QOS_EXACTLY_ONCE,
    };
}

static inline void client_deliver(struct client *c, struct publication p,
                                  struct deliver_terms terms)
{
    deliver_message(&c->f->router, c->session, &p, &terms);
    publication_done(&p);
}

static inline void client_get(struct client *c, const char *payload, enum qos qos)
{
    client_deliver(c, client_publication(payload), (struct deliver_terms){.qos = qos});
}

/* The next packet is a PUBLISH with this payload. */
static inline struct fake_packet client_next(struct client *c, const char *payload)
{
    struct fake_packet packet;
    assert_true(fake_conn_next(&c->conn, &packet));
    assert_int_equal(packet.type, PACKET_PUBLISH);
    assert_bytes(packet.payload, payload);
    return packet;
}

static inline void client_has_nothing(struct client *c)
{
    struct fake_packet packet;
    assert_false(fake_conn_next(&c->conn, &packet));
}

/* So many messages were dropped since the start. */
static inline void client_lost(struct client *c, unsigned count)
{
    assert_int_equal(fixture_stat(c->f, STAT_publish_dropped), count);
}

#endif
