#include "common/mqtt/codec_subscribe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
    const char *clause;
    enum mqtt_version version;
    uint8_t flags;
    const char *hex;
    enum mqtt_reason wanted;
};

/* One filter in each row that decodes, so that no truncation is whole. */
static const struct row subscribe_rows[] = {
    {"3.1", MQTT_V31, 0x2, "0001 0003 'a/b' 01", 0},
    {"3.1 with DUP", MQTT_V31, 0xA, "0001 0003 'a/b' 01", 0},
    {"3.1 option bits are not looked at", MQTT_V31, 0x2, "0001 0001 'a' FD", 0},
    {"3.1.1", MQTT_V311, 0x2, "0001 0003 'a/b' 02", 0},
    {"5.0", MQTT_V5, 0x2, "FFFF 00 0003 'a/b' 2E", 0},
    {"5.0 identifier", MQTT_V5, 0x2, "0001 05 0B FFFFFF7F 0001 '#' 00", 0},
    {"empty filter is the caller's", MQTT_V5, 0x2, "0001 00 0000 00", 0},
    {"MQTT-3.8.1-1", MQTT_V5, 0x0, "0001 00 0001 'a' 00", 0x81},
    {"MQTT-3.8.1-1 DUP", MQTT_V5, 0xA, "0001 00 0001 'a' 00", 0x81},
    {"MQTT-3.8.1-1 in 3.1.1", MQTT_V311, 0xA, "0001 0001 'a' 00", 0x81},
    {"MQTT-2.2.1-3", MQTT_V5, 0x2, "0000 00 0001 'a' 00", 0x82},
    {"MQTT-2.3.1-1", MQTT_V311, 0x2, "0000 0001 'a' 00", 0x82},
    {"MQTT-3.8.3-1", MQTT_V5, 0x2, "0001 00 0002 C328 00", 0x81},
    {"MQTT-3.8.3-2", MQTT_V5, 0x2, "0001 00", 0x82},
    {"MQTT-3.8.3-3 of 3.1.1", MQTT_V311, 0x2, "0001", 0x82},
    {"no options", MQTT_V5, 0x2, "0001 00 0001 'a'", 0x81},
    {"MQTT-3.8.3-5 bit 6", MQTT_V5, 0x2, "0001 00 0001 'a' 40", 0x81},
    {"MQTT-3.8.3-5 bit 7", MQTT_V5, 0x2, "0001 00 0001 'a' 80", 0x81},
    {"QoS 3", MQTT_V5, 0x2, "0001 00 0001 'a' 03", 0x82},
    {"retain handling 3", MQTT_V5, 0x2, "0001 00 0001 'a' 30", 0x82},
    {"MQTT-3.8.3-4 of 3.1.1", MQTT_V311, 0x2, "0001 0001 'a' 03", 0x82},
    {"MQTT-3.8.3-4 reserved", MQTT_V311, 0x2, "0001 0001 'a' 04", 0x81},
    {"3.1 QoS 3", MQTT_V31, 0x2, "0001 0001 'a' 03", 0x82},
    {"second filter wrong", MQTT_V5, 0x2, "0001 00 0001 'a' 00 0001 'b' 03", 0x82},
    {"identifier 0", MQTT_V5, 0x2, "0001 02 0B 00 0001 'a' 00", 0x82},
    {"identifier of five bytes", MQTT_V5, 0x2, "0001 06 0B 8080808001 0001 'a' 00", 0x81},
    {"identifier twice", MQTT_V5, 0x2, "0001 04 0B 01 0B 02 0001 'a' 00", 0x82},
    {"reason string", MQTT_V5, 0x2, "0001 03 1F 0000 0001 'a' 00", 0x81},
};

static const struct row unsubscribe_rows[] = {
    {"3.1", MQTT_V31, 0xA, "0001 0003 'a/b'", 0},
    {"3.1.1", MQTT_V311, 0x2, "0001 0003 'a/b'", 0},
    {"5.0", MQTT_V5, 0x2, "0001 07 26 0001 'k' 0001 'v' 0003 'a/b'", 0},
    {"MQTT-3.10.1-1", MQTT_V5, 0x3, "0001 00 0001 'a'", 0x81},
    {"MQTT-2.2.1-3", MQTT_V5, 0x2, "0000 00 0001 'a'", 0x82},
    {"MQTT-3.10.3-1", MQTT_V5, 0x2, "0001 00 0002 C328", 0x81},
    {"MQTT-3.10.3-2", MQTT_V5, 0x2, "0001 00", 0x82},
    {"MQTT-3.10.3-2 of 3.1.1", MQTT_V311, 0x2, "0001", 0x82},
    {"identifier", MQTT_V5, 0x2, "0001 02 0B 01 0001 'a'", 0x81},
    {"surplus bytes", MQTT_V311, 0x2, "0001 0001 'a' 00", 0x81},
};

typedef enum mqtt_reason (*decode_fn)(struct mqtt_subscribe *ret, enum mqtt_version version,
                                      uint8_t flags, struct bytes body);

static void check_rows(decode_fn decode, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_subscribe s;
        enum mqtt_reason reason = decode(&s, rows[i].version, rows[i].flags, body);
        if (reason_code(reason) != rows[i].wanted)
            fail_msg("%s: 0x%02X", rows[i].clause, reason);
        hex_free(body);
    }
}

static void check_truncations(decode_fn decode, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        size_t end = rows[i].wanted == REASON_SUCCESS ? body.size : 0;
        for (size_t size = 0; size < end; size++) {
            struct bytes cut = hex_copy(body.data, size);
            struct mqtt_subscribe s;
            if (decode(&s, rows[i].version, rows[i].flags, cut) == REASON_SUCCESS)
                fail_msg("%s: %zu bytes", rows[i].clause, size);
            hex_free(cut);
        }
        hex_free(body);
    }
}

static void test_subscribe_decode_follows_the_table(void **state)
{
    (void)state;
    check_rows(codec_subscribe_decode, subscribe_rows, COUNT(subscribe_rows));
    check_truncations(codec_subscribe_decode, subscribe_rows, COUNT(subscribe_rows));
}

static void test_unsubscribe_decode_follows_the_table(void **state)
{
    (void)state;
    check_rows(codec_unsubscribe_decode, unsubscribe_rows, COUNT(unsubscribe_rows));
    check_truncations(codec_unsubscribe_decode, unsubscribe_rows, COUNT(unsubscribe_rows));
}

static void test_subscribe_next_walks_filters(void **state)
{
    struct bytes body = hex_bytes("0007 02 0B 09 0001 'a' 00 0002 '/b' 1D 0001 '#' 26");
    struct mqtt_subscribe s;
    struct mqtt_filter f;

    (void)state;
    assert_int_equal(codec_subscribe_decode(&s, MQTT_V5, 2, body), REASON_SUCCESS);
    assert_int_equal(s.packet_id, 7);
    assert_int_equal(s.subscription_id, 9);
    assert_int_equal(s.filter_count, 3);
    struct reader r = reader_of(s.filters);
    assert_true(codec_subscribe_next(&r, MQTT_V5, &f));
    assert_true(hex_equals(f.filter, "'a'"));
    assert_int_equal(f.qos, QOS_AT_MOST_ONCE);
    assert_false(f.no_local || f.retain_as_published);
    assert_int_equal(f.retain_handling, RETAIN_SEND_ALWAYS);
    assert_true(codec_subscribe_next(&r, MQTT_V5, &f));
    assert_true(hex_equals(f.filter, "'/b'"));
    assert_int_equal(f.qos, QOS_AT_LEAST_ONCE);
    assert_true(f.no_local && f.retain_as_published);
    assert_int_equal(f.retain_handling, RETAIN_SEND_IF_NEW);
    assert_true(codec_subscribe_next(&r, MQTT_V5, &f));
    assert_int_equal(f.qos, QOS_EXACTLY_ONCE);
    assert_true(f.no_local && !f.retain_as_published);
    assert_int_equal(f.retain_handling, RETAIN_SEND_NEVER);
    assert_false(codec_subscribe_next(&r, MQTT_V5, &f));
    hex_free(body);
}

static void test_unsubscribe_next_walks_filters(void **state)
{
    struct bytes body = hex_bytes("0007 0001 'a' 0000 0002 '/b'");
    struct mqtt_subscribe s;
    struct bytes f;

    (void)state;
    assert_int_equal(codec_unsubscribe_decode(&s, MQTT_V311, 2, body), REASON_SUCCESS);
    assert_int_equal(s.filter_count, 3);
    struct reader r = reader_of(s.filters);
    assert_true(codec_unsubscribe_next(&r, &f) && hex_equals(f, "'a'"));
    assert_true(codec_unsubscribe_next(&r, &f) && hex_equals(f, ""));
    assert_true(codec_unsubscribe_next(&r, &f) && hex_equals(f, "'/b'"));
    assert_false(codec_unsubscribe_next(&r, &f));
    hex_free(body);
}

static const uint8_t suback_codes[] = {0x00, 0x01, 0x02, 0x87, 0x8F};
static const uint8_t unsuback_codes[] = {0x00, 0x11, 0x80};

static void assert_written(const uint8_t *memory, size_t size, const char *wanted)
{
    if (!hex_equals((struct bytes){memory, size}, wanted))
        fail_msg("wanted %s", wanted);
}

static void test_suback_encode_speaks_every_version(void **state)
{
    struct mqtt_suback p = {.packet_id = 0x0102, .codes = {suback_codes, sizeof(suback_codes)}};
    uint8_t m[16];

    (void)state;
    assert_written(m, codec_suback_encode(&p, MQTT_V5, m, 10), "90 08 0102 00 00 01 02 87 8F");
    assert_written(m, codec_suback_encode(&p, MQTT_V311, m, 9), "90 07 0102 00 01 02 80 80");
    assert_written(m, codec_suback_encode(&p, MQTT_V31, m, 9), "90 07 0102 00 01 02 00 00");
    assert_int_equal(codec_suback_encode(&p, MQTT_V5, m, 9), 0);
}

static void test_unsuback_encode_speaks_every_version(void **state)
{
    struct mqtt_suback p = {.packet_id = 0x0102, .codes = {unsuback_codes, sizeof(unsuback_codes)}};
    uint8_t m[16];

    (void)state;
    assert_written(m, codec_unsuback_encode(&p, MQTT_V5, m, 8), "B0 06 0102 00 00 11 80");
    assert_written(m, codec_unsuback_encode(&p, MQTT_V311, m, 4), "B0 02 0102");
    assert_written(m, codec_unsuback_encode(&p, MQTT_V31, m, 4), "B0 02 0102");
    assert_int_equal(codec_unsuback_encode(&p, MQTT_V5, m, 7), 0);
}

/* [MQTT-3.9.2-1] [MQTT-3.11.2-1] */
static void test_suback_encode_leaves_out_a_reason_string_without_room(void **state)
{
    struct mqtt_suback p = {.packet_id = 1,
                            .codes = {unsuback_codes, sizeof(unsuback_codes)},
                            .reason_string = bytes_of("no")};
    uint8_t m[16];

    (void)state;
    assert_written(m, codec_unsuback_encode(&p, MQTT_V5, m, 13),
                   "B0 0B 0001 05 1F 0002 'no' 00 11 80");
    assert_written(m, codec_unsuback_encode(&p, MQTT_V5, m, 12), "B0 06 0001 00 00 11 80");
    assert_written(m, codec_unsuback_encode(&p, MQTT_V311, m, 16), "B0 02 0001");
    p.codes.size = 1;
    assert_written(m, codec_suback_encode(&p, MQTT_V5, m, 11), "90 09 0001 05 1F 0002 'no' 00");
    assert_written(m, codec_suback_encode(&p, MQTT_V5, m, 10), "90 04 0001 00 00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribe_decode_follows_the_table),
        cmocka_unit_test(test_unsubscribe_decode_follows_the_table),
        cmocka_unit_test(test_subscribe_next_walks_filters),
        cmocka_unit_test(test_unsubscribe_next_walks_filters),
        cmocka_unit_test(test_suback_encode_speaks_every_version),
        cmocka_unit_test(test_unsuback_encode_speaks_every_version),
        cmocka_unit_test(test_suback_encode_leaves_out_a_reason_string_without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
