#include "worker/net/conn_input.h"

#include "tests/unit/worker/net/conn_scene.h"

/* -- cutting -- */

/* CONNECT, then packets with bodies of 0, 1, 127 and 300 bytes. */
static size_t make_stream(char *memory)
{
    static const char HEADS[][3] = {{'\xC0', 0}, {0x40, 1}, {0x30, 127}, {0x30, '\xAC', 2}};
    static const size_t HEAD_SIZES[] = {2, 2, 2, 3};
    static const size_t BODY_SIZES[] = {0, 1, 127, 300};
    size_t size = CONN_CONNECT_SIZE;

    memcpy(memory, CONN_CONNECT, CONN_CONNECT_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(memory + size, HEADS[i], HEAD_SIZES[i]);
        size += HEAD_SIZES[i];
        memset(memory + size, (int)('a' + i), BODY_SIZES[i]);
        size += BODY_SIZES[i];
    }
    return size;
}

static void test_conn_packets_split_at_every_byte(void **state)
{
    struct scene s;
    char stream[1024];
    size_t size = make_stream(stream);
    char expected[1024];
    size_t expected_size;

    open_scene(&s, state);
    net_write(s.far, stream, size);
    turns_until(&s, s.packets == 5);
    memcpy(expected, s.told, s.told_size);
    expected_size = s.told_size;
    close_far(&s);
    for (size_t at = 1; at < size; at++) {
        add_conn(&s);
        net_write(s.far, stream, at);
        take_turns(&s, 2);
        net_write(s.far, stream + at, size - at);
        turns_until(&s, s.packets == 5);
        assert_int_equal(s.told_size, expected_size);
        assert_memory_equal(s.told, expected, expected_size);
        assert_null(s.conn->partial);
        close_far(&s);
    }
    close_scene(&s);
}

static void test_conn_packets_byte_by_byte(void **state)
{
    struct scene s;
    char stream[1024];
    size_t size = make_stream(stream);

    open_scene(&s, state);
    for (size_t i = 0; i < size; i++) {
        net_write(s.far, stream + i, 1);
        take_turn(&s);
    }
    turns_until(&s, s.packets == 5);
    assert_int_equal(stats_get(s.context.stats, STAT_messages_received), 5);
    assert_int_equal(stats_get(s.context.stats, STAT_bytes_received), size);
    close_scene(&s);
}

static void test_conn_packets_many_in_one_read(void **state)
{
    struct scene s;
    char pings[2 * 500];

    open_scene(&s, state);
    connect_far(&s, MQTT_V311);
    for (unsigned i = 0; i < 500; i++)
        memcpy(pings + 2 * i, CONN_PING, 2);
    net_write(s.far, pings, sizeof(pings));
    turns_until(&s, s.packets == 500);
    assert_null(s.conn->partial);
    close_scene(&s);
}

/* Memory follows the bytes, not the claim. */
static void test_conn_big_packet_grows_with_its_bytes(void **state)
{
    struct scene s;
    char piece[1000] = {0x30, '\xC0', '\x84', 0x3D}; /* 1000000 bytes to come */

    open_scene(&s, state);
    connect_far(&s, MQTT_V311);
    net_write(s.far, piece, 100);
    turns_until(&s, s.conn->partial_size == 100);
    assert_in_range(s.conn->partial_capacity, 100, 256);
    net_write(s.far, piece, sizeof(piece));
    turns_until(&s, s.conn->partial_size == 1100);
    assert_in_range(s.conn->partial_capacity, 1100, 2200);
    close_scene(&s);
}

/* -- refusals -- */

static void test_conn_other_protocol_is_closed_quietly(void **state)
{
    struct scene s;

    open_scene(&s, state);
    net_write(s.far, "GET / HTTP/1.1\r\n", 16);
    turns_until(&s, s.context.count == 0);
    assert_int_equal(s.packets, 0);
    assert_int_equal(s.ends, 1);
    expect_far(&s, "", 0, true);
    close_scene(&s);
}

static void test_conn_connect_too_large_is_closed(void **state)
{
    struct scene s;

    open_scene(&s, state);
    net_write(s.far, "\x10\x80\x80\x08", 4); /* 131072 */
    turns_until(&s, s.context.count == 0);
    assert_int_equal(s.reason, REASON_PACKET_TOO_LARGE);
    close_scene(&s);
}

static void expect_disconnect(void **state, struct bytes input, enum mqtt_reason reason,
                              const char *words)
{
    struct scene s;

    open_scene(&s, state);
    connect_far(&s, MQTT_V5);
    net_write(s.far, (const char *)input.data, input.size);
    turns_until(&s, s.ends == 1);
    assert_int_equal(s.reason, reason);
    take_turns(&s, 3);
    expect_disconnect_far(&s, (uint8_t)reason, words);
    close_scene(&s);
}

static void test_conn_malformed_length(void **state)
{
    expect_disconnect(state, bytes_of("\x30\xFF\xFF\xFF\xFF\x01"), WHY_PACKET_LENGTH,
                      "the remaining length is malformed");
}

static void test_conn_packet_too_large(void **state)
{
    expect_disconnect(state, bytes_of("\x30\x80\x80\x40"), REASON_PACKET_TOO_LARGE,
                      "a packet of 1048580 bytes is above the limit of 1048576");
}

/* -- pausing -- */

static void hold_at_each(struct conn *conn, struct bytes body)
{
    (void)body;
    if (conn->state == CONN_FRESH)
        conn_open(conn, 0);
    else
        conn_hold(conn);
}

static void test_conn_hold_keeps_order(void **state)
{
    struct scene s;
    char expected[200];

    open_scene(&s, state);
    s.on_packet = hold_at_each;
    connect_far(&s, MQTT_V311);
    for (unsigned i = 0; i < 100; i++) {
        const char packet[] = {0x40, 1, (char)i};
        net_write(s.far, packet, 3);
        expected[2 * i] = 0x40;
        expected[2 * i + 1] = (char)i;
        if (i % 10 == 0)
            take_turn(&s);
    }
    for (unsigned i = 1; i <= 100; i++) {
        turns_until(&s, s.packets == i);
        take_turns(&s, 3);
        assert_int_equal(s.packets, i);
        conn_unhold(s.conn);
    }
    assert_memory_equal(s.told, expected, sizeof(expected));
    take_turns(&s, 3);
    assert_null(s.conn->partial);
    close_scene(&s);
}

static void test_conn_hold_is_counted(void **state)
{
    struct scene s;

    open_scene(&s, state);
    connect_far(&s, MQTT_V311);
    conn_hold(s.conn);
    conn_hold(s.conn);
    take_turns(&s, 3);
    net_write(s.far, CONN_PING, 2);
    take_turns(&s, 3);
    conn_unhold(s.conn);
    take_turns(&s, 3);
    assert_int_equal(s.packets, 0);
    conn_unhold(s.conn);
    turns_until(&s, s.packets == 1);
    close_scene(&s);
}

static void wait_at_first(struct conn *conn, struct bytes body)
{
    (void)body;
    if (conn->state == CONN_FRESH)
        conn_wait(conn);
}

static void test_conn_wait_leaves_packets_unread(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.on_packet = wait_at_first;
    net_write(s.far, CONN_CONNECT, CONN_CONNECT_SIZE);
    net_write(s.far, CONN_PING, 2);
    turns_until(&s, s.packets == 1);
    net_write(s.far, CONN_PING, 2);
    take_turns(&s, 5);
    assert_int_equal(s.packets, 1);
    conn_open(s.conn, 0);
    turns_until(&s, s.packets == 3);
    close_scene(&s);
}

static void test_conn_end_while_held_comes_after_the_packets(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.on_packet = hold_at_each;
    connect_far(&s, MQTT_V311);
    net_write(s.far, "\xC0\0\xC0\0\xC0\0", 6);
    turns_until(&s, s.packets == 1);
    shutdown(s.far, SHUT_WR);
    take_turns(&s, 5);
    assert_int_equal(s.ends, 0);
    s.on_packet = NULL;
    conn_unhold(s.conn);
    turns_until(&s, s.ends == 1);
    assert_int_equal(s.packets, 3);
    assert_int_equal(s.reason, REASON_SUCCESS);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_conn_packets_split_at_every_byte),
        BACKENDS(test_conn_packets_byte_by_byte),
        BACKENDS(test_conn_packets_many_in_one_read),
        BACKENDS(test_conn_big_packet_grows_with_its_bytes),
        BACKENDS(test_conn_other_protocol_is_closed_quietly),
        BACKENDS(test_conn_connect_too_large_is_closed),
        BACKENDS(test_conn_malformed_length),
        BACKENDS(test_conn_packet_too_large),
        BACKENDS(test_conn_hold_keeps_order),
        BACKENDS(test_conn_hold_is_counted),
        BACKENDS(test_conn_wait_leaves_packets_unread),
        BACKENDS(test_conn_end_while_held_comes_after_the_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
