#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bench/bench_wire.h"

/* --- cutting a stream into packets --- */

struct cut_row {
    uint8_t bytes[6];
    size_t size;
    long result;
    size_t needed;
};

static const struct cut_row cuts[] = {
    {{0}, 0, 0, 0},
    {{0xd0}, 1, 0, 0},
    {{0xd0, 0x00}, 2, 2, 2},
    {{0x40, 0x02, 0x00}, 3, 0, 4},
    {{0x40, 0x02, 0x00, 0x01, 0x40}, 5, 4, 4},
    {{0x30, 0x80}, 2, 0, 0},
    {{0x30, 0x80, 0x01}, 3, 0, 131},
    {{0x30, 0xff, 0xff, 0xff, 0x7f}, 5, 0, 268435460},
    {{0x30, 0xff, 0xff, 0xff, 0xff}, 5, -1, 0},
};

static void test_cut_finds_packets_and_what_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct bench_frame frame;
        size_t needed;
        assert_int_equal(bench_wire_cut(cuts[i].bytes, cuts[i].size, &frame, &needed),
                         cuts[i].result);
        assert_int_equal(needed, cuts[i].needed);
    }
}

static void test_cut_returns_type_flags_and_body(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x62, 0x02, 0x12, 0x34};
    struct bench_frame frame;
    size_t needed;
    struct bench_ack ack;
    assert_int_equal(bench_wire_cut(bytes, sizeof(bytes), &frame, &needed), 4);
    assert_int_equal(frame.type, BENCH_PUBREL);
    assert_int_equal(frame.flags, 2);
    assert_true(bench_wire_get_ack(&frame, BENCH_WIRE_V5, &ack));
    assert_int_equal(ack.packet_id, 0x1234);
    assert_int_equal(ack.reason, 0);
}

/* --- encoders, byte by byte --- */

static void test_put_connect_is_exact_in_both_versions(void **state)
{
    (void)state;
    static const uint8_t v311[] = {0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x02, 0, 9, 0, 1, 'a'};
    static const uint8_t v5[] = {0x10, 0x1a, 0, 4,    'M', 'Q', 'T',  'T',  5, 0xc0,
                                 0,    0,    5, 0x11, 0,   0,   0x0e, 0x10, 0, 1,
                                 'b',  0,    1, 'u',  0,   2,   'p',  'w'};
    uint8_t out[BENCH_WIRE_SMALL_MAX];
    struct bench_hello hello = {.client_id = "a", .version = BENCH_WIRE_V311, .keepalive_s = 9};
    assert_int_equal(bench_wire_put_connect(out, &hello), sizeof(v311));
    assert_memory_equal(out, v311, sizeof(v311));
    hello = (struct bench_hello){.client_id = "b",
                                 .username = "u",
                                 .password = "pw",
                                 .version = BENCH_WIRE_V5,
                                 .persistent = true};
    assert_int_equal(bench_wire_put_connect(out, &hello), sizeof(v5));
    assert_memory_equal(out, v5, sizeof(v5));
}

static void test_put_subscribe_is_exact_in_both_versions(void **state)
{
    (void)state;
    static const uint8_t v311[] = {0x82, 0x08, 0, 1, 0, 3, 'a', '/', '#', 1};
    static const uint8_t v5[] = {0x82, 0x09, 0, 1, 0, 0, 3, 'a', '/', '#', 2};
    uint8_t out[BENCH_WIRE_SMALL_MAX];
    assert_int_equal(bench_wire_put_subscribe(out, BENCH_WIRE_V311, "a/#", 1), sizeof(v311));
    assert_memory_equal(out, v311, sizeof(v311));
    assert_int_equal(bench_wire_put_subscribe(out, BENCH_WIRE_V5, "a/#", 2), sizeof(v5));
    assert_memory_equal(out, v5, sizeof(v5));
}

static void test_put_small_packets_is_exact(void **state)
{
    (void)state;
    static const uint8_t leave[] = {0xe0, 0x07, 0, 5, 0x11, 0, 0, 0, 0};
    uint8_t out[BENCH_WIRE_SMALL_MAX];
    assert_int_equal(bench_wire_put_ack(out, BENCH_PUBREL, 0x102), 4);
    assert_memory_equal(out, "\x62\x02\x01\x02", 4);
    assert_int_equal(bench_wire_put_ack(out, BENCH_PUBACK, 1), 4);
    assert_memory_equal(out, "\x40\x02\x00\x01", 4);
    assert_int_equal(bench_wire_put_pingreq(out), 2);
    assert_memory_equal(out, "\xc0\x00", 2);
    assert_int_equal(bench_wire_put_disconnect(out, BENCH_WIRE_V311), 2);
    assert_memory_equal(out, "\xe0\x00", 2);
    assert_int_equal(bench_wire_put_disconnect(out, BENCH_WIRE_V5), sizeof(leave));
    assert_memory_equal(out, leave, sizeof(leave));
}

/* --- messages: out and in again --- */

static void check_round_trip(int version, uint8_t qos, size_t payload_size)
{
    struct bench_template t = {0};
    struct bench_topic topic = {.name = "a/b", .qos = qos, .retain = true};
    assert_true(bench_wire_init_template(&t, version, &topic, payload_size));
    struct bench_stamp in = {.publisher = 7, .sequence = 4711, .intended_ns = UINT64_C(1) << 40};
    bench_wire_put_stamp(t.bytes + t.payload_at, payload_size, in);
    if (qos)
        t.bytes[t.id_at + 1] = 9;
    struct bench_frame frame;
    struct bench_message message;
    struct bench_stamp out;
    size_t needed;
    assert_int_equal(bench_wire_cut(t.bytes, t.size, &frame, &needed), t.size);
    assert_int_equal(frame.flags, qos << 1 | 1);
    assert_true(bench_wire_get_message(&frame, version, &message));
    assert_int_equal(message.qos, qos);
    assert_int_equal(message.packet_id, qos ? 9 : 0);
    assert_true(bench_wire_get_stamp(&message, payload_size, &out));
    assert_memory_equal(&in, &out, sizeof(in));
    bench_wire_done_template(&t);
}

static void test_put_stamp_comes_back_as_it_went(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 17, 64, 107, 121, 122, 16384, 2097152};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint8_t qos = 0; qos < 3; qos++) {
            check_round_trip(BENCH_WIRE_V311, qos, sizes[i]);
            check_round_trip(BENCH_WIRE_V5, qos, sizes[i]);
        }
    }
}

static void test_get_stamp_refuses_a_wrong_size_or_tail(void **state)
{
    (void)state;
    uint8_t payload[20] = {0};
    struct bench_message message = {.payload = payload, .payload_size = sizeof(payload)};
    struct bench_stamp stamp;
    bench_wire_put_stamp(payload, sizeof(payload), (struct bench_stamp){.sequence = 3});
    assert_true(bench_wire_get_stamp(&message, sizeof(payload), &stamp));
    assert_false(bench_wire_get_stamp(&message, sizeof(payload) + 1, &stamp));
    payload[sizeof(payload) - 1] ^= 1;
    assert_false(bench_wire_get_stamp(&message, sizeof(payload), &stamp));
}

/* --- decoders of what brokers send; every truncation must fail --- */

struct answer_row {
    enum bench_packet type;
    int version;
    uint8_t body[24];
    size_t size;
    size_t shortest; /* a shorter body is malformed */
    uint8_t reason;
    uint16_t number; /* packet id, or CONNACK's receive maximum */
};

static const struct answer_row answers[] = {
    {BENCH_CONNACK, 4, {0, 0}, 2, 2, 0, 65535},
    {BENCH_CONNACK, 4, {0, 5}, 2, 2, 5, 65535},
    {BENCH_CONNACK, 5, {0, 0, 0}, 3, 3, 0, 65535},
    {BENCH_CONNACK, 5, {0, 0, 6, 0x22, 0, 10, 0x21, 0, 20}, 9, 9, 0, 20},
    {BENCH_CONNACK, 5, {1, 0x87, 9, 0x1f, 0, 1, 'x', 0x24, 1, 0x21, 1, 0}, 12, 12, 0x87, 256},
    {BENCH_CONNACK, 5, {0, 0, 12, 0x26, 0, 1, 'k', 0, 1, 'v', 0x27, 0, 0, 1, 0}, 15, 15, 0, 65535},
    {BENCH_PUBACK, 4, {0, 1}, 2, 2, 0, 1},
    {BENCH_PUBACK, 5, {0, 1}, 2, 2, 0, 1},
    {BENCH_PUBREC, 5, {1, 0, 0x97, 0}, 4, 2, 0x97, 256},
    {BENCH_SUBACK, 4, {0, 1, 0x80}, 3, 3, 0x80, 1},
    {BENCH_SUBACK, 5, {0, 1, 0, 2}, 4, 4, 2, 1},
    {BENCH_SUBACK, 5, {0, 1, 5, 0x1f, 0, 2, 'n', 'o', 0x87}, 9, 9, 0x87, 1},
};

/* The body lies at the end of its own memory, so that a sanitizer sees overruns. */
static bool decode(const struct answer_row *row, size_t size, uint8_t *reason, uint16_t *number)
{
    uint8_t *body = malloc(size ? size : 1);
    assert_non_null(body);
    memcpy(body, row->body, size);
    struct bench_frame frame = {.type = row->type, .body = body, .body_size = size};
    struct bench_connack connack = {0};
    struct bench_ack ack = {0};
    bool is_connack = row->type == BENCH_CONNACK;
    bool good = is_connack ? bench_wire_get_connack(&frame, row->version, &connack)
                           : bench_wire_get_ack(&frame, row->version, &ack);
    *reason = is_connack ? connack.reason : ack.reason;
    *number = is_connack ? connack.receive_maximum : ack.packet_id;
    free(body);
    return good;
}

static void test_get_answers_reads_reason_and_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        uint8_t reason;
        uint16_t number;
        assert_true(decode(&answers[i], answers[i].size, &reason, &number));
        assert_int_equal(reason, answers[i].reason);
        assert_int_equal(number, answers[i].number);
        for (size_t size = 0; size < answers[i].shortest; size++)
            assert_false(decode(&answers[i], size, &reason, &number));
    }
}

static void test_get_connack_refuses_malformed_properties(void **state)
{
    (void)state;
    static const struct answer_row rows[] = {
        {BENCH_CONNACK, 5, {0, 0, 1, 0x7f}, 4, 0, 0, 0},       /* unknown id */
        {BENCH_CONNACK, 5, {0, 0, 3, 0x21, 0, 0}, 6, 0, 0, 0}, /* receive maximum 0 */
        {BENCH_CONNACK, 5, {0, 0, 2, 0x21, 0, 9}, 6, 0, 0, 0}, /* length too short */
        {BENCH_CONNACK, 5, {0, 0, 3, 0x1f, 0, 9}, 6, 0, 0, 0}, /* text past the end */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t reason;
        uint16_t number;
        assert_false(decode(&rows[i], rows[i].size, &reason, &number));
    }
}

static void test_get_message_refuses_truncated_or_illegal_ones(void **state)
{
    (void)state;
    const uint8_t body[] = {0, 1, 'a', 0, 0, 0, 'x'};
    struct bench_message m;
    struct bench_frame whole = {.type = BENCH_PUBLISH, .body = body, .body_size = sizeof(body)};
    assert_true(bench_wire_get_message(&whole, BENCH_WIRE_V311, &m));
    assert_int_equal(m.payload_size, 4);
    for (size_t size = 0; size < 3; size++) {
        struct bench_frame part = {.type = BENCH_PUBLISH, .body = body, .body_size = size};
        assert_false(bench_wire_get_message(&part, BENCH_WIRE_V311, &m));
    }
    whole.flags = 2; /* QoS 1 with packet id 0 */
    assert_false(bench_wire_get_message(&whole, BENCH_WIRE_V311, &m));
    whole.flags = 6; /* QoS 3 */
    assert_false(bench_wire_get_message(&whole, BENCH_WIRE_V311, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_finds_packets_and_what_is_missing),
        cmocka_unit_test(test_cut_returns_type_flags_and_body),
        cmocka_unit_test(test_put_connect_is_exact_in_both_versions),
        cmocka_unit_test(test_put_subscribe_is_exact_in_both_versions),
        cmocka_unit_test(test_put_small_packets_is_exact),
        cmocka_unit_test(test_put_stamp_comes_back_as_it_went),
        cmocka_unit_test(test_get_stamp_refuses_a_wrong_size_or_tail),
        cmocka_unit_test(test_get_answers_reads_reason_and_number),
        cmocka_unit_test(test_get_connack_refuses_malformed_properties),
        cmocka_unit_test(test_get_message_refuses_truncated_or_illegal_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
