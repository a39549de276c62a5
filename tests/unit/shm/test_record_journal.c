#include "shm/record_journal.h"

#include "tests/unit/shm/record_fixture.h"

#include <string.h>

static const uint32_t some_ids[] = {7, 268435455};

/* One of each kind, with all that it carries. */
static struct record_journal sample(size_t index)
{
    const struct bytes name = bytes_of("name");
    const struct bytes ids = {(const uint8_t *)some_ids, sizeof some_ids};
    const struct record_journal samples[] = {
        {.kind = RECORD_JOURNAL_RESET, .epoch = UINT64_MAX},
        {.kind = RECORD_SESSION,
         .serial = 1,
         .session = 2,
         .seq = 9,
         .end_at_ms = 3,
         .expiry_s = 4,
         .version = 5,
         .connected = true,
         .name = name},
        {.kind = RECORD_SESSION_END, .serial = 1, .session = 2},
        {.kind = RECORD_SUBSCRIBE,
         .serial = 1,
         .session = 2,
         .subscription_id = 3,
         .options = 0x3F,
         .name = name},
        {.kind = RECORD_UNSUBSCRIBE, .serial = 1, .session = 2, .name = name},
        {.kind = RECORD_ENQUEUE,
         .serial = 1,
         .session = 2,
         .seq = 3,
         .message_id = 4,
         .packet_id = 0,
         .qos = 2,
         .retain = true,
         .released = true,
         .unsure = true,
         .repeat = true,
         .bytes = 5,
         .shared = true,
         .share = {{1, 2, 3}},
         .ids = ids},
        {.kind = RECORD_SENT, .serial = 1, .session = 2, .seq = 3, .packet_id = 65535},
        {.kind = RECORD_RELEASED, .serial = 1, .session = 2, .seq = 3},
        {.kind = RECORD_DONE, .serial = 1, .session = 2, .seq = 3},
        {.kind = RECORD_RECEIVED,
         .serial = 1,
         .session = 2,
         .packet_id = 3,
         .message_id = 4,
         .unsure = true},
        {.kind = RECORD_RECEIVE_END, .serial = 1, .session = 2, .packet_id = 3},
        {.kind = RECORD_KEEP_RETAINED, .serial = 1, .message_id = 2},
        {.kind = RECORD_KEEP_WILL, .serial = 1, .message_id = 2},
        {.kind = RECORD_FORGET_WILL, .serial = 1, .message_id = 2},
        {.kind = RECORD_HAD, .session = 2, .message_id = 3},
        {.kind = RECORD_RESTORE_BEGIN, .serial = 1, .epoch = 2, .run = 3},
        {.kind = RECORD_RESTORE_END, .epoch = 2},
        {.kind = RECORD_FETCH, .serial = 1, .session = 2, .seq = 3, .count = UINT32_MAX},
        {.kind = RECORD_QUEUED, .session = 2, .seq = 3, .count = 4, .bytes = 5, .shared = true},
        {.kind = RECORD_FETCH_END,
         .serial = 1,
         .session = 2,
         .seq = 3,
         .count = 4,
         .bytes = 5,
         .is_all = true},
        {.kind = RECORD_NOT_QUEUED, .session = 2, .seq = 3, .bytes = 4},
        {.kind = RECORD_JOURNAL_STATE, .state = RECORD_JOURNAL_FAILING},
    };

    return index < sizeof samples / sizeof samples[0] ? samples[index] : (struct record_journal){0};
}

static void assert_same(const struct record_journal *a, const struct record_journal *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->serial == b->serial && a->epoch == b->epoch && a->session == b->session);
    assert_true(a->seq == b->seq && a->message_id == b->message_id);
    assert_true(a->end_at_ms == b->end_at_ms && a->expiry_s == b->expiry_s && a->run == b->run);
    assert_true(a->subscription_id == b->subscription_id && a->packet_id == b->packet_id);
    assert_true(a->version == b->version && a->qos == b->qos && a->options == b->options);
    assert_true(a->state == b->state && a->connected == b->connected);
    assert_true(a->retain == b->retain && a->released == b->released);
    assert_true(a->unsure == b->unsure);
    assert_true(a->repeat == b->repeat && a->is_all == b->is_all);
    assert_true(a->shared == b->shared && a->leaving == b->leaving);
    assert_memory_equal(&a->share, &b->share, sizeof(a->share));
    assert_true(a->bytes == b->bytes && a->count == b->count);
    record_fixture_assert_bytes(a->name, b->name);
    record_fixture_assert_bytes(a->ids, b->ids);
}

static void test_record_put_journal_comes_back(void **state)
{
    struct record_fixture *w = *state;
    struct record_journal put;

    for (size_t i = 0; (put = sample(i)).kind != 0; i++) {
        struct record_journal got;
        struct ring_record record;

        assert_true(record_put_journal(&w->from, 1, &put));
        record = record_fixture_take(w);
        assert_true(record_is_journal(record.kind));
        assert_true(record_get_journal(&record, &got));
        assert_same(&put, &got);
    }
}

/* Fields without a rest: a byte less or more is noticed. */
static void test_record_get_journal_refuses_other_sizes(void **state)
{
    struct record_fixture *w = *state;
    struct record_journal put;

    for (size_t i = 0; (put = sample(i)).kind != 0; i++) {
        struct record_journal got;
        struct ring_record record;
        bool has_rest = put.name.size > 0 || put.ids.size > 0;

        assert_true(record_put_journal(&w->from, 1, &put));
        record = record_fixture_take(w);
        record.size -= (uint32_t)(put.name.size + put.ids.size) + 1;
        assert_false(record_get_journal(&record, &got));
        record.size += 2;
        assert_true(record_get_journal(&record, &got) == (has_rest && put.ids.size == 0));
    }
}

static void test_record_get_journal_refuses_bad_fields(void **state)
{
    static const struct {
        size_t sample;
        uint32_t from_end; /* of the fixed part: the byte that is changed */
        uint8_t value;
    } rows[] = {
        {1, 2, 6},    /* SESSION: version */
        {3, 1, 0x40}, /* SUBSCRIBE: options */
        {5, 18, 3},   /* ENQUEUE: qos */
        {21, 1, 4},   /* JOURNAL_STATE: state */
    };
    struct record_fixture *w = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record_journal put = sample(rows[i].sample);
        struct record_journal got;
        struct ring_record record;
        uint8_t copy[256];

        assert_true(record_put_journal(&w->from, 1, &put));
        record = record_fixture_take(w);
        memcpy(copy, record.data, record.size);
        copy[record.size - put.name.size - put.ids.size - rows[i].from_end] = rows[i].value;
        record.data = copy;
        assert_false(record_get_journal(&record, &got));
    }
}

static void test_record_get_journal_refuses_nobody(void **state)
{
    static const uint8_t zeros[64] = {0};
    struct ring_record record = {.data = zeros, .kind = RECORD_SENT, .size = 26};
    struct record_journal got;

    (void)state;
    assert_false(record_get_journal(&record, &got)); /* session 0, packet id 0 */
    record.kind = RECORD_CONFIRM;
    assert_false(record_is_journal(record.kind));
    assert_false(record_get_journal(&record, &got));
}

static void test_record_put_journal_tells_full_ring(void **state)
{
    struct record_fixture *w = *state;
    const struct record_journal put = sample(1);
    unsigned count = 0;

    while (record_put_journal(&w->from, 1, &put))
        count++;
    assert_true(count > 100);
    assert_false(record_put_journal(&w->from, 1, &put));
}

int main(void)
{
#define RECORD_TEST(test) \
    cmocka_unit_test_setup_teardown(test, record_fixture_open, record_fixture_close)
    const struct CMUnitTest tests[] = {
        RECORD_TEST(test_record_put_journal_comes_back),
        RECORD_TEST(test_record_get_journal_refuses_other_sizes),
        RECORD_TEST(test_record_get_journal_refuses_bad_fields),
        RECORD_TEST(test_record_get_journal_refuses_nobody),
        RECORD_TEST(test_record_put_journal_tells_full_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
