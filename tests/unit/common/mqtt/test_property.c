#include "common/mqtt/property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define ALL PROPERTY_IN_ALL

/* Decodes a block given without its length. */
static enum mqtt_reason decode(const char *hex, enum property_packet packet)
{
    struct bytes content = hex_bytes(hex);
    uint8_t memory[HEX_SIZE_MAX];
    struct writer w = writer_of(memory, sizeof(memory));

    writer_varint(&w, (uint32_t)content.size);
    writer_bytes(&w, content);
    struct bytes block = hex_copy(memory, sizeof(memory) - writer_left(&w));
    struct reader r = reader_of(block);
    struct property_set set;
    enum mqtt_reason reason = property_decode(&r, packet, &set);
    if (reason == REASON_SUCCESS) {
        assert_int_equal(reader_left(&r), 0);
        assert_int_equal(set.block.size, content.size);
    }
    hex_free(content);
    hex_free(block);
    return reason_code(reason);
}

/* One valid copy of every property, with the packets of the README's table. */
static const struct {
    uint8_t id;
    unsigned packets;
    const char *hex;
} samples[] = {
    {0x01, PROPERTY_IN_PUBLISH | PROPERTY_IN_WILL, "01 01"},
    {0x02, PROPERTY_IN_PUBLISH | PROPERTY_IN_WILL, "02 00000000"},
    {0x03, PROPERTY_IN_PUBLISH | PROPERTY_IN_WILL, "03 0001 'x'"},
    {0x08, PROPERTY_IN_PUBLISH | PROPERTY_IN_WILL, "08 0003 'a/b'"},
    {0x09, PROPERTY_IN_PUBLISH | PROPERTY_IN_WILL, "09 0002 00FF"},
    {0x0B, PROPERTY_IN_SUBSCRIBE | PROPERTY_IN_PUBLISH, "0B FFFFFF7F"},
    {0x11, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK | PROPERTY_IN_CLIENT_DISCONNECT,
     "11 FFFFFFFF"},
    {0x12, PROPERTY_IN_CONNACK, "12 0001 'i'"},
    {0x13, PROPERTY_IN_CONNACK, "13 0000"},
    {0x15, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK | PROPERTY_IN_AUTH, "15 0001 'm'"},
    {0x16, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK | PROPERTY_IN_AUTH, "16 0000"},
    {0x17, PROPERTY_IN_CONNECT, "17 00"},
    {0x18, PROPERTY_IN_WILL, "18 00000001"},
    {0x19, PROPERTY_IN_CONNECT, "19 01"},
    {0x1A, PROPERTY_IN_CONNACK, "1A 0000"},
    {0x1C, PROPERTY_IN_CONNACK | PROPERTY_IN_DISCONNECT, "1C 0000"},
    {0x1F,
     PROPERTY_IN_CONNACK | PROPERTY_IN_ACK | PROPERTY_IN_SUBACK | PROPERTY_IN_DISCONNECT |
         PROPERTY_IN_CLIENT_DISCONNECT | PROPERTY_IN_AUTH,
     "1F 0000"},
    {0x21, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK, "21 0001"},
    {0x22, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK, "22 0000"},
    {0x23, PROPERTY_IN_PUBLISH, "23 FFFF"},
    {0x24, PROPERTY_IN_CONNACK, "24 01"},
    {0x25, PROPERTY_IN_CONNACK, "25 00"},
    {0x26, PROPERTY_IN_ALL, "26 0000 0000"},
    {0x27, PROPERTY_IN_CONNECT | PROPERTY_IN_CONNACK, "27 00000001"},
    {0x28, PROPERTY_IN_CONNACK, "28 00"},
    {0x29, PROPERTY_IN_CONNACK, "29 00"},
    {0x2A, PROPERTY_IN_CONNACK, "2A 00"},
};

static void test_decode_knows_the_place_of_each_property(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        for (unsigned bit = 1; bit < PROPERTY_IN_ALL; bit <<= 1) {
            enum mqtt_reason wanted = (samples[i].packets & bit) != 0 ? REASON_SUCCESS
                                                                      : REASON_MALFORMED_PACKET;
            if (decode(samples[i].hex, (enum property_packet)bit) != wanted)
                fail_msg("property 0x%02X in place %u", samples[i].id, bit);
        }
    }
}

static void test_decode_refuses_a_second_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        char twice[64];
        snprintf(twice, sizeof(twice), "%s %s", samples[i].hex, samples[i].hex);
        enum mqtt_reason wanted = samples[i].id == PROPERTY_USER_PROPERTY ? REASON_SUCCESS
                                                                          : REASON_PROTOCOL_ERROR;
        if (decode(twice, ALL) != wanted)
            fail_msg("property 0x%02X twice", samples[i].id);
    }
}

static void test_decode_refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct bytes whole = hex_bytes(samples[i].hex);
        for (size_t size = 1; size < whole.size; size++) {
            struct bytes cut = hex_copy(whole.data, size);
            struct reader r = reader_of(cut);
            struct property p;
            if (reason_code(property_next(&r, &p)) != REASON_MALFORMED_PACKET)
                fail_msg("property 0x%02X of %zu bytes", samples[i].id, size);
            hex_free(cut);
        }
        hex_free(whole);
    }
}

static void test_decode_refuses_unknown_ids(void **state)
{
    (void)state;
    for (unsigned id = 0; id <= UINT8_MAX; id++) {
        char hex[32];
        bool is_known = false;
        for (size_t i = 0; i < COUNT(samples); i++)
            is_known = is_known || samples[i].id == id;
        snprintf(hex, sizeof(hex), "%02X 00000000 00000000", id);
        if (!is_known)
            assert_int_equal(decode(hex, ALL), REASON_MALFORMED_PACKET);
    }
}

static void test_decode_checks_values(void **state)
{
    static const struct {
        const char *hex;
        enum mqtt_reason wanted;
    } rows[] = {
        {"", REASON_SUCCESS},
        {"01 02", REASON_PROTOCOL_ERROR},
        {"0B 00", REASON_PROTOCOL_ERROR},            /* section 3.8.2.1.2 */
        {"0B 80808080 01", REASON_MALFORMED_PACKET}, /* five bytes */
        {"0B 8000", REASON_MALFORMED_PACKET},        /* [MQTT-1.5.5-1] */
        {"17 02", REASON_PROTOCOL_ERROR},
        {"19 02", REASON_PROTOCOL_ERROR},
        {"21 0000", REASON_PROTOCOL_ERROR},
        {"24 02", REASON_PROTOCOL_ERROR},
        {"25 02", REASON_PROTOCOL_ERROR},
        {"27 00000000", REASON_PROTOCOL_ERROR},
        {"28 02", REASON_PROTOCOL_ERROR},
        {"29 02", REASON_PROTOCOL_ERROR},
        {"2A 02", REASON_PROTOCOL_ERROR},
        {"03 0002 C328", REASON_MALFORMED_PACKET},        /* [MQTT-3.3.2-19] */
        {"08 0002 C328", REASON_MALFORMED_PACKET},        /* [MQTT-3.3.2-13] */
        {"26 0001 00 0001 'v'", REASON_MALFORMED_PACKET}, /* [MQTT-1.5.7-1] */
        {"26 0001 'k' 0003 EDA080", REASON_MALFORMED_PACKET},
        {"26 0001 'k'", REASON_MALFORMED_PACKET},
        {"1F 0005 'abc'", REASON_MALFORMED_PACKET}, /* overrun */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (decode(rows[i].hex, ALL) != rows[i].wanted)
            fail_msg("%s", rows[i].hex);
    }
}

static void test_decode_checks_the_length(void **state)
{
    static const char *const rows[] = {
        "",               /* [MQTT-2.2.2-1] */
        "80",             /* cut off */
        "80 00",          /* not the shortest [MQTT-1.5.5-1] */
        "01",             /* past the end */
        "03 01 01",       /* past the end */
        "80 80 80 80 00", /* too long */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes b = hex_bytes(rows[i]);
        struct reader r = reader_of(b);
        struct property_set set;
        if (reason_code(property_decode(&r, ALL, &set)) != REASON_MALFORMED_PACKET)
            fail_msg("%s", rows[i]);
        hex_free(b);
    }
}

static void test_decode_keeps_values(void **state)
{
    struct bytes b = hex_bytes("0D 21 0102 1F 0002 'no' 11 0000000A 'rest'");
    struct reader r = reader_of(b);
    struct property_set set;

    (void)state;
    assert_int_equal(property_decode(&r, ALL, &set), REASON_SUCCESS);
    assert_int_equal(reader_left(&r), 4);
    assert_true(property_has(&set, PROPERTY_RECEIVE_MAXIMUM));
    assert_false(property_has(&set, PROPERTY_TOPIC_ALIAS));
    assert_int_equal(property_number(&set, PROPERTY_RECEIVE_MAXIMUM, 7), 0x0102);
    assert_int_equal(property_number(&set, PROPERTY_SESSION_EXPIRY_INTERVAL, 7), 10);
    assert_int_equal(property_number(&set, PROPERTY_TOPIC_ALIAS, 7), 7);
    assert_true(hex_equals(property_text(&set, PROPERTY_REASON_STRING), "'no'"));
    assert_int_equal(property_text(&set, PROPERTY_CONTENT_TYPE).size, 0);
    hex_free(b);
}

static enum mqtt_reason decode_message(const char *hex, struct mqtt_message *m)
{
    struct bytes b = hex_bytes(hex);
    struct reader r = reader_of(b);
    struct property_set set;
    enum mqtt_reason reason = property_decode_message(&r, PROPERTY_IN_WILL, m, &set);

    hex_free(b);
    return reason_code(reason);
}

static void test_decode_message_fills_what_passes(void **state)
{
    struct mqtt_message m;

    (void)state;
    assert_int_equal(decode_message("00", &m), REASON_SUCCESS);
    assert_true(m.properties_pass);
    assert_false(m.has_expiry);
    assert_int_equal(decode_message("0B 0101 08 0001 'r' 09 0001 00", &m), REASON_MALFORMED_PACKET);
    assert_int_equal(decode_message("0A 0101 08 0001 'r' 09 0001 00", &m), REASON_SUCCESS);
    assert_true(m.properties_pass);
    assert_int_equal(m.properties.size, 10);
    assert_int_equal(decode_message("05 02 0000000A", &m), REASON_SUCCESS);
    assert_false(m.properties_pass);
    assert_true(m.has_expiry);
    assert_int_equal(m.expiry_s, 10);
    assert_int_equal(decode_message("05 18 0000000A", &m), REASON_SUCCESS);
    assert_false(m.properties_pass);
    /* [MQTT-3.3.2-14] */
    assert_int_equal(decode_message("06 08 0003 'a/#'", &m), REASON_PROTOCOL_ERROR);
    assert_int_equal(decode_message("04 08 0001 '+'", &m), REASON_PROTOCOL_ERROR);
}

enum { MANY = 60000, PAIR_SIZE = 5 };

static void test_decode_takes_very_many_user_properties(void **state)
{
    size_t size = (size_t)MANY * PAIR_SIZE;
    uint8_t *memory = calloc(size + 4, 1);
    struct writer w = writer_of(memory, size + 4);
    struct property_set set;

    (void)state;
    writer_varint(&w, (uint32_t)size);
    for (unsigned i = 0; i < MANY; i++) {
        writer_u8(&w, PROPERTY_USER_PROPERTY);
        writer_u32(&w, 0);
    }
    struct reader r = reader_of((struct bytes){memory, size + 4 - writer_left(&w)});
    assert_int_equal(property_decode(&r, ALL, &set), REASON_SUCCESS);
    assert_int_equal(set.block.size, size);
    free(memory);
}

static void test_block_encode_is_read_back(void **state)
{
    struct property_block block = {.count = 0};
    uint8_t memory[64];
    struct writer w = writer_of(memory, sizeof(memory));
    struct property_set set;

    (void)state;
    assert_int_equal(property_block_size(&block), 1);
    property_add_number(&block, PROPERTY_MAXIMUM_QOS, 1);
    property_add_number(&block, PROPERTY_SERVER_KEEP_ALIVE, 0x1234);
    property_add_number(&block, PROPERTY_SESSION_EXPIRY_INTERVAL, SESSION_NEVER_EXPIRES);
    property_add_number(&block, PROPERTY_SUBSCRIPTION_IDENTIFIER, 128);
    property_add_text(&block, PROPERTY_REASON_STRING, bytes_of("why"));
    property_add_text(&block, PROPERTY_SERVER_REFERENCE, bytes_of(""));
    property_block_encode(&w, &block);
    size_t written = sizeof(memory) - writer_left(&w);
    assert_int_equal(written, property_block_size(&block));
    struct reader r = reader_of((struct bytes){memory, written});
    assert_int_equal(property_decode(&r, ALL, &set), REASON_SUCCESS);
    assert_int_equal(property_number(&set, PROPERTY_MAXIMUM_QOS, 0), 1);
    assert_int_equal(property_number(&set, PROPERTY_SERVER_KEEP_ALIVE, 0), 0x1234);
    assert_int_equal(property_number(&set, PROPERTY_SESSION_EXPIRY_INTERVAL, 0), UINT32_MAX);
    assert_int_equal(property_number(&set, PROPERTY_SUBSCRIPTION_IDENTIFIER, 0), 128);
    assert_true(hex_equals(property_text(&set, PROPERTY_REASON_STRING), "'why'"));
    assert_false(property_has(&set, PROPERTY_SERVER_REFERENCE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_knows_the_place_of_each_property),
        cmocka_unit_test(test_decode_refuses_a_second_copy),
        cmocka_unit_test(test_decode_refuses_every_truncation),
        cmocka_unit_test(test_decode_refuses_unknown_ids),
        cmocka_unit_test(test_decode_checks_values),
        cmocka_unit_test(test_decode_checks_the_length),
        cmocka_unit_test(test_decode_keeps_values),
        cmocka_unit_test(test_decode_message_fills_what_passes),
        cmocka_unit_test(test_decode_takes_very_many_user_properties),
        cmocka_unit_test(test_block_encode_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
