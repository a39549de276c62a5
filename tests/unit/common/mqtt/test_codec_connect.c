#include "common/mqtt/codec_connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Variable headers with keep alive 60; flags stand between. */
#define V31(flags) "0006 'MQIsdp' 03 " flags " 003C "
#define V311(flags) "0004 'MQTT' 04 " flags " 003C "
#define V5(flags) "0004 'MQTT' 05 " flags " 003C "
#define ID "0002 'id' "
#define WILL "0001 'w' 0002 'hi' "
#define USER "0001 'u' "
#define PASS "0001 'p' "

struct row {
    const char *clause;
    const char *hex;
    enum mqtt_reason wanted;
    int version; /* as it is told on refusal */
};

static const struct row rows[] = {
    {"3.1", V31("02") ID, 0, 3},
    {"3.1.1", V311("02") ID, 0, 4},
    {"5.0", V5("02") "00" ID, 0, 5},
    {"all fields 3.1", V31("CE") ID WILL USER PASS, 0, 3},
    {"all fields 3.1.1", V311("F6") ID WILL USER PASS, 0, 4},
    {"all fields 5.0", V5("CE") "03 210010" ID "05 18 00000005" WILL USER PASS, 0, 5},
    {"empty client id", V5("02") "00 0000", 0, 5},
    {"bridge 3.1", "0006 'MQIsdp' 83 02 003C " ID, 0, 3},
    {"bridge 3.1.1", "0004 'MQTT' 84 02 003C " ID, 0, 4},
    {"bridge 5", "0004 'MQTT' 85 02 003C 00 " ID, 0x84, 4},
    {"MQTT-3.1.2-1 case", "0004 'mqtt' 05 02 003C 00 " ID, 0x84, 0},
    {"MQTT-3.1.2-1 other", "0004 'MQTX' 04 02 003C " ID, 0x84, 0},
    {"MQTT-3.1.2-1 empty", "0000 05 02 003C 00 " ID, 0x84, 0},
    {"MQTT-3.1.2-2 level 0", "0004 'MQTT' 00 02 003C " ID, 0x84, 4},
    {"MQTT-3.1.2-2 level 6", "0004 'MQTT' 06 02 003C " ID, 0x84, 4},
    {"MQTT-3.1.2-2 level 255", "0004 'MQTT' FF 02 003C " ID, 0x84, 4},
    {"MQIsdp with 4", "0006 'MQIsdp' 04 02 003C " ID, 0x84, 4},
    {"MQIsdp with 5", "0006 'MQIsdp' 05 02 003C 00 " ID, 0x84, 4},
    {"MQTT with 3", "0004 'MQTT' 03 02 003C " ID, 0x84, 4},
    {"MQTT-3.1.2-3", V5("03") "00" ID, 0x81, 5},
    {"MQTT-3.1.2-3 in 3.1.1", V311("03") ID, 0x81, 4},
    {"MQTT-3.1.2-11", V5("0A") "00" ID, 0x81, 5},
    {"MQTT-3.1.2-11 QoS 2", V311("12") ID, 0x81, 4},
    {"MQTT-3.1.2-12", V5("1E") "00" ID "00" WILL, 0x81, 5},
    {"MQTT-3.1.2-13", V5("22") "00" ID, 0x81, 5},
    {"MQTT-3.1.2-9 no will", V5("06") "00" ID, 0x81, 5},
    {"MQTT-3.1.2-9 no topic", V5("06") "00" ID "00", 0x81, 5},
    {"MQTT-3.1.2-9 no payload", V5("06") "00" ID "00 0001 'w'", 0x81, 5},
    {"MQTT-3.1.2-16", V5("02") "00" ID USER, 0x81, 5},
    {"MQTT-3.1.2-17", V5("82") "00" ID, 0x81, 5},
    {"MQTT-3.1.2-19", V5("C2") "00" ID USER, 0x81, 5},
    {"password alone 5.0", V5("42") "00" ID PASS, 0, 5},
    {"password alone 3.1.1", V311("42") ID PASS, 0x81, 4},
    {"password alone 3.1", V31("42") ID PASS, 0x81, 3},
    {"user name missing 3.1", V31("82") ID, 0, 3},
    {"both missing 3.1", V31("C2") ID, 0, 3},
    {"password missing 3.1", V31("C2") ID USER, 0, 3},
    {"user name cut 3.1", V31("82") ID "0002 'u'", 0x81, 3},
    {"user name missing 3.1.1", V311("82") ID, 0x81, 4},
    {"MQTT-3.1.3-3", V5("02") "00", 0x81, 5},
    {"MQTT-3.1.3-4", V5("02") "00 0002 C328", 0x81, 5},
    {"MQTT-3.1.3-4 zero", V311("02") "0003 'a' 00 'b'", 0x81, 4},
    {"MQTT-3.1.3-11", V5("06") "00" ID "00 0003 EDA080 0000", 0x81, 5},
    {"will wildcard", V5("06") "00" ID "00 0003 'a/#' 0000", 0x90, 5},
    {"will topic empty", V5("06") "00" ID "00 0000 0000", 0x90, 5},
    {"will wildcard 3.1.1", V311("06") ID "0001 '+' 0000", 0x90, 4},
    {"MQTT-3.1.3-12", V5("82") "00" ID "0002 C328", 0x81, 5},
    {"password is binary", V5("42") "00" ID "0002 C300", 0, 5},
    {"surplus bytes", V5("02") "00" ID "00", 0x81, 5},
    {"surplus bytes 3.1", V31("02") ID "00", 0x81, 3},
    {"receive maximum 0", V5("02") "03 210000" ID, 0x82, 5},
    {"packet size 0", V5("02") "05 2700000000" ID, 0x82, 5},
    {"property twice", V5("02") "0A 1100000001 1100000001" ID, 0x82, 5},
    {"property of PUBLISH", V5("02") "03 230001" ID, 0x81, 5},
    {"will delay in CONNECT", V5("02") "05 1800000001" ID, 0x81, 5},
    {"expiry in CONNECT's will", V5("06") "00" ID "05 1100000001" WILL, 0x81, 5},
    {"auth data alone", V5("02") "04 16 0001 00" ID, 0x82, 5},
    {"auth method", V5("02") "04 15 0001 'm'" ID, 0, 5},
    {"response topic of will", V5("06") "00" ID "04 08 0001 '#'" WILL, 0x82, 5},
    {"no body", "", 0x81, 0},
    {"name cut", "0004 'MQ'", 0x81, 0},
    {"level missing", "0004 'MQTT'", 0x81, 0},
    {"flags missing", "0004 'MQTT' 05", 0x81, 5},
};

static void test_connect_decode_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes body = hex_bytes(rows[i].hex);
        struct mqtt_connect c;
        enum mqtt_version version;
        enum mqtt_reason reason = codec_connect_decode(&c, 0, body, &version);
        if (reason_code(reason) != rows[i].wanted || (int)version != rows[i].version)
            fail_msg("%s: 0x%02X, version %d", rows[i].clause, reason, (int)version);
        hex_free(body);
    }
}

/* Only in 3.1 may a whole login be missing at the end. */
static bool may_end_early(const struct row *row)
{
    return row->version == 3;
}

static void test_connect_decode_refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].wanted != REASON_SUCCESS || may_end_early(&rows[i]))
            continue;
        struct bytes body = hex_bytes(rows[i].hex);
        for (size_t size = 0; size < body.size; size++) {
            struct bytes cut = hex_copy(body.data, size);
            struct mqtt_connect c;
            enum mqtt_version version;
            enum mqtt_reason reason = codec_connect_decode(&c, 0, cut, &version);
            if (reason_code(reason) != REASON_MALFORMED_PACKET)
                fail_msg("%s: %zu bytes", rows[i].clause, size);
            hex_free(cut);
        }
        hex_free(body);
    }
}

static void test_connect_decode_refuses_flags_of_the_fixed_header(void **state)
{
    struct bytes body = hex_bytes(V5("02") "00" ID);
    struct mqtt_connect c;
    enum mqtt_version version;

    (void)state;
    for (uint8_t flags = 1; flags < 16; flags++) {
        assert_int_equal(codec_connect_decode(&c, flags, body, &version), WHY_PACKET_FLAGS);
        assert_int_equal(version, MQTT_V5);
    }
    hex_free(body);
}

static struct mqtt_connect decoded(struct bytes body)
{
    struct mqtt_connect c;
    enum mqtt_version version;

    assert_int_equal(codec_connect_decode(&c, 0, body, &version), REASON_SUCCESS);
    assert_int_equal(c.version, version);
    return c;
}

static void test_connect_decode_fills_fields(void **state)
{
    struct bytes body = hex_bytes(V5(
        "EE") "23 1100000E10 21000A 2700001000 220005 1901 1700 15 0001 'm' 16 0001 AA"
              "26 0001 'k' 0001 'v'" ID "0F 02 0000003C 18 00000007 01 01 03 0000" WILL USER PASS);
    struct mqtt_connect c = decoded(body);

    (void)state;
    assert_true(c.clean_start);
    assert_false(c.is_bridge);
    assert_int_equal(c.keep_alive_s, 60);
    assert_int_equal(c.session_expiry_s, 3600);
    assert_int_equal(c.receive_max, 10);
    assert_int_equal(c.packet_size_max, 4096);
    assert_int_equal(c.topic_alias_max, 5);
    assert_true(c.wants_response_info);
    assert_false(c.wants_problem_info);
    assert_true(c.has_auth_method && c.has_auth_data);
    assert_true(hex_equals(c.auth_method, "'m'"));
    assert_true(hex_equals(c.auth_data, "AA"));
    assert_true(hex_equals(c.client_id, "'id'"));
    assert_true(c.has_username && hex_equals(c.username, "'u'"));
    assert_true(c.has_password && hex_equals(c.password, "'p'"));
    hex_free(body);
}

static void test_connect_decode_fills_will(void **state)
{
    struct bytes body = hex_bytes(V5("2E") "00" ID "0F 02 0000003C 18 00000007 01 01 03 0000" WILL);
    struct mqtt_connect c = decoded(body);

    (void)state;
    assert_true(c.has_will);
    assert_true(hex_equals(c.will.topic, "'w'"));
    assert_true(hex_equals(c.will.payload, "'hi'"));
    assert_int_equal(c.will.qos, QOS_AT_LEAST_ONCE);
    assert_true(c.will.retain);
    assert_true(c.will.has_expiry);
    assert_int_equal(c.will.expiry_s, 60);
    assert_int_equal(c.will_delay_s, 7);
    assert_false(c.will.properties_pass);
    assert_int_equal(c.will.properties.size, 15);
    hex_free(body);
}

static void test_connect_decode_sets_defaults(void **state)
{
    static const struct {
        const char *hex;
        uint32_t session_expiry_s;
    } cases[] = {
        {V5("00") "00" ID, 0},
        {V311("02") ID, 0},
        {V311("00") ID, SESSION_NEVER_EXPIRES},
        {V31("00") ID, SESSION_NEVER_EXPIRES},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes body = hex_bytes(cases[i].hex);
        struct mqtt_connect c = decoded(body);
        assert_int_equal(c.session_expiry_s, cases[i].session_expiry_s);
        assert_int_equal(c.receive_max, 65535);
        assert_int_equal(c.packet_size_max, 0);
        assert_int_equal(c.topic_alias_max, 0);
        assert_true(c.wants_problem_info);
        assert_false(c.wants_response_info);
        assert_false(c.has_will || c.has_username || c.has_password);
        hex_free(body);
    }
}

static void test_connect_decode_lets_31_leave_the_login_out(void **state)
{
    struct bytes none = hex_bytes(V31("C2") ID);
    struct bytes user = hex_bytes(V31("C2") ID USER);
    struct bytes bridge = hex_bytes("0006 'MQIsdp' 83 02 003C " ID);

    (void)state;
    assert_false(decoded(none).has_username || decoded(none).has_password);
    assert_true(decoded(user).has_username && !decoded(user).has_password);
    assert_true(decoded(bridge).is_bridge);
    hex_free(none);
    hex_free(user);
    hex_free(bridge);
}

static void assert_connack(const struct mqtt_connack *p, enum mqtt_version version, size_t size,
                           const char *wanted)
{
    uint8_t *memory = malloc(size);
    size_t written = codec_connack_encode(p, version, memory, size);

    if (!hex_equals((struct bytes){memory, written}, wanted))
        fail_msg("wanted %s", wanted);
    free(memory);
}

static void test_connack_encode_for_older_clients(void **state)
{
    struct mqtt_connack ok = {.session_present = true, .receive_max = 5};
    struct mqtt_connack unknown_level = {.reason = REASON_UNSUPPORTED_PROTOCOL_VERSION};
    struct mqtt_connack banned = {.reason = REASON_NOT_AUTHORIZED, .session_present = true};
    struct mqtt_connack malformed = {.reason = REASON_MALFORMED_PACKET};

    (void)state;
    assert_connack(&ok, MQTT_V311, 4, "20 02 01 00");
    assert_connack(&ok, MQTT_V31, 4, "20 02 00 00"); /* the flag is of 3.1.1 */
    assert_connack(&unknown_level, MQTT_V311, 4, "20 02 00 01");
    assert_connack(&banned, MQTT_V311, 4, "20 02 00 05"); /* [MQTT-3.2.2-4] of 3.1.1 */
    assert_connack(&malformed, MQTT_V311, 4, "");         /* [MQTT-3.2.2-6] of 3.1.1 */
    assert_connack(&ok, MQTT_V311, 3, "");
}

static void test_connack_encode_writes_all_properties(void **state)
{
    struct mqtt_connack p = {.session_present = true,
                             .has_session_expiry = true,
                             .session_expiry_s = 1,
                             .receive_max = 2,
                             .has_qos_max = true,
                             .qos_max = 1,
                             .retain_unavailable = true,
                             .packet_size_max = 3,
                             .assigned_client_id = bytes_of("id"),
                             .topic_alias_max = 4,
                             .reason_string = bytes_of("ok"),
                             .wildcard_unavailable = true,
                             .subscription_id_unavailable = true,
                             .shared_unavailable = true,
                             .has_server_keep_alive = true,
                             .server_keep_alive_s = 5,
                             .response_info = bytes_of("r"),
                             .server_reference = bytes_of("s")};

    (void)state;
    assert_connack(&p, MQTT_V5, 128,
                   "20 32 01 00 2F 1100000001 12 0002 'id' 130005 1A 0001 'r' 1C 0001 's'"
                   "210002 220004 2401 2500 2700000003 2800 2900 2A00 1F 0002 'ok'");
}

static void test_connack_encode_keeps_to_size_and_codes(void **state)
{
    struct mqtt_connack plain = {.reason = REASON_SUCCESS};
    struct mqtt_connack refused = {.reason = REASON_BAD_USER_NAME_OR_PASSWORD,
                                   .session_present = true,
                                   .reason_string = bytes_of("no")};
    struct mqtt_connack odd = {.reason = REASON_SESSION_TAKEN_OVER};

    (void)state;
    assert_connack(&plain, MQTT_V5, 5, "20 03 00 00 00");
    assert_connack(&plain, MQTT_V5, 4, "");
    assert_connack(&refused, MQTT_V5, 10, "20 08 00 86 05 1F 0002 'no'"); /* [MQTT-3.2.2-6] */
    assert_connack(&refused, MQTT_V5, 9, "20 03 00 86 00");               /* [MQTT-3.2.2-19] */
    assert_connack(&odd, MQTT_V5, 5, "20 03 00 80 00");                   /* [MQTT-3.2.2-8] */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_decode_follows_the_table),
        cmocka_unit_test(test_connect_decode_refuses_every_truncation),
        cmocka_unit_test(test_connect_decode_refuses_flags_of_the_fixed_header),
        cmocka_unit_test(test_connect_decode_fills_fields),
        cmocka_unit_test(test_connect_decode_fills_will),
        cmocka_unit_test(test_connect_decode_sets_defaults),
        cmocka_unit_test(test_connect_decode_lets_31_leave_the_login_out),
        cmocka_unit_test(test_connack_encode_for_older_clients),
        cmocka_unit_test(test_connack_encode_writes_all_properties),
        cmocka_unit_test(test_connack_encode_keeps_to_size_and_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
