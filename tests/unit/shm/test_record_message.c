#include "tests/unit/shm/record_fixture.h"

#include <string.h>

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
    assert_int_equal(a->repeat, b->repeat);
    assert_int_equal(a->dup, b->dup);
    assert_int_equal(a->plain, b->plain);
    assert_int_equal(a->hops, b->hops);
    assert_int_equal(a->origin, b->origin);
    record_fixture_assert_bytes(a->topic, b->topic);
    record_fixture_assert_bytes(a->properties, b->properties);
    record_fixture_assert_bytes(a->client_id, b->client_id);
    record_fixture_assert_bytes(a->groups, b->groups);
    record_fixture_assert_bytes(a->payload, b->payload);
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
        .repeat = true,
        .dup = true,
        .hops = 255,
        .origin = MESH_PEERS_MAX - 1,
        .topic = bytes_of("a/b"),
        .properties = bytes_of("properties"),
        .client_id = bytes_of("me"),
        .groups = bytes_of("0123456789abcdef0123456789ABCDEF"),
        .payload = bytes_of("hello"),
    };
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

static void assert_comes_whole(struct record_fixture *w, const struct record_message *message)
{
    struct record_sender sender = {0};
    struct record_assembly assembly = {0};
    struct record_message got;
    struct ring_record record;

    assert_true(record_put_message(&w->from, 1, message, &sender));
    record = record_fixture_take(w);
    assert_int_equal(record_get_message(&assembly, &record, 0, &got), RECORD_WHOLE);
    assert_message(&got, message);
    assert_null(assembly.memory);
    mesh_release(&w->to, 0);
}

static void test_record_put_message_small_is_borrowed(void **state)
{
    struct record_message message = full_message();

    assert_comes_whole(*state, &message);
    message = record_fixture_small();
    assert_comes_whole(*state, &message);
}

/* Sends all of `message` while taking it: the last progress. Ring space is given
 * back after every `batch` records. */
static enum record_progress carry(struct record_fixture *w, const struct record_message *message,
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
    struct record_fixture *w = *state;
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
    struct record_message message = record_fixture_small();
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
static void begin_large(struct record_fixture *w, struct record_assembly *assembly,
                        struct record_sender *sender)
{
    struct record_message message = record_fixture_small();
    struct record_message got;
    uint8_t *payload = make_payload(100000);

    message.payload = (struct bytes){payload, 100000};
    assert_false(record_put_message(&w->from, 1, &message, sender));
    for (unsigned i = 0; i < 2; i++) {
        struct ring_record record = record_fixture_take(w);

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
    struct record_fixture *w = *state;
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
    struct record_fixture *w = *state;
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
    struct record_fixture *w = *state;
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};
    struct record_message got;
    struct ring_record record;

    begin_large(w, &assembly, &sender);
    record_fixture_take(w);
    while (ring_next(&w->to.in[0], &record))
        assert_int_equal(record_get_message(&assembly, &record, SIZE_MAX, &got), RECORD_PARTIAL);
    assert_null(assembly.memory);
}

static void test_record_get_message_over_memory_max(void **state)
{
    struct record_fixture *w = *state;
    struct record_assembly assembly = {0};
    struct record_sender sender = {0};
    struct record_message message = record_fixture_small();
    struct record_message got;
    struct ring_record record;
    uint8_t *payload = make_payload(20000);

    message.payload = (struct bytes){payload, 20000};
    record_put_message(&w->from, 1, &message, &sender);
    record = record_fixture_take(w);
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
    {16, 255},           /* payload size */
    {19, 255},           /* payload size, the high end */
    {20, 1},             /* properties size */
    {36, 0},             /* topic size */
    {36, 255}, {40, 15}, /* groups: no whole number of hashes */
    {41, 255},           /* groups: too many */
    {42, 0},             /* purpose */
    {42, 5},   {43, 3},  /* QoS */
    {44, 16},            /* flags */
};

static void test_record_get_message_spoilt_head(void **state)
{
    struct record_fixture *w = *state;
    struct record_sender sender = {0};
    struct record_message message = full_message();
    struct ring_record record;
    uint8_t copy[512];

    record_put_message(&w->from, 1, &message, &sender);
    record = record_fixture_take(w);
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
    struct record_fixture *w = *state;
    struct record_sender sender = {0};
    struct record_message message = full_message();
    struct ring_record record;

    record_put_message(&w->from, 1, &message, &sender);
    record = record_fixture_take(w);
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

static void put_will_without_client(void *context)
{
    struct record_fixture *w = context;
    struct record_message message = full_message();
    struct record_sender sender = {0};

    message.client_id.size = 0;
    record_put_message(&w->from, 1, &message, &sender);
}

static void test_record_put_message_checks_will(void **state)
{
    assert_int_equal(fixture_signal_of(put_will_without_client, *state), SIGABRT);
}

#define WITH_PEERS(test) \
    cmocka_unit_test_setup_teardown(test, record_fixture_open, record_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PEERS(test_record_put_message_small_is_borrowed),
        WITH_PEERS(test_record_put_message_in_fragments),
        WITH_PEERS(test_record_put_message_all_pieces_in_fragments),
        WITH_PEERS(test_record_get_message_largest_payload),
        WITH_PEERS(test_record_get_message_memory_follows_bytes),
        WITH_PEERS(test_record_get_message_after_producer_died),
        WITH_PEERS(test_record_get_message_after_consumer_died),
        WITH_PEERS(test_record_get_message_with_gap_is_lost),
        WITH_PEERS(test_record_get_message_over_memory_max),
        WITH_PEERS(test_record_get_message_spoilt_head),
        WITH_PEERS(test_record_get_message_every_truncation),
        WITH_PEERS(test_record_get_message_quarantined_is_broken),
        WITH_PEERS(test_record_put_message_checks_will),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
