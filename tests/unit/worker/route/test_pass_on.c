/* Messages that came for a group without a member here, through the ring of PEER, and
 * go on to OTHER. */
#include "worker/route/pass_on.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/route/inbox.h"

#include <string.h>

static const struct inbox_events NO_EVENTS;
static struct inbox inbox;
static struct hash128 group;

static struct fixture *begin(void **state)
{
    struct fixture *f = *state;
    inbox_init(&inbox, &f->router, &NO_EVENTS, NULL);
    group = fixture_want_group(f, "$share/g/t", FIXTURE_OTHER, 1);
    return f;
}

static struct mesh *peer(struct fixture *f)
{
    return &f->ends[FIXTURE_PEER];
}

/* PEER sends; for the group, or, without, to nobody. False when its ring is full. */
static bool post(struct fixture *f, uint64_t id, bool to_group)
{
    struct record_sender sender = {0};
    struct record_message message = {
        .purpose = RECORD_FOR_DELIVERY,
        .message_id = id,
        .qos = QOS_AT_LEAST_ONCE,
        .plain = !to_group,
        .origin = FIXTURE_PEER,
        .publisher = 77,
        .topic = bytes_of("t"),
        .payload = bytes_of("payload"),
    };
    if (to_group)
        message.groups = (struct bytes){group.bytes, sizeof(group)};
    bool is_in = record_put_message(peer(f), FIXTURE_SELF, &message, &sender);
    mesh_publish(peer(f));
    return is_in;
}

static bool is_settled(struct fixture *f, uint32_t position)
{
    return ring_has_settled(&peer(f)->out[FIXTURE_SELF], position);
}

static uint32_t position(struct fixture *f)
{
    return ring_position(&peer(f)->out[FIXTURE_SELF]);
}

/* Without the router's publishing at the end of a turn. */
static bool is_visible_to_other(struct fixture *f)
{
    return ring_has_next(&f->ends[FIXTURE_OTHER].in[FIXTURE_SELF]);
}

static void make_room(struct fixture *f)
{
    (void)fixture_drain(f, FIXTURE_OTHER);
    (void)outbound_retry(&f->router.outbound);
}

static void test_pass_on_message_is_visible_before_it_is_settled(void **state)
{
    struct fixture *f = begin(state);
    assert_true(post(f, 1, true));
    (void)inbox_take(&inbox);
    assert_true(is_visible_to_other(f));
    assert_true(is_settled(f, position(f)));
}

static void test_pass_on_message_unsettled_while_it_waits(void **state)
{
    struct fixture *f = begin(state);
    struct record_message message;
    fixture_fill(f, FIXTURE_OTHER);
    assert_true(post(f, 1, false));
    (void)inbox_take(&inbox);
    uint32_t before = position(f);
    assert_true(post(f, 2, true));
    assert_true(post(f, 3, true));
    (void)inbox_take(&inbox);
    assert_true(post(f, 4, false));
    (void)inbox_take(&inbox);
    assert_true(is_settled(f, before));
    assert_false(is_settled(f, before + 1));
    make_room(f);
    assert_true(is_visible_to_other(f));
    assert_true(is_settled(f, position(f)));
    for (uint64_t id = 2; id <= 3; id++) {
        assert_true(fixture_next_message(f, FIXTURE_OTHER, &message));
        assert_int_equal(message.message_id, id);
    }
}

/* What a successor would read again begins with the record of what waits. */
static void test_pass_on_message_is_read_again_when_it_waited(void **state)
{
    struct fixture *f = begin(state);
    struct ring successor;
    struct ring_record record;
    struct record_message message;
    struct record_assembly assembly = {0};
    fixture_fill(f, FIXTURE_OTHER);
    assert_true(post(f, 1, false));
    (void)inbox_take(&inbox);
    assert_true(post(f, 2, true));
    (void)inbox_take(&inbox);
    ring_open_consumer(&successor, region_ring(&f->region, FIXTURE_PEER, FIXTURE_SELF),
                       f->region.header->ring_size);
    assert_true(ring_next(&successor, &record));
    assert_int_equal(record_get_message(&assembly, &record, 1000, &message), RECORD_WHOLE);
    assert_int_equal(message.message_id, 2);
}

/* Nothing else would slow it down while its messages pile up here. */
static void test_pass_on_message_pauses_its_publisher_when_it_waits(void **state)
{
    struct fixture *f = begin(state);
    struct ring_record record;
    uint32_t publisher;
    fixture_fill(f, FIXTURE_OTHER);
    assert_true(post(f, 1, true));
    (void)inbox_take(&inbox);
    assert_true(fixture_next(f, FIXTURE_PEER, &record));
    assert_int_equal(record.kind, RECORD_HOLD);
    assert_true(record_get_hold(&record, &publisher));
    assert_int_equal(publisher, 77);
}

/* A death while something waits is not the fault of the record that came last. */
static void test_pass_on_settle_puts_the_last_record_down(void **state)
{
    struct fixture *f = begin(state);
    struct layout_ring *shared = region_ring(&f->region, FIXTURE_PEER, FIXTURE_SELF);
    struct ring successor;
    struct ring_record record;
    assert_true(post(f, 1, true));
    assert_true(ring_next(&f->router.mesh.in[FIXTURE_PEER], &record));
    f->router.passing[FIXTURE_PEER].waiting = 1;
    pass_on_settle(&f->router, FIXTURE_PEER, 0);
    ring_open_consumer(&successor, shared, f->region.header->ring_size);
    assert_int_equal(shared->suspect_deaths, 0);
    assert_true(ring_next(&successor, &record)); /* but it is read again */
}

/* However much comes meanwhile: two that wait for each other must get on. */
static void test_pass_on_settle_gives_room_back_in_the_end(void **state)
{
    struct fixture *f = begin(state);
    uint32_t size = f->region.header->ring_size;
    fixture_fill(f, FIXTURE_OTHER);
    assert_true(post(f, 1, true));
    uint32_t first = position(f);
    (void)inbox_take(&inbox);
    for (uint64_t id = 2; position(f) - first < size * 3; id++) {
        assert_true(post(f, id, false));
        (void)inbox_take(&inbox);
    }
    assert_false(is_settled(f, first));
    make_room(f);
    assert_true(is_settled(f, position(f)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_pass_on_message_is_visible_before_it_is_settled),
        FIXTURE_TEST_LIVE(test_pass_on_message_unsettled_while_it_waits),
        FIXTURE_TEST_LIVE(test_pass_on_message_is_read_again_when_it_waited),
        FIXTURE_TEST_LIVE(test_pass_on_message_pauses_its_publisher_when_it_waits),
        FIXTURE_TEST_LIVE(test_pass_on_settle_puts_the_last_record_down),
        FIXTURE_TEST_LIVE(test_pass_on_settle_gives_room_back_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
