#include "common/mqtt/codec_publish.h"

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
    size_t head_size; /* all before the payload, where it decodes */
    enum mqtt_reason wanted;
};

static const struct row rows[] = {
    {"QoS 0", MQTT_V311, 0x0, "0003 'a/b' 'payload'", 5, 0},
    {"QoS 0 retained", MQTT_V31, 0x1, "0003 'a/b'", 5, 0},
    {"QoS 1", MQTT_V311, 0x2, "0003 'a/b' 0007 'x'", 7, 0},
    {"QoS 2 again", MQTT_V311, 0xD, "0003 'a/b' FFFF 'x'", 7, 0},
    {"5.0", MQTT_V5, 0x0, "0003 'a/b' 00 'x'", 6, 0},
    {"5.0 QoS 1", MQTT_V5, 0x2, "0003 'a/b' 0001 00 'x'", 8, 0},
    {"expiry", MQTT_V5, 0x0, "0001 'a' 05 02 0000000A 'x'", 9, 0},
    {"alias", MQTT_V5, 0x0, "0001 'a' 03 23 0005 'x'", 7, 0},
    {"alias alone", MQTT_V5, 0x0, "0000 03 23 FFFF 'x'", 6, 0},
    {"pass through", MQTT_V5, 0x0,
     "0001 'a' 22 01 01 03 0001 'c' 08 0001 'r' 09 0002 00FF"
     "26 0001 'k' 0001 'v' 26 0000 0000 26 0001 'k' 0001 'w'",
     38, 0},
    {"MQTT-3.3.1-4", MQTT_V5, 0x6, "0001 'a' 0001 00", 0, 0x81},
    {"MQTT-3.3.1-2", MQTT_V5, 0x8, "0001 'a' 00", 0, 0x81},
    {"MQTT-2.2.1-3", MQTT_V5, 0x2, "0001 'a' 0000 00", 0, 0x82},
    {"MQTT-2.3.1-1", MQTT_V311, 0x4, "0001 'a' 0000", 0, 0x82},
    {"MQTT-3.3.2-1", MQTT_V5, 0x0, "0002 C328 00", 0, 0x81},
    {"MQTT-4.7.3-2", MQTT_V5, 0x0, "0003 'a' 00 'b' 00", 0, 0x81},
    {"MQTT-1.5.3-1 of 3.1.1", MQTT_V311, 0x0, "0003 EDA080", 0, 0x81},
    {"MQTT-3.3.2-2 #", MQTT_V5, 0x0, "0003 'a/#' 00", 0, 0x90},
    {"MQTT-3.3.2-2 +", MQTT_V311, 0x0, "0002 'a+'", 0, 0x90},
    {"MQTT-4.7.3-1", MQTT_V5, 0x0, "0000 00", 0, 0x82},
    {"MQTT-4.7.3-1 of 3.1.1", MQTT_V311, 0x0, "0000", 0, 0x82},
    {"MQTT-3.3.2-8", MQTT_V5, 0x0, "0001 'a' 03 23 0000", 0, 0x94},
    {"MQTT-3.3.2-13", MQTT_V5, 0x0, "0001 'a' 05 08 0002 C328", 0, 0x81},
    {"MQTT-3.3.2-14", MQTT_V5, 0x0, "0001 'a' 06 08 0003 'a/#'", 0, 0x82},
    {"MQTT-3.3.2-19", MQTT_V5, 0x0, "0001 'a' 05 03 0002 C328", 0, 0x81},
    {"MQTT-3.3.4-6", MQTT_V5, 0x0, "0001 'a' 02 0B 01", 0, 0x82},
    {"alias twice", MQTT_V5, 0x0, "0001 'a' 06 23 0001 23 0001", 0, 0x82},
    {"will delay", MQTT_V5, 0x0, "0001 'a' 05 18 00000001", 0, 0x81},
    {"property length eats payload", MQTT_V5, 0x0, "0001 'a' 05 01 01", 0, 0x81},
    {"MQTT-2.2.2-1", MQTT_V5, 0x0, "0001 'a'", 0, 0x81},
    {"topic past the end", MQTT_V311, 0x0, "0005 'a'", 0, 0x81},
    {"no body", MQTT_V311, 0x0, "", 0, 0x81},
};

static void test_decode_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_publish p;
        enum mqtt_reason reason = codec_publish_decode(&p, rows[i].version, rows[i].flags, body);
        if (reason_code(reason) != rows[i].wanted)
            fail_msg("%s: 0x%02X", rows[i].clause, reason);
        if (reason == REASON_SUCCESS)
            assert_int_equal(p.message.payload.size, body.size - rows[i].head_size);
        hex_free(body);
    }
}

static void test_decode_refuses_every_truncation_of_the_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        for (size_t size = 0; size < rows[i].head_size; size++) {
            struct bytes cut = hex_copy(body.data, size);
            struct mqtt_publish p;
            enum mqtt_reason reason = codec_publish_decode(&p, rows[i].version, rows[i].flags, cut);
            if (reason_code(reason) != REASON_MALFORMED_PACKET)
                fail_msg("%s: %zu bytes", rows[i].clause, size);
            hex_free(cut);
        }
        hex_free(body);
    }
}

static void test_decode_fills_fields(void **state)
{
    struct bytes body = hex_bytes("0003 'a/b' 0102 0A 02 00000E10 23 0007 01 01 'hello'");
    struct mqtt_publish p;

    (void)state;
    assert_int_equal(codec_publish_decode(&p, MQTT_V5, 0xD, body), REASON_SUCCESS);
    assert_true(p.dup);
    assert_true(p.message.retain);
    assert_int_equal(p.message.qos, QOS_EXACTLY_ONCE);
    assert_int_equal(p.packet_id, 0x0102);
    assert_int_equal(p.topic_alias, 7);
    assert_true(p.message.has_expiry);
    assert_int_equal(p.message.expiry_s, 3600);
    assert_false(p.message.properties_pass);
    assert_int_equal(p.message.properties.size, 10);
    assert_true(hex_equals(p.message.topic, "'a/b'"));
    assert_true(hex_equals(p.message.payload, "'hello'"));
    hex_free(body);
}

/* Encodes what was decoded, with the alias in its place. */
static size_t encode_again(const struct mqtt_publish *p, enum mqtt_version version, uint8_t *memory,
                           size_t size)
{
    uint8_t passed[HEX_SIZE_MAX];
    struct writer w = writer_of(memory, size);
    struct publish_out out = {.topic = p->message.topic,
                              .properties = {passed, 0},
                              .payload_size = p->message.payload.size,
                              .qos = p->message.qos,
                              .retain = p->message.retain,
                              .dup = p->dup,
                              .has_expiry = p->message.has_expiry,
                              .expiry_s = p->message.expiry_s,
                              .packet_id = p->packet_id,
                              .topic_alias = p->topic_alias};

    out.properties.size = codec_publish_pass(p->message.properties, passed);
    codec_publish_encode_head(&w, &out, version);
    assert_int_equal(size - writer_left(&w), codec_publish_head_size(&out, version));
    writer_bytes(&w, p->message.payload);
    assert_false(w.bad);
    assert_int_equal(size - writer_left(&w), codec_publish_size(&out, version));
    return size - writer_left(&w);
}

static void test_encode_gives_back_what_was_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].wanted != REASON_SUCCESS)
            continue;
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_publish p;
        uint8_t memory[HEX_SIZE_MAX];
        codec_publish_decode(&p, rows[i].version, rows[i].flags, body);
        size_t size = encode_again(&p, rows[i].version, memory, sizeof(memory));
        assert_int_equal(size, body.size + 2);
        assert_int_equal(memory[0], 0x30 | rows[i].flags);
        assert_int_equal(memory[1], body.size);
        if (memcmp(memory + 2, body.data, body.size) != 0)
            fail_msg("%s", rows[i].clause);
        hex_free(body);
    }
}

static void assert_head(const struct publish_out *out, enum mqtt_version version,
                        const char *wanted)
{
    size_t size = codec_publish_head_size(out, version);
    uint8_t *memory = malloc(size);
    struct writer w = writer_of(memory, size);

    codec_publish_encode_head(&w, out, version);
    assert_int_equal(writer_left(&w), 0);
    if (!hex_equals((struct bytes){memory, size}, wanted))
        fail_msg("wanted %s", wanted);
    free(memory);
}

static void test_encode_head_writes_all_properties_or_none(void **state)
{
    static const uint32_t ids[] = {1, SUBSCRIPTION_ID_MAX, 1};
    static const uint8_t passed[] = {0x01, 0x01};
    struct publish_out out = {.topic = bytes_of("a/b"),
                              .properties = {passed, sizeof(passed)},
                              .payload_size = 200,
                              .qos = QOS_AT_LEAST_ONCE,
                              .has_expiry = true,
                              .expiry_s = 9,
                              .packet_id = 7,
                              .topic_alias = 3,
                              .subscription_ids = ids,
                              .subscription_id_count = 3};

    (void)state;
    assert_head(&out, MQTT_V5,
                "32 E3 01 0003 'a/b' 0007 13 02 00000009 23 0003 0B 01 0B FFFFFF7F 0B 01 01 01");
    assert_head(&out, MQTT_V311, "32 CF 01 0003 'a/b' 0007");
    assert_head(&out, MQTT_V31, "32 CF 01 0003 'a/b' 0007");
}

static void test_size_stops_at_the_largest_packet(void **state)
{
    struct publish_out out = {.topic = bytes_of("a"), .payload_size = PACKET_REMAINING_MAX - 3};

    (void)state;
    assert_int_equal(codec_publish_size(&out, MQTT_V311), 268435460);
    assert_int_equal(codec_publish_size(&out, MQTT_V5), 0);
    assert_int_equal(codec_publish_head_size(&out, MQTT_V5), 0);
    out.payload_size = SIZE_MAX;
    assert_int_equal(codec_publish_size(&out, MQTT_V311), 0);
    out.payload_size = 0;
    out.properties.size = PACKET_REMAINING_MAX + (size_t)1;
    assert_int_equal(codec_publish_size(&out, MQTT_V5), 0);
}

static void test_pass_keeps_what_passes_in_order(void **state)
{
    struct bytes block = hex_bytes("26 0001 'b' 0001 '1' 02 00000009 01 01 23 0001"
                                   "26 0001 'a' 0000 18 00000001 08 0001 'r' 03 0000 09 0000");
    uint8_t *memory = malloc(block.size);
    size_t size = codec_publish_pass(block, memory);

    (void)state;
    assert_true(hex_equals((struct bytes){memory, size},
                           "26 0001 'b' 0001 '1' 01 01 26 0001 'a' 0000 08 0001 'r' 03 0000"
                           "09 0000"));
    assert_int_equal(codec_publish_pass((struct bytes){NULL, 0}, memory), 0);
    free(memory);
    hex_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_follows_the_table),
        cmocka_unit_test(test_decode_refuses_every_truncation_of_the_head),
        cmocka_unit_test(test_decode_fills_fields),
        cmocka_unit_test(test_encode_gives_back_what_was_decoded),
        cmocka_unit_test(test_encode_head_writes_all_properties_or_none),
        cmocka_unit_test(test_size_stops_at_the_largest_packet),
        cmocka_unit_test(test_pass_keeps_what_passes_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
