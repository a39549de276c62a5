#include "common/mqtt/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *const valid[] = {
    "",
    "'a'",
    "'abcdefgh'",
    "'abcdefghijklmnopq'",
    "01 1F 7F",           /* controls pass */
    "C2 80",              /* U+0080 */
    "DF BF",              /* U+07FF */
    "E0 A0 80",           /* U+0800 */
    "ED 9F BF",           /* U+D7FF */
    "EE 80 80",           /* U+E000 */
    "EF BB BF 'a'",       /* [MQTT-1.5.4-3] */
    "EF BF BE EF BF BF",  /* noncharacters pass */
    "F0 90 80 80",        /* U+10000 */
    "F4 8F BF BF",        /* U+10FFFF */
    "'abcdefg' C3 A9 'h'" /* a sequence across two words */
};

static const char *const invalid[] = {
    "00",                         /* [MQTT-1.5.4-2] */
    "'abc' 00 'efghijk'",         /* in a whole word */
    "'abcdefghi' 00",             /* behind one */
    "80",                         /* continuation alone */
    "C3",                         /* cut off */
    "C3 28",                      /* wrong second byte */
    "C0 AF",                      /* overlong slash [MQTT-1.5.4-1] */
    "C1 BF",                      /* overlong */
    "E0 9F BF",                   /* overlong */
    "E2 82",                      /* cut off */
    "E2 82 28",                   /* wrong third byte */
    "ED A0 80",                   /* surrogate */
    "ED BF BF",                   /* surrogate */
    "ED A0 81 ED B0 80",          /* CESU-8 pair */
    "F0 8F BF BF",                /* overlong */
    "F0 9F 98",                   /* cut off */
    "F4 90 80 80",                /* U+110000 */
    "F5 80 80 80",                /* beyond */
    "FF",                         /* never a lead byte */
    "'abcdefghijklmno' E2 82 'x'" /* wrong byte near the end */
};

static void test_is_valid_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        struct bytes b = hex_bytes(valid[i]);
        if (!utf8_is_valid(b))
            fail_msg("refused: %s", valid[i]);
        hex_free(b);
    }
}

static void test_is_valid_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct bytes b = hex_bytes(invalid[i]);
        if (utf8_is_valid(b))
            fail_msg("accepted: %s", invalid[i]);
        hex_free(b);
    }
}

/* The slow way round: decode a code point and look at it. */
static bool is_well_formed(uint32_t code_point)
{
    return code_point != 0 && code_point <= 0x10FFFF &&
           !(code_point >= 0xD800 && code_point <= 0xDFFF);
}

static void test_is_valid_agrees_on_every_three_byte_form(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x10000; code_point++) {
        uint8_t b[3] = {(uint8_t)(0xE0 | code_point >> 12),
                        (uint8_t)(0x80 | (code_point >> 6 & 0x3F)),
                        (uint8_t)(0x80 | (code_point & 0x3F))};
        bool wanted = is_well_formed(code_point) && code_point >= 0x800;
        assert_int_equal(utf8_is_valid((struct bytes){b, sizeof(b)}), wanted);
    }
}

static void test_is_valid_agrees_on_every_four_byte_form(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x200000; code_point++) {
        uint8_t b[4] = {
            (uint8_t)(0xF0 | code_point >> 18), (uint8_t)(0x80 | (code_point >> 12 & 0x3F)),
            (uint8_t)(0x80 | (code_point >> 6 & 0x3F)), (uint8_t)(0x80 | (code_point & 0x3F))};
        bool wanted = is_well_formed(code_point) && code_point >= 0x10000;
        assert_int_equal(utf8_is_valid((struct bytes){b, sizeof(b)}), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_valid_accepts),
        cmocka_unit_test(test_is_valid_refuses),
        cmocka_unit_test(test_is_valid_agrees_on_every_three_byte_form),
        cmocka_unit_test(test_is_valid_agrees_on_every_four_byte_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
