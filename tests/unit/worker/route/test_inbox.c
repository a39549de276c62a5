#include "worker/route/inbox.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { TURN_RECORDS = 1024, TURN_BYTES = 1 << 20 /* as in inbox.c */ };

struct told {
    unsigned confirm_count;
    unsigned refuse_count;
    unsigned will_count;
    uint64_t serial;
    enum mqtt_reason reason;
    uint32_t delay_s;
    char client_id[16];
};

static struct told told;
static struct inbox inbox;
static struct fake_conn conn;

static void on_confirm(void *owner, uint64_t serial)
{
    struct told *t = owner;
    t->confirm_count++;
    t->serial = serial;
}

static void on_refuse(void *owner, uint64_t serial, enum mqtt_reason reason)
{
    struct told *t = owner;
    t->refuse_count++;
    t->serial = serial;
    t->reason = reason;
}

static void on_will(void *owner, const struct record_message *will)
{
    struct told *t = owner;
    t->will_count++;
    t->delay_s = will->will_delay_s;
    memcpy(t->client_id, will->client_id.data, will->client_id.size);
}

static const struct inbox_events EVENTS = {
    .on_confirm = on_confirm, .on_refuse = on_refuse, .on_will = on_will};

static struct fixture *begin(void **state)
{
    struct fixture *f = *state;
    told = (struct told){0};
    inbox_init(&inbox, &f->router, &EVENTS, &told);
    return f;
}

static struct mesh *end_of(struct fixture *f, unsigned slot)
{
    mesh_publish(&f->ends[slot]);
    return &f->ends[slot];
}

static bool take(struct fixture *f)
{
    for (unsigned i = FIXTURE_PEER; i <= FIXTURE_STORE; i++)
        (void)end_of(f, i);
    return inbox_take(&inbox);
}

static struct record_message delivery(struct bytes payload)
{
    return (struct record_message){
        .purpose = RECORD_FOR_DELIVERY,
        .message_id = 1,
        .publisher = 77,
        .origin = FIXTURE_PEER,
        .qos = QOS_EXACTLY_ONCE,
        .plain = true,
        .topic = bytes_of("t"),
        .payload = payload,
    };
}

static void test_inbox_take_delivers(void **state)
{
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    struct record_message message = delivery(bytes_of("payload"));
    struct record_sender sender = {0};
    struct fake_packet packet;
    fixture_subscribe(f, s, "t", QOS_AT_LEAST_ONCE);
    assert_true(record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender));
    uint32_t position = ring_position(&f->ends[FIXTURE_PEER].out[FIXTURE_SELF]);
    assert_false(take(f));
    assert_true(fake_conn_next(&conn, &packet));
    assert_bytes(packet.topic, "t");
    assert_bytes(packet.payload, "payload");
    assert_int_equal(packet.qos, QOS_AT_LEAST_ONCE);
    assert_true(ring_has_settled(&f->ends[FIXTURE_PEER].out[FIXTURE_SELF], position));
    inbox_done(&inbox);
    fixture_end(f, s);
}

static void test_inbox_take_puts_fragments_together(void **state)
{
    enum { SIZE = 200000 };
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    uint8_t *payload = malloc(SIZE);
    struct record_message message = delivery((struct bytes){payload, SIZE});
    struct record_sender sender = {0};
    struct fake_packet packet;
    memset(payload, 0x5A, SIZE);
    fixture_subscribe(f, s, "t", QOS_AT_LEAST_ONCE);
    while (!record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender)) {
        assert_false(fake_conn_next(&conn, &packet));
        take(f);
    }
    take(f);
    assert_true(fake_conn_next(&conn, &packet));
    assert_int_equal(packet.payload.size, SIZE);
    assert_memory_equal(packet.payload.data, payload, SIZE);
    assert_false(fake_conn_next(&conn, &packet));
    inbox_done(&inbox);
    fixture_end(f, s);
    free(payload);
}

/* inbox_done() has a message in progress to free. */
static void test_inbox_done_in_the_middle_of_a_message(void **state)
{
    enum { SIZE = 200000 };
    struct fixture *f = begin(state);
    uint8_t *payload = calloc(1, SIZE);
    struct record_message message = delivery((struct bytes){payload, SIZE});
    struct record_sender sender = {0};
    assert_false(record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender));
    take(f);
    inbox_done(&inbox);
    free(payload);
}

/* Not where the record comes from, when somebody has passed it on. */
static void test_inbox_take_knows_where_a_publisher_is(void **state)
{
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    struct record_message message = delivery(bytes_of("payload"));
    struct record_sender sender = {0};
    struct ring_record record;
    uint32_t publisher;
    f->tunable.output_buffer_max = 16; /* one message congests it */
    message.origin = FIXTURE_OTHER;
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    assert_true(record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender));
    take(f);
    assert_false(fixture_next(f, FIXTURE_PEER, &record));
    assert_true(fixture_next(f, FIXTURE_OTHER, &record));
    assert_int_equal(record.kind, RECORD_HOLD);
    assert_true(record_get_hold(&record, &publisher));
    assert_int_equal(publisher, 77);
    inbox_done(&inbox);
    fixture_end(f, s);
}

static void test_inbox_take_holds_publishers(void **state)
{
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    assert_true(record_put_hold(&f->ends[FIXTURE_PEER], FIXTURE_SELF, true, handle));
    take(f);
    assert_int_equal(conn.conn.holds, 1);
    assert_true(record_put_hold(&f->ends[FIXTURE_PEER], FIXTURE_SELF, false, handle));
    take(f);
    assert_int_equal(conn.conn.holds, 0);
    inbox_done(&inbox);
    fixture_end(f, s);
}

static void test_inbox_take_tells_what_the_store_says(void **state)
{
    struct fixture *f = begin(state);
    struct mesh *store = &f->ends[FIXTURE_STORE];
    assert_true(record_put_refuse(store, FIXTURE_SELF, 5, REASON_QUOTA_EXCEEDED));
    take(f);
    assert_int_equal(told.refuse_count, 1);
    assert_int_equal(told.serial, 5);
    assert_int_equal(told.reason, REASON_QUOTA_EXCEEDED);
    assert_true(record_put_confirm(store, FIXTURE_SELF, 6));
    take(f);
    assert_int_equal(told.confirm_count, 1);
    assert_int_equal(told.serial, 6);
    inbox_done(&inbox);
}

static void test_inbox_take_hands_wills_up(void **state)
{
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    struct record_message will = delivery(bytes_of("payload"));
    struct record_sender sender = {0};
    fixture_subscribe(f, s, "t", QOS_AT_LEAST_ONCE);
    will.purpose = RECORD_FOR_WILL;
    will.client_id = bytes_of("dead");
    will.will_delay_s = 9;
    assert_true(record_put_message(&f->ends[FIXTURE_STORE], FIXTURE_SELF, &will, &sender));
    take(f);
    assert_int_equal(told.will_count, 1);
    assert_int_equal(told.delay_s, 9);
    assert_string_equal(told.client_id, "dead");
    assert_int_equal(conn.size, 0);
    inbox_done(&inbox);
    fixture_end(f, s);
}

static void test_inbox_take_has_a_share_of_records_for_each(void **state)
{
    struct fixture *f = begin(state);
    for (unsigned i = 0; i < TURN_RECORDS + 10; i++) {
        assert_true(record_put_confirm(&f->ends[FIXTURE_STORE], FIXTURE_SELF, i));
        assert_true(record_put_hold(&f->ends[FIXTURE_PEER], FIXTURE_SELF, true, 0));
    }
    assert_true(record_put_hold(&f->ends[FIXTURE_OTHER], FIXTURE_SELF, true, 0));
    assert_true(take(f));
    assert_int_equal(told.confirm_count, TURN_RECORDS);
    assert_false(ring_has_next(&f->router.mesh.in[FIXTURE_OTHER]));
    assert_true(ring_has_next(&f->router.mesh.in[FIXTURE_PEER]));
    assert_false(take(f));
    assert_int_equal(told.confirm_count, TURN_RECORDS + 10);
    assert_false(ring_has_next(&f->router.mesh.in[FIXTURE_PEER]));
    inbox_done(&inbox);
}

static void test_inbox_take_has_a_share_of_bytes(void **state)
{
    enum { SIZE = 100000, COUNT = 14 };
    struct fixture *f = begin(state);
    uint8_t *payload = calloc(1, SIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        struct record_message message = delivery((struct bytes){payload, SIZE});
        struct record_sender sender = {0};
        assert_true(record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender));
    }
    assert_true(take(f));
    assert_true(ring_has_next(&f->router.mesh.in[FIXTURE_PEER]));
    assert_false(take(f));
    assert_false(ring_has_next(&f->router.mesh.in[FIXTURE_PEER]));
    inbox_done(&inbox);
    free(payload);
}

/* Takes the first record and dies with it in hand. */
static void die_once(struct fixture *f)
{
    struct ring_record record;
    (void)end_of(f, FIXTURE_PEER);
    assert_true(ring_next(&f->router.mesh.in[FIXTURE_PEER], &record));
    mesh_open(&f->router.mesh, &f->region, FIXTURE_SELF, f->bell_fds);
}

static void test_inbox_take_sets_a_deadly_record_aside(void **state)
{
    struct fixture *f = begin(state);
    struct session *s = fixture_session(f, "a", &conn);
    struct fake_packet packet;
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    for (unsigned i = 0; i < 2; i++) {
        struct record_message message = delivery(bytes_of(i == 0 ? "deadly" : "good"));
        struct record_sender sender = {0};
        assert_true(record_put_message(&f->ends[FIXTURE_PEER], FIXTURE_SELF, &message, &sender));
    }
    die_once(f);
    die_once(f);
    take(f);
    assert_int_equal(fixture_stat(f, STAT_quarantined), 1);
    assert_true(fake_conn_next(&conn, &packet));
    assert_bytes(packet.payload, "good");
    assert_false(fake_conn_next(&conn, &packet));
    inbox_done(&inbox);
    fixture_end(f, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_inbox_take_delivers),
        FIXTURE_TEST_LIVE(test_inbox_take_puts_fragments_together),
        FIXTURE_TEST_LIVE(test_inbox_done_in_the_middle_of_a_message),
        FIXTURE_TEST_LIVE(test_inbox_take_knows_where_a_publisher_is),
        FIXTURE_TEST_LIVE(test_inbox_take_holds_publishers),
        FIXTURE_TEST_LIVE(test_inbox_take_tells_what_the_store_says),
        FIXTURE_TEST_LIVE(test_inbox_take_hands_wills_up),
        FIXTURE_TEST_LIVE(test_inbox_take_has_a_share_of_records_for_each),
        FIXTURE_TEST_LARGE(test_inbox_take_has_a_share_of_bytes),
        FIXTURE_TEST_LIVE(test_inbox_take_sets_a_deadly_record_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
