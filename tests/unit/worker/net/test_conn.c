#include "worker/net/conn.h"

#include "tests/unit/worker/net/conn_scene.h"

/* -- keep-alive -- */

static void open_with_keep_alive(struct conn *conn, struct bytes body)
{
    (void)body;
    if (conn->state == CONN_FRESH)
        conn_open(conn, 10);
}

static void open_keep_alive_scene(struct scene *s, void **state)
{
    open_scene(s, state);
    s->on_packet = open_with_keep_alive;
    connect_far(s, MQTT_V5);
}

static void test_conn_keep_alive_restarts_with_each_packet(void **state)
{
    struct scene s;

    open_keep_alive_scene(&s, state);
    for (unsigned i = 1; i <= 5; i++) {
        clock_skew_ms(14000);
        net_write(s.far, CONN_PING, 2);
        turns_until(&s, s.packets == i);
    }
    clock_skew_ms(14000);
    take_turns(&s, 3);
    assert_int_equal(s.ends, 0);
    clock_skew_ms(1500);
    turns_until(&s, s.ends == 1);
    assert_int_equal(s.reason, REASON_KEEP_ALIVE_TIMEOUT);
    take_turns(&s, 3);
    expect_disconnect_far(&s, REASON_KEEP_ALIVE_TIMEOUT, "Keep Alive timeout");
    close_scene(&s);
}

static void test_conn_keep_alive_counts_whole_packets(void **state)
{
    struct scene s;

    open_keep_alive_scene(&s, state);
    net_write(s.far, "\x30\x7F", 2);
    for (unsigned i = 0; i < 16 && s.ends == 0; i++) {
        clock_skew_ms(1000);
        net_write(s.far, "x", 1);
        take_turns(&s, 3);
    }
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.reason, REASON_KEEP_ALIVE_TIMEOUT);
    close_scene(&s);
}

static void test_conn_keep_alive_spares_the_held(void **state)
{
    struct scene s;

    open_keep_alive_scene(&s, state);
    conn_hold(s.conn);
    for (unsigned i = 0; i < 5; i++) {
        clock_skew_ms(14000);
        take_turns(&s, 3);
    }
    conn_unhold(s.conn);
    clock_skew_ms(14000);
    take_turns(&s, 3);
    assert_int_equal(s.ends, 0);
    clock_skew_ms(1500);
    turns_until(&s, s.ends == 1);
    close_scene(&s);
}

static void open_with_longest(struct conn *conn, struct bytes body)
{
    (void)body;
    conn_open(conn, 65535);
}

static void test_conn_keep_alive_longest(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.on_packet = open_with_longest;
    connect_far(&s, MQTT_V5);
    clock_skew_ms(98302000);
    take_turns(&s, 5);
    assert_int_equal(s.ends, 0);
    clock_skew_ms(1600000); /* the wheel is late by 1/64 at most */
    turns_until(&s, s.ends == 1);
    close_scene(&s);
}

static void test_conn_connect_timeout(void **state)
{
    struct scene s;

    open_scene(&s, state);
    clock_skew_ms(9000);
    take_turns(&s, 3);
    assert_int_equal(s.ends, 0);
    net_write(s.far, CONN_CONNECT, 4);
    take_turns(&s, 3);
    clock_skew_ms(1200);
    turns_until(&s, s.context.count == 0);
    assert_int_equal(s.ends, 1);
    expect_far(&s, "", 0, true);
    close_scene(&s);
}

/* -- output -- */

static void put(struct scene *s, size_t size)
{
    uint8_t *room = conn_reserve(s->conn, size);

    assert_non_null(room);
    memset(room, 'x', size);
    conn_commit(s->conn, size);
}

static void test_conn_output_is_sent_once_per_turn(void **state)
{
    struct scene s;

    open_scene(&s, state);
    connect_far(&s, MQTT_V311);
    for (unsigned i = 0; i < 5; i++)
        put(&s, 1);
    assert_int_equal(conn_backlog(s.conn), 5);
    turns_until(&s, conn_backlog(s.conn) == 0);
    expect_far(&s, "xxxxx", 5, false);
    assert_int_equal(stats_get(s.context.stats, STAT_messages_sent), 5);
    assert_int_equal(stats_get(s.context.stats, STAT_bytes_sent), 5);
    close_scene(&s);
}

static void test_conn_drained_tells_at_low_water(void **state)
{
    struct scene s;
    char sink[20000];
    bool has_ended;
    size_t total = 0;

    open_scene(&s, state);
    connect_far(&s, MQTT_V311);
    put(&s, 9000);
    turns_until(&s, conn_backlog(s.conn) == 0);
    assert_int_equal(s.drained, 0);
    for (unsigned i = 0; i < 100; i++)
        put(&s, 10001);
    take_turns(&s, 5);
    assert_int_equal(s.drained, 0);
    while (total < 100 * 10001 + 9000) {
        total += read_far(&s, sink, sizeof(sink), &has_ended);
        take_turn(&s);
    }
    turns_until(&s, conn_backlog(s.conn) == 0);
    assert_int_equal(s.drained, 1);
    close_scene(&s);
}

/* -- closing -- */

static void test_conn_close_says_why_only_where_it_may(void **state)
{
    static const struct {
        enum mqtt_version version;
        enum mqtt_reason reason;
        const char *words; /* NULL: no DISCONNECT */
    } ROWS[] = {
        {MQTT_V5, REASON_SESSION_TAKEN_OVER, "Session taken over"},
        {MQTT_V5, WHY_WILL_QOS, "a will with QoS 3"},
        {MQTT_V311, REASON_SESSION_TAKEN_OVER, NULL},
        {MQTT_V5, REASON_SUCCESS, NULL},
        {MQTT_V5, REASON_DISCONNECT_WITH_WILL, NULL},
        {MQTT_V5, REASON_UNSUPPORTED_PROTOCOL_VERSION, NULL},
    };
    struct scene s;

    open_scene(&s, state);
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        connect_far(&s, ROWS[i].version);
        conn_close(s.conn, ROWS[i].reason);
        assert_null(conn_reserve(s.conn, 1));
        conn_close(s.conn, REASON_UNSPECIFIED_ERROR); /* ignored */
        assert_int_equal(s.ends, 0);
        turns_until(&s, s.ends == 1);
        assert_int_equal(s.reason, ROWS[i].reason);
        take_turns(&s, 3);
        if (ROWS[i].words != NULL)
            expect_disconnect_far(&s, (uint8_t)ROWS[i].reason, ROWS[i].words);
        else
            expect_far(&s, "", 0, true);
        close(s.far);
        turns_until(&s, s.context.count == 0);
        add_conn(&s);
    }
    close_scene(&s);
}

/* [MQTT-3.14.2-3]; below any DISCONNECT it goes without. */
static void test_conn_close_keeps_to_the_packet_size(void **state)
{
    static const struct {
        uint32_t max;
        size_t size;
    } ROWS[] = {{19, 19}, {18, 3}, {3, 3}, {2, 0}};
    static const char bytes[] = "\xE0\x11\x82\x0F\x1F\0\x0Cno such luck";
    struct scene s;

    open_scene(&s, state);
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        connect_far(&s, MQTT_V5);
        s.conn->packet_size_max = ROWS[i].max;
        conn_close_saying(s.conn, REASON_PROTOCOL_ERROR, "no such luck");
        turns_until(&s, s.ends == 1);
        take_turns(&s, 3);
        expect_far(&s, ROWS[i].size == 3 ? "\xE0\1\x82" : bytes, ROWS[i].size, true);
        close(s.far);
        turns_until(&s, s.context.count == 0);
        add_conn(&s);
    }
    close_scene(&s);
}

/* Bytes that the broker will not read must not turn the end into a reset. */
static void test_conn_close_survives_a_talking_peer(void **state)
{
    struct scene s;
    static char flood[100000];

    open_scene(&s, state);
    connect_far(&s, MQTT_V5);
    conn_hold(s.conn);
    take_turns(&s, 3);
    assert_true(send(s.far, flood, sizeof(flood), MSG_DONTWAIT) > 0);
    conn_close(s.conn, REASON_SERVER_SHUTTING_DOWN);
    turns_until(&s, s.ends == 1);
    for (unsigned i = 0; i < 10; i++) {
        send(s.far, flood, sizeof(flood), MSG_DONTWAIT | MSG_NOSIGNAL);
        take_turn(&s);
    }
    expect_disconnect_far(&s, REASON_SERVER_SHUTTING_DOWN, "Server shutting down");
    close_scene(&s);
}

static void test_conn_close_waits_one_second_for_a_stuck_peer(void **state)
{
    struct scene s;

    open_scene(&s, state);
    connect_far(&s, MQTT_V5);
    put(&s, 1000000);
    take_turns(&s, 3);
    conn_close(s.conn, REASON_QUOTA_EXCEEDED);
    take_turns(&s, 5);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.context.count, 1);
    clock_skew_ms(1100);
    turns_until(&s, s.context.count == 0);
    close_scene(&s);
}

static void close_at_second(struct conn *conn, struct bytes body)
{
    (void)body;
    if (conn->state == CONN_FRESH)
        conn_open(conn, 0);
    else
        conn_close(conn, REASON_PROTOCOL_ERROR);
}

static void test_conn_close_from_on_packet_drops_the_rest(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.on_packet = close_at_second;
    net_write(s.far, CONN_CONNECT, CONN_CONNECT_SIZE);
    net_write(s.far, "\xC0\0\xC0\0\xC0\0\xC0", 7);
    turns_until(&s, s.context.count == 0);
    assert_int_equal(s.packets, 2);
    assert_int_equal(s.reason, REASON_PROTOCOL_ERROR);
    close_scene(&s);
}

static void test_conn_context_done_ends_all(void **state)
{
    struct scene s;

    open_scene(&s, state);
    connect_far(&s, MQTT_V5);
    put(&s, 1000000);
    take_turns(&s, 2);
    conn_context_done(&s.context);
    assert_int_equal(s.ends, 0);
    output_pool_done(&s.pool);
    close(s.far);
}

/* -- hand-off -- */

static int detached_fd;
static uint8_t *detached;
static size_t detached_size;

static void detach(struct conn *conn, struct bytes body)
{
    struct bytes packet = {body.data - 2, body.size + 2};

    detached_fd = conn_detach(conn, packet, &detached, &detached_size);
}

static void test_conn_detach_takes_all_unread_bytes(void **state)
{
    struct scene s;
    char rest[8];

    open_scene(&s, state);
    s.on_packet = detach;
    net_write(s.far, CONN_CONNECT, 5);
    take_turns(&s, 2);
    net_write(s.far, &CONN_CONNECT[5], CONN_CONNECT_SIZE - 5);
    net_write(s.far, "\xC0\0\xC0", 3);
    turns_until(&s, s.packets == 1);
    assert_int_equal(s.context.count, 0);
    assert_int_equal(stats_get(s.context.stats, STAT_sockets_open), 0);
    net_write(s.far, "\0more", 5);
    take_turns(&s, 5);
    assert_int_equal(s.ends, 0);
    assert_memory_equal(detached, CONN_CONNECT, CONN_CONNECT_SIZE);
    assert_memory_equal(detached + CONN_CONNECT_SIZE, "\xC0\0\xC0",
                        detached_size - CONN_CONNECT_SIZE);
    assert_int_equal(recv(detached_fd, rest, sizeof(rest), 0),
                     5 + CONN_CONNECT_SIZE + 3 - (ssize_t)detached_size);
    free(detached);
    close(detached_fd);
    close_scene(&s);
}

static void test_conn_new_takes_pending_bytes(void **state)
{
    static const struct peer PEER = {.family = AF_UNIX};
    struct scene s;
    char pending[CONN_CONNECT_SIZE + 3];
    int fds[2];

    open_scene(&s, state);
    memcpy(pending, CONN_CONNECT, CONN_CONNECT_SIZE);
    memcpy(pending + CONN_CONNECT_SIZE, "\xC0\0\xC0", 3);
    net_pair(fds);
    struct conn *conn = conn_new(&s.context, fds[0], 0, &PEER,
                                 (struct bytes){(const uint8_t *)pending, sizeof(pending)});
    conn_start(conn);
    assert_int_equal(s.packets, 2);
    net_write(fds[1], "\0", 1);
    turns_until(&s, s.packets == 3);
    close(fds[1]);
    turns_until(&s, s.context.count == 1);
    s.ends = 0;
    close_scene(&s);
}

/* Many at once would keep the others of the turn waiting. */
static void test_conn_close_all_takes_some_per_turn(void **state)
{
    enum { COUNT = 300 };
    static const struct peer PEER = {.family = AF_UNIX};
    struct scene s;
    int fds[COUNT][2];

    open_scene(&s, state);
    for (unsigned i = 0; i < COUNT; i++) {
        net_pair(fds[i]);
        conn_start(conn_new(&s.context, fds[i][0], 0, &PEER, (struct bytes){0}));
    }
    conn_close_all(&s.context, REASON_SERVER_SHUTTING_DOWN);
    assert_int_equal(s.ends, 0);
    assert_true(conn_resume_all(&s.context));
    assert_in_range(s.ends, 1, COUNT / 2);
    turns_until(&s, s.context.count == 0);
    assert_int_equal(s.ends, COUNT + 1);
    assert_int_equal(s.reason, REASON_SERVER_SHUTTING_DOWN);
    assert_false(conn_resume_all(&s.context));
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i][1]);
    close_scene(&s);
}

static void test_conn_is_small(void **state)
{
    (void)state;
    print_message("sizeof(struct conn) is %zu\n", sizeof(struct conn));
    assert_true(sizeof(struct conn) <= 288);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_conn_keep_alive_restarts_with_each_packet),
        BACKENDS(test_conn_keep_alive_counts_whole_packets),
        BACKENDS(test_conn_keep_alive_spares_the_held),
        BACKENDS(test_conn_keep_alive_longest),
        BACKENDS(test_conn_connect_timeout),
        BACKENDS(test_conn_output_is_sent_once_per_turn),
        BACKENDS(test_conn_drained_tells_at_low_water),
        BACKENDS(test_conn_close_says_why_only_where_it_may),
        BACKENDS(test_conn_close_keeps_to_the_packet_size),
        BACKENDS(test_conn_close_survives_a_talking_peer),
        BACKENDS(test_conn_close_waits_one_second_for_a_stuck_peer),
        BACKENDS(test_conn_close_from_on_packet_drops_the_rest),
        BACKENDS(test_conn_context_done_ends_all),
        BACKENDS(test_conn_detach_takes_all_unread_bytes),
        BACKENDS(test_conn_new_takes_pending_bytes),
        BACKENDS(test_conn_close_all_takes_some_per_turn),
        cmocka_unit_test(test_conn_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
