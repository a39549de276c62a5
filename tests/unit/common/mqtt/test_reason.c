#include "common/mqtt/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The table of reason codes by packet, in the order of the bits. */
static const struct {
    uint8_t value;
    uint8_t packets;
} wanted[] = {{0x00, 0xFF}, {0x01, 0x08}, {0x02, 0x08}, {0x04, 0x80}, {0x10, 0x02}, {0x11, 0x10},
              {0x18, 0x40}, {0x19, 0x40}, {0x80, 0xBB}, {0x81, 0xA1}, {0x82, 0xA1}, {0x83, 0xBB},
              {0x84, 0x01}, {0x85, 0x01}, {0x86, 0x01}, {0x87, 0x3B}, {0x88, 0x01}, {0x89, 0x21},
              {0x8A, 0x01}, {0x8B, 0x20}, {0x8C, 0x21}, {0x8D, 0x20}, {0x8E, 0x20}, {0x8F, 0x38},
              {0x90, 0xA3}, {0x91, 0x1A}, {0x92, 0x04}, {0x93, 0xA0}, {0x94, 0xA0}, {0x95, 0xA1},
              {0x96, 0xA0}, {0x97, 0xAB}, {0x98, 0xA0}, {0x99, 0xA3}, {0x9A, 0x21}, {0x9B, 0x21},
              {0x9C, 0x21}, {0x9D, 0x21}, {0x9E, 0x28}, {0x9F, 0x21}, {0xA0, 0x20}, {0xA1, 0x28},
              {0xA2, 0x28}};

enum { WANTED_COUNT = sizeof(wanted) / sizeof(wanted[0]) };

static void test_fits_follows_the_table(void **state)
{
    unsigned next = 0;

    (void)state;
    for (unsigned value = 0; value <= UINT8_MAX; value++) {
        unsigned packets = 0;
        if (next < WANTED_COUNT && wanted[next].value == value)
            packets = wanted[next++].packets;
        for (unsigned bit = 1; bit <= REASON_IN_CLIENT_DISCONNECT; bit <<= 1) {
            bool fits = reason_fits((uint8_t)value, (enum reason_packet)bit);
            if (fits != ((packets & bit) != 0))
                fail_msg("code 0x%02X, packet bit %u", value, bit);
        }
    }
    assert_int_equal(next, WANTED_COUNT);
}

static void test_text_names_every_code(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WANTED_COUNT; i++)
        assert_string_not_equal(reason_text((enum mqtt_reason)wanted[i].value), "unknown");
    assert_string_equal(reason_text(REASON_SESSION_TAKEN_OVER), "Session taken over");
    assert_string_equal(reason_text((enum mqtt_reason)0x03), "unknown");
    assert_string_equal(reason_text((enum mqtt_reason)0xFF), "unknown");
}

static void test_is_error_begins_at_0x80(void **state)
{
    (void)state;
    assert_false(reason_is_error(REASON_SUCCESS));
    assert_false(reason_is_error(REASON_NO_SUBSCRIPTION_EXISTED));
    assert_true(reason_is_error(REASON_UNSPECIFIED_ERROR));
    assert_true(reason_is_error(REASON_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED));
}

static void test_why_has_a_code_and_short_words(void **state)
{
    static const enum mqtt_reason all[] = {
#define WHY(name, reason, text) WHY_##name,
#include "common/mqtt/why_list.h"
#undef WHY
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_string_not_equal(reason_text(reason_code(all[i])), "unknown");
        assert_true(reason_is_error(all[i]));
        assert_in_range(strlen(reason_why(all[i])), 1, REASON_WHY_SIZE_MAX);
        assert_true(all[i] <= UINT16_MAX);
    }
    assert_int_equal(reason_code(WHY_WILL_QOS), REASON_MALFORMED_PACKET);
    assert_string_equal(reason_text(WHY_WILL_QOS), "Malformed Packet");
    assert_string_equal(reason_why(WHY_WILL_QOS), "a will with QoS 3");
    assert_string_equal(reason_why(REASON_BANNED), "Banned");
}

static void test_connack3_maps_to_five_codes(void **state)
{
    (void)state;
    assert_int_equal(reason_connack3(REASON_SUCCESS), 0);
    assert_int_equal(reason_connack3(REASON_UNSUPPORTED_PROTOCOL_VERSION), 1);
    assert_int_equal(reason_connack3(REASON_CLIENT_IDENTIFIER_NOT_VALID), 2);
    assert_int_equal(reason_connack3(REASON_SERVER_UNAVAILABLE), 3);
    assert_int_equal(reason_connack3(REASON_BAD_USER_NAME_OR_PASSWORD), 4);
    assert_int_equal(reason_connack3(REASON_NOT_AUTHORIZED), 5);
    assert_int_equal(reason_connack3(REASON_MALFORMED_PACKET), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits_follows_the_table),
        cmocka_unit_test(test_text_names_every_code),
        cmocka_unit_test(test_is_error_begins_at_0x80),
        cmocka_unit_test(test_why_has_a_code_and_short_words),
        cmocka_unit_test(test_connack3_maps_to_five_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
