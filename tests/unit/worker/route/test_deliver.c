#include "worker/route/deliver.h"

#include "tests/unit/worker/route/deliver_fixture.h"

#include <stdlib.h>
#include <string.h>

static struct client client;

static struct client *begin(void **state)
{
    client_open(&client, *state);
    return &client;
}

/* The client acknowledges the delivery with this id. */
static void acknowledge(struct client *c, uint16_t packet_id)
{
    struct delivery *d = inflight_find(&c->session->inflight, packet_id);
    assert_non_null(d);
    session_settle(c->session, d);
    deliver_resume(&c->f->router, c->session);
}

/* -- terms -- */

static void test_deliver_terms_of_grants_the_lower_qos(void **state)
{
    struct client *c = begin(state);
    struct subscription *s = fixture_subscribe(c->f, c->session, "topic", QOS_AT_MOST_ONCE);
    for (uint8_t subscribed = 0; subscribed <= 2; subscribed++) {
        for (uint8_t published = 0; published <= 2; published++) {
            struct publication p = {.qos = published};
            struct deliver_terms terms;
            s->qos = subscribed;
            c->f->tunable.upgrade_outgoing_qos = false;
            assert_true(deliver_terms_of(&c->f->router, s, &p, &terms));
            assert_int_equal(terms.qos, subscribed < published ? subscribed : published);
            c->f->tunable.upgrade_outgoing_qos = true;
            assert_true(deliver_terms_of(&c->f->router, s, &p, &terms));
            assert_int_equal(terms.qos, subscribed);
        }
    }
    client_close(c);
}

static void test_deliver_terms_of_retain_as_published(void **state)
{
    struct client *c = begin(state);
    struct subscription *s = fixture_subscribe(c->f, c->session, "topic", QOS_AT_MOST_ONCE);
    for (unsigned i = 0; i < 4; i++) {
        struct publication p = {.retain = (i & 1) != 0};
        struct deliver_terms terms;
        s->id = i;
        s->retain_as_published = (i & 2) != 0;
        assert_true(deliver_terms_of(&c->f->router, s, &p, &terms));
        assert_int_equal(terms.retain, i == 3);
        assert_int_equal(terms.ids.count, i > 0);
        assert_int_equal(*terms.ids.list, i);
    }
    client_close(c);
}

static void test_deliver_terms_of_no_local(void **state)
{
    struct client *c = begin(state);
    struct subscription *s = fixture_subscribe(c->f, c->session, "topic", QOS_AT_MOST_ONCE);
    struct publication own = {.publisher_session = c->session};
    struct publication foreign = {.publisher_session = NULL};
    struct deliver_terms terms;
    assert_true(deliver_terms_of(&c->f->router, s, &own, &terms));
    s->no_local = true;
    assert_false(deliver_terms_of(&c->f->router, s, &own, &terms));
    assert_true(deliver_terms_of(&c->f->router, s, &foreign, &terms));
    client_close(c);
}

/* -- sending -- */

static void test_deliver_message_qos0_is_sent_at_once(void **state)
{
    struct client *c = begin(state);
    client_get(c, "one", QOS_AT_MOST_ONCE);
    struct fake_packet packet = client_next(c, "one");
    assert_bytes(packet.topic, "topic");
    assert_int_equal(packet.qos, QOS_AT_MOST_ONCE);
    assert_false(packet.retain || packet.dup);
    assert_int_equal(fixture_stat(c->f, STAT_publish_sent), 1);
    assert_int_equal(fixture_stat(c->f, STAT_publish_bytes_sent), 3);
    client_close(c);
}

static void test_deliver_message_qos0_is_dropped_when_output_is_full(void **state)
{
    struct client *c = begin(state);
    c->f->tunable.output_buffer_max = 40;
    client_get(c, "one message fits always, however large", QOS_AT_MOST_ONCE);
    client_get(c, "two", QOS_AT_MOST_ONCE);
    client_lost(c, 1);
    fake_conn_drain(&c->conn);
    client_get(c, "three", QOS_AT_MOST_ONCE);
    (void)client_next(c, "one message fits always, however large");
    (void)client_next(c, "three");
    client_close(c);
}

static void test_deliver_message_keeps_to_the_window(void **state)
{
    struct client *c = begin(state);
    c->session->window = 2;
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_EXACTLY_ONCE);
    client_get(c, "three", QOS_AT_LEAST_ONCE);
    client_get(c, "now", QOS_AT_MOST_ONCE); /* needs no window */
    struct fake_packet one = client_next(c, "one");
    struct fake_packet two = client_next(c, "two");
    (void)client_next(c, "now");
    client_has_nothing(c);
    assert_int_equal(one.qos, QOS_AT_LEAST_ONCE);
    assert_int_equal(two.qos, QOS_EXACTLY_ONCE);
    assert_int_not_equal(one.packet_id, 0);
    assert_int_not_equal(one.packet_id, two.packet_id);
    assert_int_equal(inflight_find(&c->session->inflight, one.packet_id)->state,
                     DELIVERY_WAITS_PUBACK);
    assert_int_equal(inflight_find(&c->session->inflight, two.packet_id)->state,
                     DELIVERY_WAITS_PUBREC);
    acknowledge(c, one.packet_id);
    assert_false(client_next(c, "three").dup);
    client_close(c);
}

static void test_deliver_message_waits_behind_what_is_queued(void **state)
{
    struct client *c = begin(state);
    c->session->window = 1;
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    c->session->window = 2;
    client_get(c, "three", QOS_AT_LEAST_ONCE);
    (void)client_next(c, "one");
    (void)client_next(c, "two");
    client_has_nothing(c);
    client_close(c);
}

static void test_deliver_message_waits_for_output(void **state)
{
    struct client *c = begin(state);
    c->f->tunable.output_buffer_max = 40; /* a quarter is too much for a second one */
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    (void)client_next(c, "one");
    client_has_nothing(c);
    fake_conn_drain(&c->conn);
    deliver_resume(&c->f->router, c->session);
    (void)client_next(c, "two");
    client_lost(c, 0);
    client_close(c);
}

static void test_deliver_message_without_memory(void **state)
{
    struct client *c = begin(state);
    c->conn.is_out_of_memory = true;
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    assert_int_equal(c->conn.conn.state, CONN_CLOSING);
    client_lost(c, 0);
    client_reconnect(c, 10);
    assert_false(client_next(c, "one").dup); /* it never went out */
    (void)client_next(c, "two");
    client_close(c);
}

static void test_deliver_resend_without_memory(void **state)
{
    struct client *c = begin(state);
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_get(c, "two", QOS_AT_LEAST_ONCE);
    client_reconnect(c, 0);
    c->conn.is_out_of_memory = true;
    c->session->window = 10;
    deliver_resume(&c->f->router, c->session);
    assert_int_equal(c->conn.conn.state, CONN_CLOSING);
    client_reconnect(c, 10);
    assert_true(client_next(c, "one").dup);
    assert_true(client_next(c, "two").dup);
    client_close(c);
}

/* -- the queue -- */

static void test_deliver_message_keeps_to_the_queues_limits(void **state)
{
    static const struct {
        uint32_t messages_max;
        uint64_t bytes_max;
        unsigned queued;
    } ROWS[] = {
        {3, 0, 3},
        {0, 2 * (5 + 4), 2}, /* topic and payload */
        {0, 2 * (5 + 4) + 8, 2},
        {2, 3 * (5 + 4), 2},
        {0, 0, 5},
    };
    struct client *c = begin(state);
    unsigned dropped = 0;
    client_go_offline(c);
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        c->f->tunable.queued_messages_max = ROWS[i].messages_max;
        c->f->tunable.queued_bytes_max = ROWS[i].bytes_max;
        for (unsigned j = 0; j < 5; j++)
            client_get(c, "data", QOS_AT_LEAST_ONCE);
        assert_int_equal(c->session->queued_count, ROWS[i].queued);
        dropped += 5 - ROWS[i].queued;
        client_lost(c, dropped);
        while (c->session->queued_count > 0)
            delivery_free(session_dequeue(c->session));
    }
    client_close(c);
}

static void test_deliver_message_full_queue_drops_what_expired(void **state)
{
    struct client *c = begin(state);
    struct publication brief = client_publication("brief");
    brief.expiry_at_ms = FIXTURE_START_MS + 1;
    c->f->tunable.queued_messages_max = 2;
    client_go_offline(c);
    client_deliver(c, brief, (struct deliver_terms){.qos = QOS_AT_LEAST_ONCE});
    client_get(c, "long", QOS_AT_LEAST_ONCE);
    client_get(c, "no room", QOS_AT_LEAST_ONCE);
    client_lost(c, 1);
    fake_loop_advance(&c->f->loop, 1);
    client_get(c, "room", QOS_AT_LEAST_ONCE);
    client_lost(c, 2);
    client_reconnect(c, 10);
    (void)client_next(c, "long");
    (void)client_next(c, "room");
    client_has_nothing(c);
    client_close(c);
}

static void test_deliver_message_to_an_offline_session(void **state)
{
    static const struct {
        enum qos qos;
        bool is_persistent;
        bool queues_qos0;
        bool is_queued;
    } ROWS[] = {
        {QOS_AT_LEAST_ONCE, true, false, true}, {QOS_EXACTLY_ONCE, true, false, true},
        {QOS_AT_MOST_ONCE, true, false, false}, {QOS_AT_MOST_ONCE, true, true, true},
        {QOS_AT_MOST_ONCE, false, true, false}, {QOS_AT_LEAST_ONCE, false, false, false},
    };
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct client *c = begin(state);
        uint64_t dropped = fixture_stat(c->f, STAT_publish_dropped);
        client_go_offline(c);
        c->session->expiry_s = ROWS[i].is_persistent ? 60 : 0;
        c->f->tunable.queue_qos0_messages = ROWS[i].queues_qos0;
        client_get(c, "data", ROWS[i].qos);
        assert_int_equal(c->session->queued_count, ROWS[i].is_queued);
        assert_int_equal(fixture_stat(c->f, STAT_publish_dropped) - dropped, !ROWS[i].is_queued);
        client_close(c);
    }
}

static void test_deliver_resend_sends_the_queue(void **state)
{
    struct client *c = begin(state);
    c->f->tunable.queue_qos0_messages = true;
    client_go_offline(c);
    client_get(c, "zero", QOS_AT_MOST_ONCE);
    client_get(c, "one", QOS_AT_LEAST_ONCE);
    client_reconnect(c, 10);
    assert_int_equal(client_next(c, "zero").qos, QOS_AT_MOST_ONCE);
    assert_int_equal(client_next(c, "one").qos, QOS_AT_LEAST_ONCE);
    assert_int_equal(c->session->inflight.count, 1);
    assert_int_equal(c->session->queued_count, 0);
    client_close(c);
}

static void test_deliver_message_holds_the_publisher_of_a_burst(void **state)
{
    struct client *c = begin(state);
    struct ring_record record;
    c->f->tunable.output_buffer_max = 40;
    struct publication p = client_publication("data");
    p.origin = FIXTURE_PEER;
    p.publisher = 5;
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
    assert_true(fixture_next(c->f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, RECORD_HOLD);
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_MOST_ONCE});
    fake_conn_drain(&c->conn);
    deliver_resume(&c->f->router, c->session);
    assert_true(fixture_next(c->f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, RECORD_UNHOLD);
    client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_deliver_terms_of_grants_the_lower_qos),
        FIXTURE_TEST(test_deliver_terms_of_retain_as_published),
        FIXTURE_TEST(test_deliver_terms_of_no_local),
        FIXTURE_TEST(test_deliver_message_qos0_is_sent_at_once),
        FIXTURE_TEST(test_deliver_message_qos0_is_dropped_when_output_is_full),
        FIXTURE_TEST(test_deliver_message_keeps_to_the_window),
        FIXTURE_TEST(test_deliver_message_waits_behind_what_is_queued),
        FIXTURE_TEST(test_deliver_message_waits_for_output),
        FIXTURE_TEST(test_deliver_message_without_memory),
        FIXTURE_TEST(test_deliver_resend_without_memory),
        FIXTURE_TEST(test_deliver_message_keeps_to_the_queues_limits),
        FIXTURE_TEST(test_deliver_message_full_queue_drops_what_expired),
        FIXTURE_TEST(test_deliver_message_to_an_offline_session),
        FIXTURE_TEST(test_deliver_resend_sends_the_queue),
        FIXTURE_TEST(test_deliver_message_holds_the_publisher_of_a_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
