#include "common/mqtt/codec_control.h"

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

static const struct row disconnect_rows[] = {
    {"3.1", MQTT_V31, 0, "", 0},
    {"3.1.1", MQTT_V311, 0, "", 0},
    {"5.0 of 0 bytes", MQTT_V5, 0, "", 0},
    {"5.0 of 1 byte", MQTT_V5, 0, "04", 0},
    {"5.0 of 2 bytes", MQTT_V5, 0, "00 00", 0},
    {"session expiry", MQTT_V5, 0, "04 05 11 00000001", 0},
    {"reason string", MQTT_V5, 0, "80 05 1F 0002 'no'", 0},
    {"user property", MQTT_V5, 0, "00 05 26 0000 0000", 0},
    {"MQTT-3.14.1-1", MQTT_V5, 1, "", 0x81},
    {"MQTT-3.14.1-1 of 3.1.1", MQTT_V311, 1, "", 0x81},
    {"body in 3.1.1", MQTT_V311, 0, "00", 0x81},
    {"MQTT-3.14.2-1", MQTT_V5, 0, "01", 0x82},
    {"MQTT-3.14.2-1 a server's code", MQTT_V5, 0, "8E", 0x82},
    {"session expiry twice", MQTT_V5, 0, "00 0A 11 00000001 11 00000001", 0x82},
    {"server reference", MQTT_V5, 0, "00 03 1C 0000", 0x81},
    {"surplus bytes", MQTT_V5, 0, "00 00 00", 0x81},
};

static const struct row auth_rows[] = {
    {"continue", MQTT_V5, 0, "18 04 15 0001 'm'", 0},
    {"again", MQTT_V5, 0, "19 0A 15 0001 'm' 16 0003 00FF00", 0},
    {"reason string", MQTT_V5, 0, "18 09 15 0001 'm' 1F 0002 'no'", 0},
    {"MQTT-3.15.1-1", MQTT_V5, 1, "18 04 15 0001 'm'", 0x81},
    {"MQTT-3.15.2-1", MQTT_V5, 0, "80 04 15 0001 'm'", 0x82},
    {"MQTT-4.12.0-3", MQTT_V5, 0, "00 04 15 0001 'm'", 0x82},
    {"MQTT-4.12.0-5", MQTT_V5, 0, "18 00", 0x82},
    {"of 0 bytes", MQTT_V5, 0, "", 0x82},
    {"of 1 byte", MQTT_V5, 0, "18", 0x82},
    {"method twice", MQTT_V5, 0, "18 08 15 0001 'm' 15 0001 'm'", 0x82},
    {"method wrong", MQTT_V5, 0, "18 05 15 0002 C328", 0x81},
    {"surplus bytes", MQTT_V5, 0, "18 04 15 0001 'm' 00", 0x81},
};

static enum mqtt_reason decode_disconnect(const struct row *row, struct bytes body)
{
    struct mqtt_disconnect d;

    return codec_disconnect_decode(&d, row->version, row->flags, body);
}

static enum mqtt_reason decode_auth(const struct row *row, struct bytes body)
{
    struct mqtt_auth a;

    return codec_auth_decode(&a, row->flags, body);
}

typedef enum mqtt_reason (*decode_fn)(const struct row *row, struct bytes body);

/* A row cut down to at most `short_size` bytes may be a whole packet. */
static void check_rows(decode_fn decode, const struct row *rows, size_t count, size_t short_size)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        enum mqtt_reason reason = decode(&rows[i], body);
        if (reason_code(reason) != rows[i].wanted)
            fail_msg("%s: 0x%02X", rows[i].clause, reason);
        size_t end = reason == REASON_SUCCESS ? body.size : 0;
        for (size_t size = 0; size < end; size++) {
            struct bytes cut = hex_copy(body.data, size);
            reason = decode(&rows[i], cut);
            if (reason == REASON_SUCCESS && size > short_size)
                fail_msg("%s: %zu bytes", rows[i].clause, size);
            hex_free(cut);
        }
        hex_free(body);
    }
}

static void test_disconnect_decode_follows_the_table(void **state)
{
    (void)state;
    check_rows(decode_disconnect, disconnect_rows, COUNT(disconnect_rows), 1);
}

static void test_auth_decode_follows_the_table(void **state)
{
    (void)state;
    check_rows(decode_auth, auth_rows, COUNT(auth_rows), 0);
}

static void test_disconnect_decode_fills_fields(void **state)
{
    struct bytes body = hex_bytes("04 0A 1F 0002 'by' 11 0000003C");
    struct mqtt_disconnect d;

    (void)state;
    assert_int_equal(codec_disconnect_decode(&d, MQTT_V5, 0, body), REASON_SUCCESS);
    assert_int_equal(d.reason, REASON_DISCONNECT_WITH_WILL);
    assert_true(d.has_session_expiry);
    assert_int_equal(d.session_expiry_s, 60);
    assert_true(hex_equals(d.reason_string, "'by'"));
    hex_free(body);
}

static void test_auth_decode_fills_fields(void **state)
{
    struct bytes body = hex_bytes("19 0C 15 0001 'm' 16 0000 1F 0002 'no'");
    struct mqtt_auth a;

    (void)state;
    assert_int_equal(codec_auth_decode(&a, 0, body), REASON_SUCCESS);
    assert_int_equal(a.reason, REASON_REAUTHENTICATE);
    assert_true(hex_equals(a.method, "'m'"));
    assert_true(hex_equals(a.data, ""));
    assert_true(hex_equals(a.reason_string, "'no'"));
    hex_free(body);
}

static void assert_disconnect(const struct mqtt_disconnect *d, size_t size, const char *wanted)
{
    uint8_t *memory = malloc(size);
    size_t written = codec_disconnect_encode(d, memory, size);

    if (!hex_equals((struct bytes){memory, written}, wanted))
        fail_msg("wanted %s", wanted);
    free(memory);
}

static void test_disconnect_encode_keeps_to_size_and_codes(void **state)
{
    struct mqtt_disconnect bare = {.reason = REASON_SESSION_TAKEN_OVER, .has_session_expiry = true};
    struct mqtt_disconnect told = {.reason = REASON_SERVER_MOVED,
                                   .reason_string = bytes_of("no"),
                                   .server_reference = bytes_of("s")};
    struct mqtt_disconnect odd = {.reason = REASON_BANNED};
    struct mqtt_disconnect with_will = {.reason = REASON_DISCONNECT_WITH_WILL};

    (void)state;
    assert_disconnect(&bare, 3, "E0 01 8E"); /* [MQTT-3.14.2-2] */
    assert_disconnect(&bare, 2, "");
    assert_disconnect(&told, 13, "E0 0B 9D 09 1C 0001 's' 1F 0002 'no'");
    assert_disconnect(&told, 12, "E0 06 9D 04 1C 0001 's'"); /* [MQTT-3.14.2-3] */
    assert_disconnect(&odd, 3, "E0 01 80");                  /* [MQTT-3.14.2-1] */
    assert_disconnect(&with_will, 3, "E0 01 80");
}

static void test_auth_encode_writes_all_fields(void **state)
{
    static const uint8_t data[] = {0x00, 0xFF};
    struct mqtt_auth a = {.reason = REASON_CONTINUE_AUTHENTICATION,
                          .method = bytes_of("m"),
                          .data = {data, sizeof(data)},
                          .reason_string = bytes_of("why")};
    uint8_t m[32];
    size_t size = codec_auth_encode(&a, m, sizeof(m));

    (void)state;
    assert_true(
        hex_equals((struct bytes){m, size}, "F0 11 18 0F 15 0001 'm' 16 0002 00FF 1F 0003 'why'"));
    size = codec_auth_encode(&a, m, 18); /* [MQTT-3.15.2-2] */
    assert_true(hex_equals((struct bytes){m, size}, "F0 0B 18 09 15 0001 'm' 16 0002 00FF"));
    assert_int_equal(codec_auth_encode(&a, m, 12), 0);
}

static void test_ping_has_no_body(void **state)
{
    struct bytes body = hex_bytes("00");
    uint8_t m[CODEC_PINGRESP_SIZE];

    (void)state;
    assert_int_equal(codec_pingreq_decode(0, (struct bytes){NULL, 0}), REASON_SUCCESS);
    assert_int_equal(codec_pingreq_decode(0, body), WHY_BODY);
    assert_int_equal(codec_pingreq_decode(1, (struct bytes){NULL, 0}), WHY_PACKET_FLAGS);
    assert_int_equal(codec_pingresp_encode(m, sizeof(m)), CODEC_PINGRESP_SIZE);
    assert_true(hex_equals((struct bytes){m, sizeof(m)}, "D0 00"));
    assert_int_equal(codec_pingresp_encode(m, 1), 0);
    hex_free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disconnect_decode_follows_the_table),
        cmocka_unit_test(test_auth_decode_follows_the_table),
        cmocka_unit_test(test_disconnect_decode_fills_fields),
        cmocka_unit_test(test_auth_decode_fills_fields),
        cmocka_unit_test(test_disconnect_encode_keeps_to_size_and_codes),
        cmocka_unit_test(test_auth_encode_writes_all_fields),
        cmocka_unit_test(test_ping_has_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
