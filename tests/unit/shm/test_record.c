#include "shm/record.h"

#include "tests/unit/shm/shm_fixture.h"

#include <string.h>

/* Worker 0 sends, worker 1 takes. */
struct world {
    struct fixture fixture;
    struct mesh from;
    struct mesh to;
};

static int set_up(void **state)
{
    struct world *w = malloc(sizeof *w);

    if (w == NULL)
        return -1;
    fixture_open(&w->fixture);
    mesh_open(&w->from, &w->fixture.region, 0, w->fixture.bell_fds);
    mesh_open(&w->to, &w->fixture.region, 1, w->fixture.bell_fds);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    fixture_close(&w->fixture);
    free(w);
    return 0;
}

static struct ring_record take(struct world *w)
{
    struct ring_record record;

    mesh_publish(&w->from);
    assert_true(ring_next(&w->to.in[0], &record));
    return record;
}

static void assert_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

static void assert_message(const struct record_message *a, const struct record_message *b)
{
    assert_int_equal(a->purpose, b->purpose);
    assert_true(a->message_id == b->message_id);
    assert_true(a->expiry_at_ms == b->expiry_at_ms);
    assert_int_equal(a->publisher, b->publisher);
    assert_int_equal(a->will_delay_s, b->will_delay_s);
    assert_int_equal(a->session_expiry_s, b->session_expiry_s);
    assert_int_equal(a->qos, b->qos);
    assert_int_equal(a->retain, b->retain);
    assert_int_equal(a->plain, b->plain);
    assert_int_equal(a->hops, b->hops);
    assert_bytes(a->topic, b->topic);
    assert_bytes(a->properties, b->properties);
    assert_bytes(a->client_id, b->client_id);
    assert_bytes(a->groups, b->groups);
    assert_bytes(a->payload, b->payload);
}

enum { BODY_SIZE = 52 }; /* of the next message */

static struct record_message full_message(void)
{
    return (struct record_message){
        .purpose = RECORD_FOR_WILL,
        .message_id = 0x0102030405060708,
        .expiry_at_ms = UINT64_MAX,
        .publisher = 0xFFFFFFFF,
        .will_delay_s = 17,
        .session_expiry_s = 0xFFFFFFFF,
        .qos = 2,
        .retain = true,
        .plain = true,
        .hops = 255,
        .topic = bytes_of("a/b"),
        .properties = bytes_of("properties"),
        .client_id = bytes_of("me"),
        .groups = bytes_of("0123456789abcdef0123456789ABCDEF"),
        .payload = bytes_of("hello"),
    };
}

static struct record_message small_message(void)
{
    return (struct record_message){
        .purpose = RECORD_FOR_DELIVERY, .message_id = 1, .plain = true, .topic = bytes_of("t")};
}

/* `size` bytes with a pattern; the caller frees. */
static uint8_t *make_payload(size_t size)
{
    uint8_t *payload = malloc(size);

    assert_non_null(payload);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
    return payload;
}

static void assert_comes_whole(struct world *w, const struct record_message *message)
{
    struct record_sender sender = {0};
    struct record_assembly assembly = {0};
    struct record_message got;
    struct ring_record record;

    assert_true(record_put_message(&w->from, 1, message, &sender));
    record = take(w);
    assert_int_equal(record_get_message(&assembly, &record, 0, &got), RECORD_WHOLE);
    assert_message(&got, message);
    assert_null(assembly.memory);
    mesh_release(&w->to, 0);
}

static void test_record_put_message_small_is_borrowed(void **state)
{
    struct record_message message = full_message();

    assert_comes_whole(*state, &message);
    message = small_message();
    assert_comes_whole(*state, &message);
}

/* Sends all of `message` while taking it: the last progress. Ring space is given
 * back after every `batch` records. */
static enum record_progress carry(struct world *w, const struct record_message *message,
                                  struct record_assembly *assembly, unsigned batch,
                                  struct record_message *ret_got)
{
    struct record_sender sender = {0};
    enum record_progress progress = RECORD_PARTIAL;
    struct ring_record record;
    bool sent = false;

    while (progress == RECORD_PARTIAL) {
        sent = sent || record_put_message(&w->from, 1, message, &sender);
        mesh_publish(&w->from);
        for (unsigned i = 0; i < batch && progress == RECORD_PARTIAL; i++) {
            if (!ring_next(&w->to.in[0], &record))
                break;
            progress = record_get_message(assembly, &record, SIZE_MAX, ret_got);
        }
        mesh_release(&w->to, 0);
    }
    assert_true(sent);
    return progress;
}

static void test_record_put_message_in_fragments(void **state)
{
    struct world *w = *state;
    /* Around one record, around the ring, and more. */
    const size_t sizes[] = {8130, 8140, 8141, 8142, 8143, 8144, 8145, 8192, 65536, 3000000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct record_message message = full_message();
        struct record_assembly assembly = {0};
        struct record_message got;
        uint8_t *payload = make_payload(sizes[i]);

        message.payload = (struct bytes){payload, sizes[i]};
        assert_int_equal(carry(w, &message, &assembly, 1 + i % 4, &got), RECORD_WHOLE);
        assert_message(&got, &message);
        record_assembly_done(&assembly);
        assert_null(assembly.memory);
        free(payload);
    }
}

static void test_record_put_message_all_pieces_in_fragments(void **state)
{
    struct record_message message = full_message();
    struct record_assembly assembly = {0};
    struct record_message got;
    uint8_t *bytes = make_payload(200000);

    message.topic = (struct bytes){bytes, 65535};
    message.client_id = (struct bytes){bytes + 1, 65535};
    message.properties = (struct bytes){bytes + 2, 100000};
    message.groups = (struct bytes){bytes + 3, RECORD_GROUPS_MAX * sizeof(struct hash128)};
    message.payload = (struct bytes){bytes + 4, 150000};
    assert_int_equal(carry(*state, &message, &assembly, 3, &got), RECORD_WHOLE);
    assert_message(&got, &message);
    record_assembly_done(&assembly);
    free(bytes);
}

static void test_record_get_message_largest_payload(void **state)
{
    const size_t size = 268435455;
    struct record_message message = small_message();
    struct record_assembly assembly = {0};
    struct record_message got;
    uint8_t *payload = calloc(1, size);

    assert_non_null(payload);
    payload[size - 1] = 'z';
    message.payload = (struct bytes){payload, size};
    assert_int_equal(carry(*state, &message, &assembly, 8, &got), RECORD_WHOLE);
    assert_int_equal(got.payload.size, size);
    assert_int_equal(got.payload.data[size - 1], 'z');
    record_assembly_done(&assembly);
    free(payload);
}

/* Starts a message of 100000 bytes and takes the first two of its records. */
static void begin_large(struct world *w, struct record_assembly *assembly,
                        struct record_sender *sender)
{
    struct record_message message = small_message();
    struct record_message got;
    uint8_t *payload = make_payload(100000);

    message.payload = (struct bytes){payload, 100000};
    assert_false(record_put_message(&w->from, 1, &message, sender));
    for (unsigned i = 0; i < 2; i++) {
        struct ring_record record = take(w);

        assert_int_equal(record_get_message(assembly, &record, SIZE_MAX, &got), RECORD_PARTIAL);
    }
    mesh_release(&w->to, 0);
    free(payload);
}

static void test_record_get_message_memory_follows_bytes(void **state)
{
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};

    begin_large(*state, &assembly, &sender);
    assert_true(assembly.size <= 2 * assembly.filled);
    assert_true(assembly.size < 50000);
    record_assembly_done(&assembly);
}

/* The producer died in the middle; the next one starts with a new message. */
static void test_record_get_message_after_producer_died(void **state)
{
    struct world *w = *state;
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};
    struct record_message message = full_message();
    struct record_message got;
    uint8_t *payload = make_payload(90000);

    begin_large(w, &assembly, &sender);
    mesh_open(&w->from, &w->fixture.region, 0, w->fixture.bell_fds);
    message.payload = (struct bytes){payload, 90000};
    assert_int_equal(carry(w, &message, &assembly, 2, &got), RECORD_WHOLE);
    assert_message(&got, &message);
    record_assembly_done(&assembly);
    free(payload);
}

/* The consumer died in the middle; the next one has lost the beginning. */
static void test_record_get_message_after_consumer_died(void **state)
{
    struct world *w = *state;
    struct record_assembly assembly = {0};
    struct record_assembly fresh = {0};
    struct record_sender sender = {0};
    struct record_message got;
    struct ring_record record;

    begin_large(w, &assembly, &sender);
    record_assembly_done(&assembly);
    mesh_open(&w->to, &w->fixture.region, 1, w->fixture.bell_fds);
    while (ring_next(&w->to.in[0], &record))
        assert_int_equal(record_get_message(&fresh, &record, SIZE_MAX, &got), RECORD_PARTIAL);
    assert_null(fresh.memory);
}

/* A fragment in the middle is missing (it was set aside). */
static void test_record_get_message_with_gap_is_lost(void **state)
{
    struct world *w = *state;
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};
    struct record_message got;
    struct ring_record record;

    begin_large(w, &assembly, &sender);
    take(w);
    while (ring_next(&w->to.in[0], &record))
        assert_int_equal(record_get_message(&assembly, &record, SIZE_MAX, &got), RECORD_PARTIAL);
    assert_null(assembly.memory);
}

static void test_record_get_message_over_memory_max(void **state)
{
    struct world *w = *state;
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};
    struct record_message message = small_message();
    struct record_message got;
    struct ring_record record;
    uint8_t *payload = make_payload(20000);

    message.payload = (struct bytes){payload, 20000};
    record_put_message(&w->from, 1, &message, &sender);
    record = take(w);
    assert_int_equal(record_get_message(&assembly, &record, 20000, &got), RECORD_BROKEN);
    assert_int_equal(record_get_message(&assembly, &record, 20001, &got), RECORD_PARTIAL);
    record_assembly_done(&assembly);
    free(payload);
}

/* Each change of one byte of a good head, and what must come of it. */
static const struct {
    size_t offset;
    uint8_t value;
} spoilt[] = {
    {16, 255}, /* payload size */
    {19, 255}, /* payload size, the high end */
    {20, 1},   /* properties size */
    {36, 0},   /* topic size */
    {36, 255},
    {40, 15},  /* groups: no whole number of hashes */
    {41, 255}, /* groups: too many */
    {42, 0},   /* purpose */
    {42, 4},
    {43, 3},   /* QoS */
    {44, 4},   /* flags */
};

static void test_record_get_message_spoilt_head(void **state)
{
    struct world *w = *state;
    struct record_sender sender = {0};
    struct record_message message = full_message();
    struct ring_record record;
    uint8_t copy[512];

    record_put_message(&w->from, 1, &message, &sender);
    record = take(w);
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct record_assembly assembly = {0};
        struct ring_record bad = {.data = copy, .size = record.size, .kind = record.kind};
        struct record_message got;

        memcpy(copy, record.data, record.size);
        copy[spoilt[i].offset] = spoilt[i].value;
        assert_int_equal(record_get_message(&assembly, &bad, BODY_SIZE, &got), RECORD_BROKEN);
        assert_null(assembly.memory);
    }
}

static void test_record_get_message_every_truncation(void **state)
{
    struct world *w = *state;
    struct record_sender sender = {0};
    struct record_message message = full_message();
    struct ring_record record;

    record_put_message(&w->from, 1, &message, &sender);
    record = take(w);
    for (uint32_t size = 0; size < record.size; size++) {
        struct record_assembly assembly = {0};
        struct ring_record cut = {.data = record.data, .size = size, .kind = record.kind};
        struct record_message got;

        assert_int_equal(record_get_message(&assembly, &cut, SIZE_MAX, &got),
                         size <= 48 ? RECORD_BROKEN : RECORD_PARTIAL);
        record_assembly_done(&assembly);
    }
}

static void test_record_get_message_quarantined_is_broken(void **state)
{
    struct record_assembly assembly = {0};
    struct ring_record record = {.kind = RECORD_MESSAGE, .quarantined = true};
    struct record_message got;

    (void)state;
    assert_int_equal(record_get_message(&assembly, &record, 100, &got), RECORD_BROKEN);
    record.kind = RECORD_HOLD;
    assert_int_equal(record_get_message(&assembly, &record, 100, &got), RECORD_BROKEN);
}

static void test_record_hold(void **state)
{
    struct world *w = *state;
    struct ring_record record;
    uint32_t publisher = 0;

    assert_true(record_put_hold(&w->from, 1, true, 77));
    assert_true(record_put_hold(&w->from, 1, false, UINT32_MAX));
    record = take(w);
    assert_int_equal(record.kind, RECORD_HOLD);
    assert_true(record_get_hold(&record, &publisher));
    assert_int_equal(publisher, 77);
    record = take(w);
    assert_int_equal(record.kind, RECORD_UNHOLD);
    assert_true(record_get_hold(&record, &publisher));
    assert_int_equal(publisher, UINT32_MAX);
}

static void test_record_hold_number_too_large(void **state)
{
    struct ring_record record = {
        .data = (const uint8_t *)"\0\0\0\1\0\0\0\0", .size = 8, .kind = RECORD_HOLD};
    uint32_t publisher;

    (void)state;
    assert_false(record_get_hold(&record, &publisher));
}

static void test_record_reset_and_confirm(void **state)
{
    struct world *w = *state;
    struct ring_record record;
    uint64_t serial = 0;

    assert_true(record_put_reset(&w->from, 1, 3));
    assert_true(record_put_confirm(&w->from, 1, UINT64_MAX));
    record = take(w);
    assert_false(record_get_confirm(&record, &serial));
    assert_true(record_get_reset(&record, &serial));
    assert_true(serial == 3);
    record = take(w);
    assert_false(record_get_reset(&record, &serial));
    assert_true(record_get_confirm(&record, &serial));
    assert_true(serial == UINT64_MAX);
}

static void test_record_filter(void **state)
{
    struct world *w = *state;

    for (unsigned bits = 0; bits < 4; bits++) {
        struct record_filter filter = {.serial = 9 + bits,
                                       .any = (bits & 1) != 0,
                                       .persistent = (bits & 2) != 0,
                                       .filter = bytes_of("a/+/#")};
        struct record_filter got;
        struct ring_record record;

        assert_true(record_put_filter(&w->from, 1, &filter));
        record = take(w);
        assert_true(record_get_filter(&record, &got));
        assert_true(got.serial == filter.serial);
        assert_int_equal(got.any, filter.any);
        assert_int_equal(got.persistent, filter.persistent);
        assert_bytes(got.filter, filter.filter);
    }
}

static void test_record_filter_unknown_flag(void **state)
{
    struct ring_record record = {
        .data = (const uint8_t *)"\0\0\0\0\0\0\0\1\4a", .size = 10, .kind = RECORD_FILTER};
    struct record_filter got;

    (void)state;
    assert_false(record_get_filter(&record, &got));
}

static void test_record_group(void **state)
{
    struct world *w = *state;
    struct record_group group = {.serial = 1, .online = 2, .offline = UINT32_MAX,
                                 .filter = bytes_of("x")};
    struct record_group got;
    struct ring_record record;

    memset(&group.id, 0xA5, sizeof group.id);
    assert_true(record_put_group(&w->from, 1, &group));
    record = take(w);
    assert_true(record_get_group(&record, &got));
    assert_true(got.serial == 1 && got.online == 2 && got.offline == UINT32_MAX);
    assert_memory_equal(&got.id, &group.id, sizeof group.id);
    assert_bytes(got.filter, group.filter);
}

static void test_record_will_clear(void **state)
{
    struct world *w = *state;
    struct ring_record record;
    struct bytes client_id;

    assert_true(record_put_will_clear(&w->from, 1, bytes_of("client")));
    record = take(w);
    assert_true(record_get_will_clear(&record, &client_id));
    assert_bytes(client_id, bytes_of("client"));
}

static void test_record_refuse(void **state)
{
    struct world *w = *state;
    struct ring_record record;
    uint64_t serial;
    enum mqtt_reason reason;

    assert_true(record_put_refuse(&w->from, 1, 5, (enum mqtt_reason)0x97));
    assert_true(record_put_refuse(&w->from, 1, 6, (enum mqtt_reason)0));
    record = take(w);
    assert_true(record_get_refuse(&record, &serial, &reason));
    assert_true(serial == 5);
    assert_int_equal(reason, 0x97);
    record = take(w);
    assert_false(record_get_refuse(&record, &serial, &reason)); /* success refuses nothing */
}

/* Every small record fails in every shorter form. */
static bool get_any(const struct ring_record *record)
{
    struct record_filter filter;
    struct record_group group;
    enum mqtt_reason reason;
    struct bytes name;
    uint32_t publisher;
    uint64_t serial;

    return record_get_hold(record, &publisher) || record_get_reset(record, &serial) ||
           record_get_confirm(record, &serial) || record_get_filter(record, &filter) ||
           record_get_group(record, &group) || record_get_will_clear(record, &name) ||
           record_get_refuse(record, &serial, &reason);
}

static void test_record_get_every_truncation(void **state)
{
    struct world *w = *state;
    struct record_filter filter = {.serial = 1, .any = true, .filter = bytes_of("f")};
    struct record_group group = {.serial = 1, .online = 2, .filter = bytes_of("f")};
    struct ring_record record;

    record_put_hold(&w->from, 1, true, 1);
    record_put_reset(&w->from, 1, 1);
    record_put_filter(&w->from, 1, &filter);
    record_put_group(&w->from, 1, &group);
    record_put_will_clear(&w->from, 1, bytes_of("x"));
    record_put_confirm(&w->from, 1, 1);
    record_put_refuse(&w->from, 1, 1, (enum mqtt_reason)0x80);
    mesh_publish(&w->from);
    for (unsigned i = 0; i < 7; i++) {
        record = take(w);
        assert_true(get_any(&record));
        while (record.size-- > 0)
            assert_false(get_any(&record));
    }
}

static void test_record_put_false_when_full(void **state)
{
    struct world *w = *state;
    struct record_filter filter = {.serial = 1, .any = true, .filter = bytes_of("f")};
    struct record_group group = {.serial = 1, .online = 2, .filter = bytes_of("f")};
    struct record_message message = small_message();
    struct record_sender sender = {0};

    while (record_put_confirm(&w->from, 1, 1))
        continue;
    assert_false(record_put_hold(&w->from, 1, true, 1));
    assert_false(record_put_filter(&w->from, 1, &filter));
    assert_false(record_put_group(&w->from, 1, &group));
    assert_false(record_put_will_clear(&w->from, 1, bytes_of("x")));
    assert_false(record_put_refuse(&w->from, 1, 1, (enum mqtt_reason)0x80));
    assert_false(record_put_message(&w->from, 1, &message, &sender));
    assert_false(sender.begun);
    take(w);
    mesh_release(&w->to, 0);
    assert_true(record_put_hold(&w->from, 1, true, 1));
}

static void put_will_without_client(void *context)
{
    struct world *w = context;
    struct record_message message = full_message();
    struct record_sender sender = {0};

    message.client_id.size = 0;
    record_put_message(&w->from, 1, &message, &sender);
}

static void put_too_long_filter(void *context)
{
    struct world *w = context;
    static const uint8_t name[65535];
    struct record_filter filter = {.serial = 1, .filter = {name, sizeof name}};

    record_put_filter(&w->from, 1, &filter);
}

static void test_record_put_checks(void **state)
{
    assert_int_equal(fixture_signal_of(put_will_without_client, *state), SIGABRT);
    assert_int_equal(fixture_signal_of(put_too_long_filter, *state), SIGABRT);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_record_put_message_small_is_borrowed),
        WITH_WORLD(test_record_put_message_in_fragments),
        WITH_WORLD(test_record_put_message_all_pieces_in_fragments),
        WITH_WORLD(test_record_get_message_largest_payload),
        WITH_WORLD(test_record_get_message_memory_follows_bytes),
        WITH_WORLD(test_record_get_message_after_producer_died),
        WITH_WORLD(test_record_get_message_after_consumer_died),
        WITH_WORLD(test_record_get_message_with_gap_is_lost),
        WITH_WORLD(test_record_get_message_over_memory_max),
        WITH_WORLD(test_record_get_message_spoilt_head),
        WITH_WORLD(test_record_get_message_every_truncation),
        WITH_WORLD(test_record_get_message_quarantined_is_broken),
        WITH_WORLD(test_record_hold),
        WITH_WORLD(test_record_hold_number_too_large),
        WITH_WORLD(test_record_reset_and_confirm),
        WITH_WORLD(test_record_filter),
        WITH_WORLD(test_record_filter_unknown_flag),
        WITH_WORLD(test_record_group),
        WITH_WORLD(test_record_will_clear),
        WITH_WORLD(test_record_refuse),
        WITH_WORLD(test_record_get_every_truncation),
        WITH_WORLD(test_record_put_false_when_full),
        WITH_WORLD(test_record_put_checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
