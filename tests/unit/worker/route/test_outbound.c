#include "worker/route/outbound.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake_conn publisher_conn;

struct told {
    unsigned count;
    uint32_t publisher;
    uint64_t message_id;
    uint16_t holds; /* of the publisher's connection, when told */
};

static struct told told;

static void then(void *owner, unsigned peer, const struct outbound_message *with)
{
    struct router *router = owner;
    told.count++;
    told.publisher = with->publisher;
    told.message_id = with->message->id;
    assert_int_equal(peer, FIXTURE_PEER);
    told.holds = publisher_conn.conn.holds;
    assert_ptr_equal(router->mesh.out, router->outbound.mesh->out);
}

static int set_up(void **state)
{
    told = (struct told){0};
    return fixture_set_up(state);
}

static struct record_message record_of(uint64_t id, struct bytes payload)
{
    return (struct record_message){
        .purpose = RECORD_FOR_DELIVERY,
        .message_id = id,
        .qos = QOS_AT_LEAST_ONCE,
        .plain = true,
        .topic = bytes_of("t"),
        .payload = payload,
    };
}

static bool send_small(struct fixture *f, uint64_t id, uint32_t publisher)
{
    struct record_message record = record_of(id, bytes_of("payload"));
    struct outbound_message with = {.publisher = publisher, .then = then};
    return outbound_send_message(&f->router.outbound, FIXTURE_PEER, &record, &with);
}

static void retry(struct fixture *f)
{
    (void)outbound_retry(&f->router.outbound);
}

static void assert_next_id(struct fixture *f, uint64_t id)
{
    struct record_message message;
    assert_true(fixture_next_message(f, FIXTURE_PEER, &message));
    assert_int_equal(message.message_id, id);
    assert_bytes(message.payload, "payload");
}

static void test_outbound_send_message_goes_at_once(void **state)
{
    struct fixture *f = *state;
    assert_true(send_small(f, 1, 0));
    assert_int_equal(told.count, 0);
    assert_false(outbound_is_blocked(&f->router.outbound, FIXTURE_PEER));
    assert_next_id(f, 1);
}

static void test_outbound_send_message_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &publisher_conn);
    uint32_t handle = fixture_publisher(f, s)->handle;
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, handle));
    assert_true(outbound_is_blocked(&f->router.outbound, FIXTURE_PEER));
    assert_false(outbound_is_blocked(&f->router.outbound, FIXTURE_OTHER));
    assert_int_equal(fixture_stat(f, STAT_ring_full), 1);
    assert_int_equal(publisher_conn.conn.holds, 1);
    retry(f);
    assert_int_equal(told.count, 0);
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    assert_false(outbound_is_blocked(&f->router.outbound, FIXTURE_PEER));
    assert_int_equal(told.count, 1);
    assert_int_equal(told.publisher, handle);
    assert_int_equal(told.message_id, 1);
    assert_int_equal(told.holds, 1); /* goes on only after */
    assert_int_equal(publisher_conn.conn.holds, 0);
    retry(f);
    assert_int_equal(told.count, 1);
    assert_next_id(f, 1);
    fixture_end(f, s);
}

static void test_outbound_send_message_keeps_order(void **state)
{
    struct fixture *f = *state;
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, 0));
    fixture_drain(f, FIXTURE_PEER);
    assert_false(send_small(f, 2, 0)); /* though there is room */
    retry(f);
    assert_true(send_small(f, 3, 0));
    for (uint64_t id = 1; id <= 3; id++)
        assert_next_id(f, id);
}

static void test_outbound_send_message_holds_its_publisher_till_the_last(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &publisher_conn);
    struct publisher *p = fixture_publisher(f, s);
    fixture_fill(f, FIXTURE_PEER);
    fixture_fill(f, FIXTURE_OTHER);
    struct record_message record = record_of(1, bytes_of("payload"));
    struct outbound_message with = {.publisher = p->handle};
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_PEER, &record, &with));
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_OTHER, &record, &with));
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    assert_int_equal(publisher_conn.conn.holds, 1);
    fixture_drain(f, FIXTURE_OTHER);
    retry(f);
    assert_int_equal(publisher_conn.conn.holds, 0);
    fixture_end(f, s);
}

static void test_outbound_send_message_outlives_its_publisher(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "p", &publisher_conn);
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, fixture_publisher(f, s)->handle));
    fixture_end(f, s);
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    assert_next_id(f, 1);
}

/* What waits owns all that it needs. */
static void test_outbound_send_message_copies(void **state)
{
    struct fixture *f = *state;
    uint8_t groups[2 * sizeof(struct hash128)];
    char topic[] = "topic";
    char payload[] = "payload";
    memset(groups, 0xA5, sizeof(groups));
    struct record_message record = record_of(1, bytes_of(payload));
    record.topic = bytes_of(topic);
    record.groups = (struct bytes){groups, sizeof(groups)};
    record.retain = true;
    record.expiry_at_ms = 99;
    struct outbound_message with = {.message = NULL};
    fixture_fill(f, FIXTURE_PEER);
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_PEER, &record, &with));
    memset(groups, 0, sizeof(groups));
    memset(topic, 'x', strlen(topic));
    memset(payload, 'x', strlen(payload));
    fixture_drain(f, FIXTURE_PEER);
    retry(f);
    struct record_message message;
    assert_true(fixture_next_message(f, FIXTURE_PEER, &message));
    assert_bytes(message.topic, "topic");
    assert_bytes(message.payload, "payload");
    assert_int_equal(message.groups.size, sizeof(groups));
    assert_int_equal(message.groups.data[0], 0xA5);
    assert_int_equal(message.expiry_at_ms, 99);
    assert_true(message.retain && message.plain);
}

static void test_outbound_send_message_shares_the_copy(void **state)
{
    struct fixture *f = *state;
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of("payload"));
    struct record_message record = record_of(1, message_payload(m));
    struct outbound_message with = {.message = m};
    fixture_fill(f, FIXTURE_PEER);
    fixture_fill(f, FIXTURE_OTHER);
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_PEER, &record, &with));
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_OTHER, &record, &with));
    assert_int_equal(m->references, 3);
    fixture_drain(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_OTHER);
    retry(f);
    assert_int_equal(m->references, 1);
    message_put(m);
}

/* A message of several rings, through a consumer that takes a record at a time;
 * a HOLD passes between its fragments, a message waits behind it. */
static void test_outbound_retry_goes_on_with_fragments(void **state)
{
    enum { SIZE = 300000 };
    struct fixture *f = *state;
    uint8_t *payload = malloc(SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        payload[i] = (uint8_t)(i * 7 >> 3);
    struct record_message record = record_of(1, (struct bytes){payload, SIZE});
    struct outbound_message with = {.then = then};
    struct record_message message;
    struct ring_record taken;
    unsigned hold_count = 0;
    assert_false(outbound_send_message(&f->router.outbound, FIXTURE_PEER, &record, &with));
    assert_false(send_small(f, 2, 0));
    enum record_progress progress = RECORD_PARTIAL;
    for (unsigned turn = 0; progress != RECORD_WHOLE && turn < 1000; turn++) {
        assert_true(fixture_next(f, FIXTURE_PEER, &taken));
        if (taken.kind == RECORD_HOLD)
            hold_count++;
        else
            progress = record_get_message(&f->assemblies[FIXTURE_PEER], &taken, SIZE * 2, &message);
        assert_int_not_equal(progress, RECORD_BROKEN);
        if (progress != RECORD_WHOLE)
            fixture_settle(f, FIXTURE_PEER);
        if (turn == 3)
            assert_true(record_put_hold(&f->router.mesh, FIXTURE_PEER, true, 9));
        retry(f);
    }
    assert_int_equal(progress, RECORD_WHOLE);
    assert_int_equal(hold_count, 1);
    assert_int_equal(message.payload.size, SIZE);
    assert_memory_equal(message.payload.data, payload, SIZE);
    fixture_settle(f, FIXTURE_PEER);
    retry(f);
    assert_int_equal(told.count, 2);
    assert_next_id(f, 2);
    free(payload);
}

/* -- other things that wait -- */

struct thing {
    struct outbound_item item;
    unsigned done_count;
};

static bool put_thing(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    (void)item;
    return record_put_will_clear(mesh, peer, bytes_of("thing"));
}

static void thing_done(struct outbound_item *item, void *owner)
{
    (void)owner;
    list_owner(item, struct thing, item)->done_count++;
}

static struct thing new_thing(void)
{
    return (struct thing){.item = {.put = put_thing, .done = thing_done}};
}

static void test_outbound_send_puts_at_once(void **state)
{
    struct fixture *f = *state;
    struct thing thing = new_thing();
    outbound_send(&f->router.outbound, FIXTURE_PEER, &thing.item);
    assert_int_equal(thing.done_count, 1);
    assert_int_equal(fixture_drain(f, FIXTURE_PEER), 1);
}

static void test_outbound_send_waits_behind_messages(void **state)
{
    struct fixture *f = *state;
    struct thing thing = new_thing();
    struct ring_record record;
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, 0));
    fixture_drain(f, FIXTURE_PEER);
    outbound_send(&f->router.outbound, FIXTURE_PEER, &thing.item);
    assert_int_equal(thing.done_count, 0);
    retry(f);
    assert_int_equal(thing.done_count, 1);
    assert_true(fixture_next(f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, RECORD_MESSAGE);
    assert_true(fixture_next(f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, RECORD_WILL_CLEAR);
}

static void test_outbound_done_frees_what_waits(void **state)
{
    struct fixture *f = *state;
    struct thing thing = new_thing();
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, 0));
    outbound_send(&f->router.outbound, FIXTURE_PEER, &thing.item);
    outbound_done(&f->router.outbound);
    assert_int_equal(thing.done_count, 1);
    assert_int_equal(told.count, 0);
}

/* A process that waits for room sleeps, and its consumer wakes it. */
static void test_outbound_retry_asks_for_the_bell(void **state)
{
    struct fixture *f = *state;
    uint64_t rung = 0;
    fixture_fill(f, FIXTURE_PEER);
    fixture_drain(f, FIXTURE_PEER); /* answers what was asked so far */
    fixture_fill(f, FIXTURE_PEER);
    assert_false(send_small(f, 1, 0));
    assert_false(outbound_retry(&f->router.outbound));
    bell_sleep(&f->router.mesh.bells[FIXTURE_SELF]);
    fixture_drain(f, FIXTURE_PEER);
    assert_int_equal(read(f->bell_fds[FIXTURE_SELF], &rung, sizeof(rung)), sizeof(rung));
}

#define OUTBOUND_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTBOUND_TEST(test_outbound_send_message_goes_at_once),
        OUTBOUND_TEST(test_outbound_send_message_waits_for_room),
        OUTBOUND_TEST(test_outbound_send_message_keeps_order),
        OUTBOUND_TEST(test_outbound_send_message_holds_its_publisher_till_the_last),
        OUTBOUND_TEST(test_outbound_send_message_outlives_its_publisher),
        OUTBOUND_TEST(test_outbound_send_message_copies),
        OUTBOUND_TEST(test_outbound_send_message_shares_the_copy),
        OUTBOUND_TEST(test_outbound_retry_goes_on_with_fragments),
        OUTBOUND_TEST(test_outbound_send_puts_at_once),
        OUTBOUND_TEST(test_outbound_send_waits_behind_messages),
        OUTBOUND_TEST(test_outbound_done_frees_what_waits),
        OUTBOUND_TEST(test_outbound_retry_asks_for_the_bell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
