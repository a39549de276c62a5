#include "common/mqtt/codec_ack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct row {
    const char *clause;
    enum packet_type type;
    enum mqtt_version version;
    uint8_t flags;
    const char *hex;
    enum mqtt_reason wanted;
};

static const struct row rows[] = {
    {"3.1", PACKET_PUBACK, MQTT_V31, 0, "0001", 0},
    {"3.1.1", PACKET_PUBREC, MQTT_V311, 0, "FFFF", 0},
    {"3.1.1 PUBREL", PACKET_PUBREL, MQTT_V311, 2, "0001", 0},
    {"3.1 PUBREL with DUP", PACKET_PUBREL, MQTT_V31, 0xA, "0001", 0},
    {"short form of 2", PACKET_PUBCOMP, MQTT_V5, 0, "0001", 0},
    {"short form of 3", PACKET_PUBREC, MQTT_V5, 0, "0001 97", 0},
    {"PUBREL 92", PACKET_PUBREL, MQTT_V5, 2, "0001 92", 0},
    {"whole form", PACKET_PUBACK, MQTT_V5, 0, "0001 10 00", 0},
    {"reason string", PACKET_PUBACK, MQTT_V5, 0, "0001 87 05 1F 0002 'no'", 0},
    {"user property", PACKET_PUBCOMP, MQTT_V5, 0, "0001 00 05 26 0000 0000", 0},
    {"MQTT-3.6.1-1", PACKET_PUBREL, MQTT_V5, 0, "0001", 0x81},
    {"MQTT-3.6.1-1 DUP", PACKET_PUBREL, MQTT_V311, 0xA, "0001", 0x81},
    {"MQTT-2.1.3-1", PACKET_PUBACK, MQTT_V5, 1, "0001", 0x81},
    {"MQTT-2.2.2-2 of 3.1.1", PACKET_PUBCOMP, MQTT_V311, 2, "0001", 0x81},
    {"MQTT-3.4.2-1", PACKET_PUBACK, MQTT_V5, 0, "0001 01", 0x82},
    {"MQTT-3.4.2-1 92", PACKET_PUBACK, MQTT_V5, 0, "0001 92", 0x82},
    {"MQTT-3.5.2-1", PACKET_PUBREC, MQTT_V5, 0, "0001 01", 0x82},
    {"MQTT-3.6.2-1", PACKET_PUBREL, MQTT_V5, 2, "0001 80", 0x82},
    {"MQTT-3.7.2-1", PACKET_PUBCOMP, MQTT_V5, 0, "0001 10", 0x82},
    {"packet id 0", PACKET_PUBACK, MQTT_V5, 0, "0000", 0x82},
    {"surplus bytes", PACKET_PUBACK, MQTT_V5, 0, "0001 00 00 00", 0x81},
    {"surplus bytes 3.1.1", PACKET_PUBACK, MQTT_V311, 0, "0001 00", 0x81},
    {"property of CONNECT", PACKET_PUBACK, MQTT_V5, 0, "0001 00 03 21 0001", 0x81},
    {"reason string twice", PACKET_PUBACK, MQTT_V5, 0, "0001 00 06 1F 0000 1F 0000", 0x82},
    {"reason string wrong", PACKET_PUBACK, MQTT_V5, 0, "0001 00 05 1F 0002 C328", 0x81},
    {"no body", PACKET_PUBACK, MQTT_V5, 0, "", 0x81},
};

static void test_decode_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_ack a;
        enum mqtt_reason reason =
            codec_ack_decode(&a, rows[i].type, rows[i].version, rows[i].flags, body);
        if (reason_code(reason) != rows[i].wanted)
            fail_msg("%s: 0x%02X", rows[i].clause, reason);
        hex_free(body);
    }
}

/* The short forms of two and three bytes are whole packets. */
static bool is_short_form(enum mqtt_version version, size_t size)
{
    return version == MQTT_V5 && (size == 2 || size == 3);
}

static void test_decode_refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        size_t end = rows[i].wanted == REASON_SUCCESS ? body.size : 0;
        for (size_t size = 0; size < end; size++) {
            struct bytes cut = hex_copy(body.data, size);
            struct mqtt_ack a;
            enum mqtt_reason reason =
                codec_ack_decode(&a, rows[i].type, rows[i].version, rows[i].flags, cut);
            if (reason == REASON_SUCCESS && !is_short_form(rows[i].version, size))
                fail_msg("%s: %zu bytes", rows[i].clause, size);
            hex_free(cut);
        }
        hex_free(body);
    }
}

static void test_decode_fills_fields(void **state)
{
    struct bytes body = hex_bytes("0102 87 0A 26 0000 0000 1F 0002 'no'");
    struct mqtt_ack a;

    (void)state;
    assert_int_equal(codec_ack_decode(&a, PACKET_PUBREC, MQTT_V5, 0, body), REASON_SUCCESS);
    assert_int_equal(a.packet_id, 0x0102);
    assert_int_equal(a.reason, REASON_NOT_AUTHORIZED);
    assert_true(hex_equals(a.reason_string, "'no'"));
    hex_free(body);
}

static void assert_encoded(const struct mqtt_ack *a, enum packet_type type,
                           enum mqtt_version version, size_t size, const char *wanted)
{
    uint8_t *memory = malloc(size);
    size_t written = codec_ack_encode(a, type, version, memory, size);

    if (!hex_equals((struct bytes){memory, written}, wanted))
        fail_msg("wanted %s", wanted);
    free(memory);
}

static void test_encode_uses_short_forms(void **state)
{
    struct mqtt_ack ok = {.packet_id = 7};
    struct mqtt_ack refused = {.packet_id = 7, .reason = REASON_QUOTA_EXCEEDED};
    struct mqtt_ack told = {
        .packet_id = 7, .reason = REASON_NOT_AUTHORIZED, .reason_string = bytes_of("no")};

    (void)state;
    assert_encoded(&ok, PACKET_PUBACK, MQTT_V5, 4, "40 02 0007");
    assert_encoded(&ok, PACKET_PUBREL, MQTT_V5, 4, "62 02 0007");
    assert_encoded(&ok, PACKET_PUBREL, MQTT_V31, 4, "62 02 0007");
    assert_encoded(&ok, PACKET_PUBCOMP, MQTT_V311, CODEC_ACK_SIZE_MIN, "70 02 0007");
    assert_encoded(&refused, PACKET_PUBREC, MQTT_V5, 5, "50 03 0007 97");
    assert_encoded(&refused, PACKET_PUBREC, MQTT_V311, 5, "50 02 0007");
    assert_encoded(&told, PACKET_PUBACK, MQTT_V5, 11, "40 09 0007 87 05 1F 0002 'no'");
}

static void test_encode_keeps_to_size(void **state)
{
    struct mqtt_ack ok = {.packet_id = 7};
    struct mqtt_ack told = {
        .packet_id = 7, .reason = REASON_NOT_AUTHORIZED, .reason_string = bytes_of("no")};

    (void)state;
    assert_encoded(&ok, PACKET_PUBACK, MQTT_V5, 3, "");
    assert_encoded(&told, PACKET_PUBACK, MQTT_V5, 10, "40 03 0007 87"); /* [MQTT-3.4.2-2] */
    assert_encoded(&told, PACKET_PUBACK, MQTT_V5, 4, "");
}

static void test_encode_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_ack a;
        struct mqtt_ack again;
        uint8_t m[HEX_SIZE_MAX];
        if (rows[i].wanted == REASON_SUCCESS) {
            codec_ack_decode(&a, rows[i].type, rows[i].version, rows[i].flags, body);
            size_t size = codec_ack_encode(&a, rows[i].type, rows[i].version, m, sizeof(m));
            struct bytes written = {m + 2, size - 2};
            assert_int_equal(
                codec_ack_decode(&again, rows[i].type, rows[i].version, m[0] & 0x0F, written), 0);
            assert_int_equal(again.packet_id, a.packet_id);
            assert_int_equal(again.reason, a.reason);
            assert_true(bytes_equal(again.reason_string, a.reason_string));
        }
        hex_free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_follows_the_table),
        cmocka_unit_test(test_decode_refuses_every_truncation),
        cmocka_unit_test(test_decode_fills_fields),
        cmocka_unit_test(test_encode_uses_short_forms),
        cmocka_unit_test(test_encode_keeps_to_size),
        cmocka_unit_test(test_encode_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
