#include "worker/session/session.h"

#include "shm/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    struct region region;
    struct session_table table;
    struct session *session;
};

static struct fixture fixture;

static int set_up(void **state)
{
    hash_start();
    assert_int_equal(region_open(&fixture.region, 1, 65536, false), 0);
    session_table_init(&fixture.table, region_key(&fixture.region), stats_of(&fixture.region, 0));
    fixture.session = session_new(&fixture.table, bytes_of("client"));
    assert_non_null(fixture.session);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    session_free(f->session);
    map_done(&f->table.by_client_id);
    region_close(&f->region);
    return 0;
}

static void enqueue(struct session *s, const char *payload)
{
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of(payload));
    session_enqueue(s, delivery_new(m, QOS_AT_LEAST_ONCE, false, 0));
    message_put(m);
}

static void test_session_find_tells_client_ids_apart(void **state)
{
    struct fixture *f = *state;
    assert_ptr_equal(session_find(&f->table, bytes_of("client")), f->session);
    assert_null(session_find(&f->table, bytes_of("clienT")));
}

static void test_session_queue_is_first_in_first_out(void **state)
{
    struct fixture *f = *state;
    enqueue(f->session, "1");
    enqueue(f->session, "22");
    assert_int_equal(f->session->queued_count, 2);
    assert_int_equal(f->session->queued_bytes, 2 + 3);
    struct delivery *d = session_dequeue(f->session);
    assert_true(bytes_equal(message_payload(d->message), bytes_of("1")));
    delivery_free(d);
    assert_int_equal(f->session->queued_bytes, 3);
}

static void test_session_has_room_up_to_both_limits(void **state)
{
    struct fixture *f = *state;
    enqueue(f->session, "12345");
    assert_true(session_has_room(f->session, 4, 2, 10));
    assert_false(session_has_room(f->session, 5, 2, 10));
    assert_false(session_has_room(f->session, 1, 1, 0));
    assert_true(session_has_room(f->session, 1000, 0, 0));
}

static void test_session_receive_end_forgets_the_id(void **state)
{
    struct fixture *f = *state;
    for (uint16_t id = 1; id <= 100; id++)
        assert_true(session_receive_begin(f->session, id));
    assert_true(session_is_receiving(f->session, 50));
    assert_true(session_receive_end(f->session, 50));
    assert_false(session_is_receiving(f->session, 50));
    assert_false(session_receive_end(f->session, 50));
    assert_true(session_is_receiving(f->session, 100));
}

static void test_session_receive_open_counts_this_connection_only(void **state)
{
    struct fixture *f = *state;
    for (uint16_t id = 1; id <= 4; id++)
        assert_true(session_receive_begin(f->session, id));
    session_forget_connection(f->session);
    assert_int_equal(session_receive_open(f->session), 0);
    assert_true(session_receive_begin(f->session, 5));
    assert_true(session_receive_end(f->session, 2));
    assert_int_equal(session_receive_open(f->session), 1);
    assert_true(session_is_receiving(f->session, 4));
    assert_true(session_receive_end(f->session, 5));
    assert_int_equal(session_receive_open(f->session), 0);
    for (uint16_t id = 1; id <= 5; id++)
        assert_true(session_receive_end(f->session, id) == (id != 2 && id != 5));
}

static void test_session_window_counts_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    f->session->window = 1;
    assert_true(session_window_is_open(f->session));
    enqueue(f->session, "x");
    assert_true(session_put_in_flight(f->session, session_dequeue(f->session)));
    assert_false(session_window_is_open(f->session));
    session_settle(f->session, inflight_find(&f->session->inflight, 1));
    assert_true(session_window_is_open(f->session));
}

static uint64_t stored_messages(const struct fixture *f)
{
    return stats_get(f->table.stats, STAT_stored_messages);
}

static uint64_t stored_bytes(const struct fixture *f)
{
    return stats_get(f->table.stats, STAT_stored_bytes);
}

static void test_session_counts_what_is_stored(void **state)
{
    struct fixture *f = *state;
    enqueue(f->session, "123");
    assert_int_equal(stored_messages(f), 1);
    assert_int_equal(stored_bytes(f), 4);
    struct delivery *d = session_dequeue(f->session);
    assert_true(session_put_in_flight(f->session, d));
    assert_int_equal(stored_messages(f), 1);
    assert_int_equal(stored_bytes(f), 4);
    session_release(f->session, d);
    assert_int_equal(stored_messages(f), 1);
    assert_int_equal(stored_bytes(f), 0);
    session_settle(f->session, d);
    assert_int_equal(stored_messages(f), 0);
    assert_int_equal(stored_bytes(f), 0);
}

static void test_session_free_uncounts_what_was_stored(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 4; i++)
        enqueue(f->session, "123");
    for (unsigned i = 0; i < 2; i++)
        assert_true(session_put_in_flight(f->session, session_dequeue(f->session)));
    session_release(f->session, inflight_find(&f->session->inflight, 1));
    assert_int_equal(stored_messages(f), 4);
    assert_int_equal(stored_bytes(f), 3 * 4);
    session_free(f->session);
    f->session = NULL;
    assert_int_equal(stored_messages(f), 0);
    assert_int_equal(stored_bytes(f), 0);
    assert_int_equal(stats_get(f->table.stats, STAT_clients_total), 0);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct delivery *shared(struct session *s, enum qos qos, struct share *share)
{
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of("x"));
    struct delivery *d = delivery_new(m, qos, false, NULL);
    d->share = share_get(share);
    session_enqueue(s, d);
    message_put(m);
    return d;
}

static unsigned free_all(struct list_node *list)
{
    unsigned count = 0;
    list_for_each(node, list) {
        delivery_free(list_owner(node, struct delivery, node));
        count++;
    }
    return count;
}

static void test_session_take_queued_of_a_group_or_of_all(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = {{0}};
    struct share *one = share_new(&id);
    struct share *two = share_new(&id);
    struct list_node list;
    list_init(&list);
    for (enum qos qos = QOS_AT_MOST_ONCE; qos <= QOS_EXACTLY_ONCE; qos++) {
        (void)shared(f->session, qos, NULL);
        (void)shared(f->session, qos, one);
        (void)shared(f->session, qos, two);
    }
    session_take_queued(f->session, one, &list);
    assert_int_equal(free_all(&list), 2);
    assert_int_equal(f->session->queued_count, 7);
    session_take_queued(f->session, NULL, &list);
    assert_int_equal(free_all(&list), 2);
    assert_int_equal(f->session->queued_bytes, 5 * 2);
    share_put(one);
    share_put(two);
}

/* Not QoS 2 that was begun [MQTT-4.8.2-5], nor what came through no group. */
static void test_session_take_in_flight(void **state)
{
    static const struct {
        enum qos qos;
        bool is_shared, is_sent, is_received, is_taken;
    } ROWS[] = {
        {QOS_AT_LEAST_ONCE, true, true, false, true},
        {QOS_AT_LEAST_ONCE, true, false, false, true},
        {QOS_AT_LEAST_ONCE, false, true, false, false},
        {QOS_EXACTLY_ONCE, true, true, false, false},
        {QOS_EXACTLY_ONCE, true, false, false, true},
        {QOS_EXACTLY_ONCE, true, true, true, false},
        {QOS_EXACTLY_ONCE, true, false, true, false},
    };
    struct fixture *f = *state;
    struct hash128 id = {{0}};
    struct share *share = share_new(&id);
    struct list_node list;
    list_init(&list);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        (void)shared(f->session, ROWS[i].qos, ROWS[i].is_shared ? share : NULL);
        struct delivery *d = session_dequeue(f->session);
        assert_true(session_put_in_flight(f->session, d));
        d->sent = ROWS[i].is_sent;
        if (ROWS[i].is_received)
            session_release(f->session, d);
        session_take_in_flight(f->session, &list);
        assert_int_equal(free_all(&list), ROWS[i].is_taken);
        assert_int_equal(f->session->inflight.count, !ROWS[i].is_taken);
        if (!ROWS[i].is_taken)
            session_settle(f->session, d);
    }
    share_put(share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_session_find_tells_client_ids_apart),
        SESSION_TEST(test_session_queue_is_first_in_first_out),
        SESSION_TEST(test_session_has_room_up_to_both_limits),
        SESSION_TEST(test_session_receive_end_forgets_the_id),
        SESSION_TEST(test_session_receive_open_counts_this_connection_only),
        SESSION_TEST(test_session_window_counts_what_is_in_flight),
        SESSION_TEST(test_session_counts_what_is_stored),
        SESSION_TEST(test_session_free_uncounts_what_was_stored),
        SESSION_TEST(test_session_take_queued_of_a_group_or_of_all),
        SESSION_TEST(test_session_take_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
