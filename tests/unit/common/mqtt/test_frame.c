#include "common/mqtt/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/common/mqtt/hex.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static enum frame_state parse(const char *hex, struct frame_header *ret_header)
{
    struct bytes b = hex_bytes(hex);
    enum frame_state state = frame_parse(b, ret_header);

    hex_free(b);
    return state;
}

static void test_parse_reads_every_length_form(void **state)
{
    static const struct {
        const char *hex;
        struct frame_header wanted;
    } rows[] = {
        {"C0 00", {PACKET_PINGREQ, 0, 2, 0}},
        {"3D 7F", {PACKET_PUBLISH, 0xD, 2, 127}},
        {"10 80 01", {PACKET_CONNECT, 0, 3, 128}},
        {"82 FF 7F", {PACKET_SUBSCRIBE, 2, 3, 16383}},
        {"30 80 80 01", {PACKET_PUBLISH, 0, 4, 16384}},
        {"30 FF FF FF 7F 55", {PACKET_PUBLISH, 0, 5, PACKET_REMAINING_MAX}},
        {"0F 01", {PACKET_RESERVED, 0xF, 2, 1}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct frame_header h;
        assert_int_equal(parse(rows[i].hex, &h), FRAME_HEADER);
        assert_int_equal(h.type, rows[i].wanted.type);
        assert_int_equal(h.flags, rows[i].wanted.flags);
        assert_int_equal(h.header_size, rows[i].wanted.header_size);
        assert_int_equal(h.remaining_size, rows[i].wanted.remaining_size);
        assert_true(frame_is_shortest(&h));
    }
}

static void test_parse_waits_for_the_rest(void **state)
{
    static const char *const rows[] = {"", "10", "10 80", "10 FF FF", "10 80 80 80"};
    struct frame_header h;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(parse(rows[i], &h), FRAME_PARTIAL);
}

/* No wait for a fifth byte. */
static void test_parse_refuses_long_length_at_its_fourth_byte(void **state)
{
    struct frame_header h;

    (void)state;
    assert_int_equal(parse("C0 FF FF FF FF", &h), FRAME_MALFORMED);
    assert_int_equal(parse("C0 FF FF FF FF 01", &h), FRAME_MALFORMED);
    assert_int_equal(parse("C0 80 80 80 80 00", &h), FRAME_MALFORMED);
}

/* [MQTT-1.5.5-1] */
static void test_is_shortest_sees_padding(void **state)
{
    static const char *const rows[] = {"C0 80 00", "C0 80 80 00", "C0 FF 80 80 00", "C0 FF 80 00"};
    struct frame_header h;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(parse(rows[i], &h), FRAME_HEADER);
        assert_false(frame_is_shortest(&h));
    }
}

static void test_encode_is_read_back(void **state)
{
    static const uint32_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint8_t memory[FRAME_HEADER_MAX];
        struct writer w = writer_of(memory, sizeof(memory));
        struct frame_header h;
        frame_encode(&w, PACKET_PUBREL, 2, sizes[i]);
        size_t written = sizeof(memory) - writer_left(&w);
        assert_false(w.bad);
        assert_int_equal(frame_parse((struct bytes){memory, written}, &h), FRAME_HEADER);
        assert_int_equal(h.type, PACKET_PUBREL);
        assert_int_equal(h.flags, 2);
        assert_int_equal(h.remaining_size, sizes[i]);
        assert_int_equal(h.header_size, written);
        assert_int_equal(frame_size(sizes[i]), written + sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_reads_every_length_form),
        cmocka_unit_test(test_parse_waits_for_the_rest),
        cmocka_unit_test(test_parse_refuses_long_length_at_its_fourth_byte),
        cmocka_unit_test(test_is_shortest_sees_padding),
        cmocka_unit_test(test_encode_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
