/* What a delivery looks like on the wire, and how it is sent again. */
#include "worker/route/deliver.h"

#include "tests/unit/worker/route/deliver_fixture.h"

#include <stdlib.h>
#include <string.h>

static struct client client;
static const uint32_t number = 300; /* a Subscription Identifier */

static struct client *begin(void **state)
{
    client_open(&client, *state);
    return &client;
}

static void assert_properties(const struct fake_packet *packet, const void *bytes, size_t size)
{
    assert_int_equal(packet->properties.size, size);
    if (size > 0)
        assert_memory_equal(packet->properties.data, bytes, size);
}

/* -- properties -- */

static void test_deliver_message_says_what_is_left_of_expiry(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.expiry_at_ms = FIXTURE_START_MS + 10000;
    fake_loop_advance(&c->f->loop, 3000);
    for (unsigned qos = 0; qos <= 2; qos++) {
        client_deliver(c, p, (struct deliver_terms){.qos = (enum qos)qos});
        struct fake_packet packet = client_next(c, "data");
        assert_properties(&packet, "\x02\0\0\0\x07", 5);
    }
    client_close(c);
}

static void test_deliver_message_drops_what_expired(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.expiry_at_ms = FIXTURE_START_MS;
    for (unsigned qos = 0; qos <= 2; qos++)
        client_deliver(c, p, (struct deliver_terms){.qos = (enum qos)qos});
    client_has_nothing(c);
    client_lost(c, 3);
    assert_int_equal(c->session->inflight.count, 0);
    client_close(c);
}

static void test_deliver_resume_drops_what_expired_in_the_queue(void **state)
{
    struct client *c = begin(state);
    struct publication brief = client_publication("brief");
    brief.expiry_at_ms = FIXTURE_START_MS + 1000;
    c->session->window = 0;
    client_deliver(c, brief, (struct deliver_terms){.qos = QOS_AT_LEAST_ONCE});
    client_get(c, "long", QOS_AT_LEAST_ONCE);
    fake_loop_advance(&c->f->loop, 1000);
    c->session->window = 1;
    deliver_resume(&c->f->router, c->session);
    (void)client_next(c, "long");
    client_has_nothing(c);
    client_lost(c, 1);
    client_close(c);
}

static void test_deliver_message_passes_properties_and_identifier(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.properties = (struct bytes){(const uint8_t *)"\x01\x01", 2};
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_LEAST_ONCE, .ids = {&number, 1}});
    struct fake_packet packet = client_next(c, "data");
    assert_int_equal(packet.properties.size, 2 + 3);
    assert_non_null(memmem(packet.properties.data, 5, "\x01\x01", 2));
    assert_non_null(memmem(packet.properties.data, 5, "\x0B\xAC\x02", 3));
    client_close(c);
}

static void test_deliver_message_to_an_older_client(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.properties = (struct bytes){(const uint8_t *)"\x01\x01", 2};
    p.expiry_at_ms = FIXTURE_START_MS + 10000;
    c->conn.conn.version = MQTT_V311;
    client_deliver(c, p, (struct deliver_terms){.retain = true, .ids = {&number, 1}});
    struct fake_packet packet = client_next(c, "data");
    assert_true(packet.retain);
    assert_int_equal(packet.size, 2 + 2 + 5 + 4);
    client_close(c);
}

/* -- the client's packet size -- */

static void test_deliver_message_over_the_clients_packet_size(void **state)
{
    struct client *c = begin(state);
    c->conn.conn.packet_size_max = 2 + 2 + 5 + 1 + 8; /* at QoS 0 */
    client_get(c, "too large", QOS_AT_MOST_ONCE);
    client_get(c, "too long", QOS_AT_LEAST_ONCE);
    client_has_nothing(c);
    client_lost(c, 2);
    assert_int_equal(c->session->inflight.count, 0);
    client_get(c, "in order", QOS_AT_MOST_ONCE);
    client_get(c, "enough", QOS_EXACTLY_ONCE);
    assert_int_equal(client_next(c, "in order").size, c->conn.conn.packet_size_max);
    assert_int_equal(client_next(c, "enough").size, c->conn.conn.packet_size_max);
    client_close(c);
}

/* -- aliases -- */

static void test_deliver_message_uses_aliases(void **state)
{
    static const struct {
        const char *topic;
        const char *sent_topic;
        const char *properties; /* of 3 bytes, or none */
    } ROWS[] = {
        {"long/topic", "long/topic", "\x23\0\x01"},
        {"long/topic", "", "\x23\0\x01"},
        {"long/other", "long/other", "\x23\0\x02"},
        {"long/third", "long/third", NULL}, /* no alias is left */
        {"long/other", "", "\x23\0\x02"},
    };
    struct client *c = begin(state);
    c->session->alias_out = alias_out_new(2);
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct publication p = client_publication("data");
        p.topic = bytes_of(ROWS[i].topic);
        client_deliver(c, p, (struct deliver_terms){.qos = (enum qos)(i % 2)});
        struct fake_packet packet = client_next(c, "data");
        assert_bytes(packet.topic, ROWS[i].sent_topic);
        assert_properties(&packet, ROWS[i].properties, ROWS[i].properties == NULL ? 0 : 3);
    }
    client_close(c);
}

static void test_deliver_message_uses_no_alias_for_short_topics(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.topic = bytes_of("abc");
    c->session->alias_out = alias_out_new(1);
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
    struct fake_packet packet = client_next(c, "data");
    assert_bytes(packet.topic, "abc");
    assert_int_equal(packet.properties.size, 0);
    client_close(c);
}

/* An alias makes the packet larger the first time, by more than itself where a
 * length needs another byte. */
static void test_deliver_message_with_alias_keeps_to_the_packet_size(void **state)
{
    struct client *c = begin(state);
    static const char PAYLOAD[130];
    for (unsigned i = 0; i < 30 * 8; i++) {
        struct publication p = client_publication("");
        struct fake_packet packet;
        uint32_t spare = i % 8;
        p.topic = bytes_of("long/topic");
        p.payload = (struct bytes){(const uint8_t *)PAYLOAD, 100 + i / 8};
        c->conn.conn.packet_size_max = 0;
        client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
        assert_true(fake_conn_next(&c->conn, &packet));
        c->conn.conn.packet_size_max = (uint32_t)packet.size + spare;
        c->session->alias_out = alias_out_new(1);
        client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
        assert_true(fake_conn_next(&c->conn, &packet));
        assert_true(packet.size <= c->conn.conn.packet_size_max);
        if (spare >= 5)
            assert_int_equal(packet.properties.size, 3);
        session_forget_connection(c->session);
    }
    client_close(c);
}

/* The client never heard of an alias that there was no memory to send. */
static void test_deliver_message_with_alias_without_memory(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.topic = bytes_of("long/topic");
    c->session->alias_out = alias_out_new(1);
    c->conn.is_out_of_memory = true;
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
    c->conn.is_out_of_memory = false;
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
    client_has_nothing(c);
    assert_int_equal(c->conn.conn.state, CONN_CLOSING);
    client_close(c);
}

/* -- large payloads -- */

static void test_deliver_message_shares_large_payloads(void **state)
{
    enum { SIZE = 8192 };
    static struct fake_conn second_conn;
    struct client *c = begin(state);
    struct session *second = fixture_session(c->f, "second", &second_conn);
    uint8_t *payload = malloc(SIZE);
    struct publication p = client_publication("");
    struct deliver_terms terms = {.qos = QOS_AT_MOST_ONCE};
    struct fake_packet packet;
    memset(payload, 'x', SIZE);
    p.payload = (struct bytes){payload, SIZE};
    deliver_message(&c->f->router, c->session, &p, &terms);
    terms.qos = QOS_AT_LEAST_ONCE;
    deliver_message(&c->f->router, second, &p, &terms);
    assert_non_null(p.message);
    assert_int_equal(c->conn.shared_count, 1);
    assert_ptr_equal(c->conn.shared[0].body.data, message_payload(p.message).data);
    assert_ptr_equal(second_conn.shared[0].body.data, message_payload(p.message).data);
    assert_int_equal(p.message->references, 1 + 1 + 2); /* ours, each output's, the delivery's */
    assert_true(fake_conn_next(&c->conn, &packet));
    assert_int_equal(packet.payload.size, SIZE);
    assert_memory_equal(packet.payload.data, payload, SIZE);
    publication_done(&p);
    free(payload);
    fixture_end(c->f, second);
    client_close(c);
}

static void test_deliver_message_copies_small_payloads(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("small");
    struct deliver_terms terms = {.qos = QOS_AT_MOST_ONCE};
    deliver_message(&c->f->router, c->session, &p, &terms);
    assert_null(p.message); /* nothing was kept */
    assert_int_equal(c->conn.shared_count, 0);
    client_close(c);
}

/* -- sending again -- */

static void test_deliver_resend_repeats_in_order_with_dup(void **state)
{
    struct client *c = begin(state);
    uint16_t ids[3];
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_EXACTLY_ONCE);
    client_get(c, "three", QOS_AT_LEAST_ONCE);
    ids[0] = client_next(c, "one").packet_id;
    ids[1] = client_next(c, "two").packet_id;
    ids[2] = client_next(c, "three").packet_id;
    client_reconnect(c, 10);
    struct fake_packet one = client_next(c, "one");
    struct fake_packet two = client_next(c, "two");
    struct fake_packet three = client_next(c, "three");
    client_has_nothing(c);
    assert_true(one.dup && two.dup && three.dup);
    assert_int_equal(one.packet_id, ids[0]);
    assert_int_equal(two.packet_id, ids[1]);
    assert_int_equal(three.packet_id, ids[2]);
    client_close(c);
}

static void test_deliver_resend_keeps_to_a_smaller_window(void **state)
{
    struct client *c = begin(state);
    static const char *const PAYLOADS[] = {"1", "2", "3", "4", "5"};
    for (unsigned i = 0; i < 4; i++)
        client_get(c, PAYLOADS[i], QOS_AT_LEAST_ONCE);
    client_reconnect(c, 2);
    client_get(c, "5", QOS_AT_LEAST_ONCE); /* new ones go last */
    for (unsigned i = 0; i < 5; i++) {
        struct fake_packet packet = client_next(c, PAYLOADS[i]);
        assert_int_equal(packet.dup, i < 4);
        if (i % 2 == 0)
            continue;
        client_has_nothing(c);
        for (unsigned j = 0; j < 2; j++) {
            struct list_node *first = list_first(&c->session->inflight.order);
            session_settle(c->session, list_owner(first, struct delivery, node));
            deliver_resume(&c->f->router, c->session);
        }
    }
    client_has_nothing(c);
    assert_int_equal(c->session->resend_count, 0);
    client_close(c);
}

static void test_deliver_resend_acknowledged_before_its_turn(void **state)
{
    struct client *c = begin(state);
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    (void)client_next(c, "one");
    uint16_t second = client_next(c, "two").packet_id;
    client_reconnect(c, 1);
    (void)client_next(c, "one");
    session_settle(c->session, inflight_find(&c->session->inflight, second));
    assert_int_equal(c->session->resend_count, 0);
    deliver_resume(&c->f->router, c->session);
    client_has_nothing(c);
    client_close(c);
}

static void test_deliver_resend_repeats_pubrel(void **state)
{
    struct client *c = begin(state);
    struct fake_packet packet;
    client_get(c, "one", QOS_EXACTLY_ONCE);
    uint16_t id = client_next(c, "one").packet_id;
    session_release(c->session, inflight_find(&c->session->inflight, id));
    client_reconnect(c, 1);
    assert_true(fake_conn_next(&c->conn, &packet));
    assert_int_equal(packet.type, PACKET_PUBREL);
    assert_int_equal(packet.packet_id, id);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    client_has_nothing(c); /* it takes up the window */
    client_close(c);
}

/* What was begun is brought to an end, as it began. */
static void test_deliver_resend_of_what_expired_meanwhile(void **state)
{
    struct client *c = begin(state);
    struct publication p = client_publication("data");
    p.expiry_at_ms = FIXTURE_START_MS + 1000;
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_LEAST_ONCE, .ids = {&number, 1}});
    (void)client_next(c, "data");
    fake_loop_advance(&c->f->loop, 5000);
    client_reconnect(c, 1);
    struct fake_packet packet = client_next(c, "data");
    assert_true(packet.dup);
    assert_non_null(memmem(packet.properties.data, packet.properties.size, "\x0B\xAC\x02", 3));
    client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_deliver_message_says_what_is_left_of_expiry),
        FIXTURE_TEST(test_deliver_message_drops_what_expired),
        FIXTURE_TEST(test_deliver_resume_drops_what_expired_in_the_queue),
        FIXTURE_TEST(test_deliver_message_passes_properties_and_identifier),
        FIXTURE_TEST(test_deliver_message_to_an_older_client),
        FIXTURE_TEST(test_deliver_message_over_the_clients_packet_size),
        FIXTURE_TEST(test_deliver_message_uses_aliases),
        FIXTURE_TEST(test_deliver_message_uses_no_alias_for_short_topics),
        FIXTURE_TEST(test_deliver_message_with_alias_keeps_to_the_packet_size),
        FIXTURE_TEST(test_deliver_message_with_alias_without_memory),
        FIXTURE_TEST(test_deliver_message_shares_large_payloads),
        FIXTURE_TEST(test_deliver_message_copies_small_payloads),
        FIXTURE_TEST(test_deliver_resend_repeats_in_order_with_dup),
        FIXTURE_TEST(test_deliver_resend_keeps_to_a_smaller_window),
        FIXTURE_TEST(test_deliver_resend_acknowledged_before_its_turn),
        FIXTURE_TEST(test_deliver_resend_repeats_pubrel),
        FIXTURE_TEST(test_deliver_resend_of_what_expired_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
