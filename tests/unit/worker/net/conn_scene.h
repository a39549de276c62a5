#ifndef COURTIER_TESTS_UNIT_WORKER_NET_CONN_SCENE_H
#define COURTIER_TESTS_UNIT_WORKER_NET_CONN_SCENE_H

#include "shm/listener_count.h"
#include "tests/unit/worker/net/net_fixture.h"
#include "worker/net/conn.h"

enum { TRANSCRIPT_MAX = 64 * 1024, SCENE_LISTENER = 3 };

/* A connection under test, the far end of its socket, and what was told. */
struct scene {
    struct net *net;
    struct output_pool pool;
    struct conf_tunable tunable;
    struct conn_context context;
    struct conn *conn;
    int far;
    char told[TRANSCRIPT_MAX]; /* first byte and body of each packet */
    size_t told_size;
    unsigned packets;
    unsigned drained;
    unsigned ends;
    enum mqtt_reason reason;
    void (*on_packet)(struct conn *conn, struct bytes body); /* after the transcript; or NULL */
    struct layout_slot slot;
};

static inline struct scene *scene_of(struct conn *conn)
{
    return conn->context->owner;
}

static inline void on_packet(struct conn *conn, const struct frame_header *header,
                             struct bytes body)
{
    struct scene *s = scene_of(conn);

    assert_int_equal(s->ends, 0);
    assert_int_equal(body.size, header->remaining_size);
    assert_true(s->told_size + body.size < TRANSCRIPT_MAX);
    s->told[s->told_size++] = (char)((unsigned)header->type << 4 | header->flags);
    if (body.size > 0)
        memcpy(s->told + s->told_size, body.data, body.size);
    s->told_size += body.size;
    s->packets++;
    if (header->type == PACKET_CONNECT && s->on_packet == NULL)
        conn_open(conn, 0);
    if (s->on_packet != NULL)
        s->on_packet(conn, body);
}

static inline void on_drained(struct conn *conn)
{
    scene_of(conn)->drained++;
}

static inline void on_end(struct conn *conn, enum mqtt_reason reason)
{
    struct scene *s = scene_of(conn);

    s->ends++;
    s->reason = reason;
}

static const struct conn_events EVENTS = {on_packet, on_drained, on_end};

static inline void add_conn(struct scene *s)
{
    static const struct peer PEER = {.family = AF_UNIX};
    int fds[2];

    net_pair(fds);
    s->far = fds[1];
    s->conn = conn_new(&s->context, fds[0], SCENE_LISTENER, &PEER, (struct bytes){0});
    assert_non_null(s->conn);
    s->told_size = 0;
    s->packets = 0;
    s->ends = 0;
    conn_start(s->conn);
}

static inline void open_scene(struct scene *s, void **state)
{
    memset(s, 0, sizeof(*s));
    s->net = net_of(state);
    output_pool_init(&s->pool);
    s->tunable = (struct conf_tunable){
        .packet_size_max = 1 << 20,
        .connect_timeout_s = 10,
        .output_buffer_max = 80000,
    };
    conn_context_init(&s->context, s->net->loop, &s->pool, &EVENTS, &s->tunable,
                      (struct stats){&s->slot});
    s->context.owner = s;
    add_conn(s);
}

static inline void take_turn(struct scene *s)
{
    net_turn(s->net);
    while (conn_resume_all(&s->context))
        ;
    conn_flush_all(&s->context);
}

static inline void take_turns(struct scene *s, unsigned count)
{
    while (count-- > 0)
        take_turn(s);
}

#define turns_until(s, condition) \
    for (unsigned turns_left = 20000; !(condition); turns_left--) { \
        assert_true(turns_left > 0); \
        take_turn(s); \
    }

/* The far end goes, and everything must go with it. */
static inline void close_far(struct scene *s)
{
    close(s->far);
    turns_until(s, s->context.count == 0);
    assert_int_equal(s->ends, 1);
}

static inline void close_scene(struct scene *s)
{
    if (s->context.count > 0)
        close_far(s);
    else
        close(s->far);
    assert_int_equal(stats_get(s->context.stats, STAT_sockets_open), 0);
    assert_int_equal(s->slot.listener_connections[SCENE_LISTENER], 0);
    conn_context_done(&s->context);
    output_pool_done(&s->pool);
}

#define CONN_CONNECT "\x10\x0c\0\4MQTT\5\2\0\0\0\0"
enum { CONN_CONNECT_SIZE = sizeof(CONN_CONNECT) - 1 };
#define CONN_PING "\xC0\0"

static inline void connect_far(struct scene *s, enum mqtt_version version)
{
    net_write(s->far, CONN_CONNECT, CONN_CONNECT_SIZE);
    turns_until(s, s->packets == 1);
    take_turns(s, 2);
    s->conn->version = (uint8_t)version;
    s->told_size = 0;
    s->packets = 0;
}

/* What the far end has got; the flag tells whether the end came behind it. */
static inline size_t read_far(struct scene *s, char *memory, size_t size, bool *ret_has_ended)
{
    size_t total = 0;
    ssize_t r = 0;

    while (total < size && (r = recv(s->far, memory + total, size - total, MSG_DONTWAIT)) > 0)
        total += (size_t)r;
    *ret_has_ended = total < size && r == 0;
    return total;
}

static inline void expect_far(struct scene *s, const char *bytes, size_t size, bool has_ended)
{
    char seen[256];
    bool ended;

    assert_int_equal(read_far(s, seen, sizeof(seen), &ended), size);
    assert_memory_equal(seen, bytes, size);
    assert_int_equal(ended, has_ended);
}

/* A DISCONNECT with this code and reason string, then the end. */
static inline void expect_disconnect_far(struct scene *s, uint8_t code, const char *words)
{
    uint8_t size = (uint8_t)strlen(words);
    char bytes[256] = {'\xE0', (char)(size + 5), (char)code, (char)(size + 3), '\x1F',
                       0,      (char)size};

    memcpy(bytes + 7, words, size);
    expect_far(s, bytes, 7U + size, true);
}

#endif
