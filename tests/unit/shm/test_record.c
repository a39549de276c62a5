#include "tests/unit/shm/record_fixture.h"

#include <string.h>

static void test_record_hold(void **state)
{
    struct record_fixture *w = *state;
    struct ring_record record;
    uint32_t publisher = 0;

    assert_true(record_put_hold(&w->from, 1, true, 77));
    assert_true(record_put_hold(&w->from, 1, false, UINT32_MAX));
    record = record_fixture_take(w);
    assert_int_equal(record.kind, RECORD_HOLD);
    assert_true(record_get_hold(&record, &publisher));
    assert_int_equal(publisher, 77);
    record = record_fixture_take(w);
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
    struct record_fixture *w = *state;
    struct ring_record record;
    uint64_t serial = 0;

    assert_true(record_put_reset(&w->from, 1, 3));
    assert_true(record_put_confirm(&w->from, 1, UINT64_MAX));
    record = record_fixture_take(w);
    assert_false(record_get_confirm(&record, &serial));
    assert_true(record_get_reset(&record, &serial));
    assert_true(serial == 3);
    record = record_fixture_take(w);
    assert_false(record_get_reset(&record, &serial));
    assert_true(record_get_confirm(&record, &serial));
    assert_true(serial == UINT64_MAX);
}

static void test_record_filter(void **state)
{
    struct record_fixture *w = *state;

    for (unsigned bits = 0; bits < 4; bits++) {
        struct record_filter filter = {.serial = 9 + bits,
                                       .any = (bits & 1) != 0,
                                       .persistent = (bits & 2) != 0,
                                       .filter = bytes_of("a/+/#")};
        struct record_filter got;
        struct ring_record record;

        assert_true(record_put_filter(&w->from, 1, &filter));
        record = record_fixture_take(w);
        assert_true(record_get_filter(&record, &got));
        assert_true(got.serial == filter.serial);
        assert_int_equal(got.any, filter.any);
        assert_int_equal(got.persistent, filter.persistent);
        record_fixture_assert_bytes(got.filter, filter.filter);
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
    struct record_fixture *w = *state;
    struct record_group group = {
        .serial = 1, .online = 2, .offline = UINT32_MAX, .filter = bytes_of("x")};
    struct record_group got;
    struct ring_record record;

    memset(&group.id, 0xA5, sizeof group.id);
    assert_true(record_put_group(&w->from, 1, &group));
    record = record_fixture_take(w);
    assert_true(record_get_group(&record, &got));
    assert_true(got.serial == 1 && got.online == 2 && got.offline == UINT32_MAX);
    assert_memory_equal(&got.id, &group.id, sizeof group.id);
    record_fixture_assert_bytes(got.filter, group.filter);
}

static void test_record_will_clear(void **state)
{
    struct record_fixture *w = *state;
    struct ring_record record;
    struct bytes client_id;

    assert_true(record_put_will_clear(&w->from, 1, bytes_of("client")));
    record = record_fixture_take(w);
    assert_true(record_get_will_clear(&record, &client_id));
    record_fixture_assert_bytes(client_id, bytes_of("client"));
}

static void test_record_refuse(void **state)
{
    struct record_fixture *w = *state;
    struct ring_record record;
    uint64_t serial;
    enum mqtt_reason reason;

    assert_true(record_put_refuse(&w->from, 1, 5, (enum mqtt_reason)0x97));
    assert_true(record_put_refuse(&w->from, 1, 6, (enum mqtt_reason)0));
    record = record_fixture_take(w);
    assert_true(record_get_refuse(&record, &serial, &reason));
    assert_true(serial == 5);
    assert_int_equal(reason, 0x97);
    record = record_fixture_take(w);
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
    struct record_fixture *w = *state;
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
        record = record_fixture_take(w);
        assert_true(get_any(&record));
        while (record.size-- > 0)
            assert_false(get_any(&record));
    }
}

static void test_record_put_false_when_full(void **state)
{
    struct record_fixture *w = *state;
    struct record_filter filter = {.serial = 1, .any = true, .filter = bytes_of("f")};
    struct record_group group = {.serial = 1, .online = 2, .filter = bytes_of("f")};
    struct record_message message = record_fixture_small();
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
    record_fixture_take(w);
    mesh_release(&w->to, 0);
    assert_true(record_put_hold(&w->from, 1, true, 1));
}

static void put_too_long_filter(void *context)
{
    struct record_fixture *w = context;
    static const uint8_t name[65535];
    struct record_filter filter = {.serial = 1, .filter = {name, sizeof name}};

    record_put_filter(&w->from, 1, &filter);
}

static void test_record_put_filter_checks_size(void **state)
{
    assert_int_equal(fixture_signal_of(put_too_long_filter, *state), SIGABRT);
}

#define WITH_PEERS(test) \
    cmocka_unit_test_setup_teardown(test, record_fixture_open, record_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PEERS(test_record_hold),
        WITH_PEERS(test_record_hold_number_too_large),
        WITH_PEERS(test_record_reset_and_confirm),
        WITH_PEERS(test_record_filter),
        WITH_PEERS(test_record_filter_unknown_flag),
        WITH_PEERS(test_record_group),
        WITH_PEERS(test_record_will_clear),
        WITH_PEERS(test_record_refuse),
        WITH_PEERS(test_record_get_every_truncation),
        WITH_PEERS(test_record_put_false_when_full),
        WITH_PEERS(test_record_put_filter_checks_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
