#include "worker/session/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct bytes NOTHING = {NULL, 0};

static void test_message_new_copies_all(void **state)
{
    (void)state;
    char topic[] = "topic";
    char properties[] = "properties";
    char payload[] = "payload";
    struct message *m = message_new(bytes_of(topic), bytes_of(properties), bytes_of(payload));
    assert_non_null(m);
    memset(topic, 'x', strlen(topic));
    memset(properties, 'x', strlen(properties));
    memset(payload, 'x', strlen(payload));
    assert_true(bytes_equal(message_topic(m), bytes_of("topic")));
    assert_true(bytes_equal(message_properties(m), bytes_of("properties")));
    assert_true(bytes_equal(message_payload(m), bytes_of("payload")));
    assert_int_equal(message_size(m), 5 + 10 + 7);
    assert_int_equal(m->id, 0);
    assert_int_equal(m->expiry_at_ms, 0);
    assert_false(m->retain);
    message_put(m);
}

static void test_message_new_of_empty_parts(void **state)
{
    (void)state;
    struct message *m = message_new(bytes_of("t"), NOTHING, NOTHING);
    assert_int_equal(message_properties(m).size, 0);
    assert_int_equal(message_payload(m).size, 0);
    assert_int_equal(message_size(m), 1);
    message_put(m);
}

static void test_message_get_counts_references(void **state)
{
    (void)state;
    struct message *m = message_new(bytes_of("t"), NOTHING, bytes_of("payload"));
    assert_ptr_equal(message_get(m), m);
    assert_int_equal(m->references, 2);
    message_give_back(m);
    assert_int_equal(m->references, 1);
    assert_true(bytes_equal(message_payload(m), bytes_of("payload")));
    message_put(m);
    message_put(NULL);
}

static void test_message_expiry_left_s(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        uint64_t now_ms;
        uint32_t left_s;
        bool is_expired;
    } ROWS[] = {
        {10000, 0, 10, false},
        {10000, 1, 10, false},
        {10000, 999, 10, false},
        {10000, 1000, 9, false},
        {10000, 9999, 1, false},
        {10000, 10000, 0, true},
        {10000, 10001, 0, true},
        {10000, UINT64_MAX, 0, true},
        {UINT32_MAX * 1000ULL, 0, UINT32_MAX, false},
        {UINT64_C(1) << 60, 0, UINT32_MAX, false},
    };
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        bool is_expired;
        uint32_t left_s = message_expiry_left_s(ROWS[i].at_ms, ROWS[i].now_ms, &is_expired);
        assert_int_equal(is_expired, ROWS[i].is_expired);
        assert_int_equal(left_s, ROWS[i].left_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_new_copies_all),
        cmocka_unit_test(test_message_new_of_empty_parts),
        cmocka_unit_test(test_message_get_counts_references),
        cmocka_unit_test(test_message_expiry_left_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
