#include "worker/net/handoff.h"

#include "worker/net/conn.h"

#include "tests/unit/worker/net/net_fixture.h"

#include <errno.h>
#include <sys/resource.h>

enum { ARRIVALS_MAX = 4200 };

/* Two workers on one loop each: 0 sends, 1 receives. */
struct pair {
    struct net *net; /* worker 0 */
    struct loop *home_loop;
    struct handoff *away;
    struct handoff *home;
    int fds[2]; /* worker 1's inbox: written to, read from */
    int out[2];
    int unused[2];
    unsigned arrivals;
    int arrived[ARRIVALS_MAX];
    uint16_t listener_index;
    struct peer peer;
    uint8_t *pending;
    size_t pending_size;
};

static void on_arrival(void *owner, int fd, uint16_t listener_index, const struct peer *peer,
                       struct bytes pending)
{
    struct pair *p = owner;

    assert_true(p->arrivals < ARRIVALS_MAX);
    p->arrived[p->arrivals++] = fd;
    p->listener_index = listener_index;
    p->peer = *peer;
    free(p->pending);
    p->pending = malloc(pending.size + 1);
    memcpy(p->pending, pending.data, pending.size);
    p->pending_size = pending.size;
}

static void open_seqpacket(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* Arrivals at home go to `on_home`, with the pair itself when owner is NULL. */
static struct pair *open_pair_for(void **state, handoff_fn on_home, void *owner)
{
    struct pair *p = calloc(1, sizeof(*p));
    const char *reason;

    p->net = net_of(state);
    assert_int_equal(loop_open(&p->home_loop, p->net->kind, NULL, &reason), 0);
    open_seqpacket(p->fds);
    open_seqpacket(p->unused);
    p->out[0] = -1;
    p->out[1] = p->fds[0];
    p->away = handoff_new(p->net->loop, p->unused[1], p->out, 2, on_arrival, p);
    p->home = handoff_new(p->home_loop, p->fds[1], p->out, 2, on_home, owner != NULL ? owner : p);
    handoff_start(p->away);
    handoff_start(p->home);
    return p;
}

static struct pair *open_pair(void **state)
{
    return open_pair_for(state, on_arrival, NULL);
}

/* For so many connections under way. */
static struct pair *open_big_pair(void **state, unsigned count)
{
    net_need_descriptors(3 * count + 64);
    return open_pair(state);
}

static void close_pair(struct pair *p)
{
    handoff_free(p->away);
    handoff_free(p->home);
    loop_close(p->home_loop);
    for (unsigned i = 0; i < p->arrivals; i++)
        close(p->arrived[i]);
    for (unsigned i = 0; i < 2; i++) {
        close(p->fds[i]);
        close(p->unused[i]);
    }
    free(p->pending);
    free(p);
}

static void turn_both(struct pair *p)
{
    net_turn(p->net);
    assert_int_equal(loop_turn(p->home_loop, false, 0), 0);
}

/* A connection: returns the end to hand off, *ret_far is the client's. */
static int new_connection(int *ret_far)
{
    int fds[2];

    net_pair(fds);
    *ret_far = fds[1];
    return fds[0];
}

static int send_home(struct pair *p, int fd, const void *pending, size_t size)
{
    struct peer peer = {.address = {127, 0, 0, 1}, .port = 1883, .family = AF_INET};

    return handoff_send(p->away, 1, fd, 7, &peer, (struct bytes){pending, size});
}

static void test_handoff_moves_descriptor_and_bytes(void **state)
{
    struct pair *p = open_pair(state);
    char byte;
    int far;

    assert_int_equal(send_home(p, new_connection(&far), "pending", 7), 0);
    while (p->arrivals == 0)
        turn_both(p);
    assert_int_equal(p->listener_index, 7);
    struct peer_text text = peer_text(&p->peer);
    assert_string_equal(text.text, "127.0.0.1:1883");
    assert_int_equal(p->pending_size, 7);
    assert_memory_equal(p->pending, "pending", 7);
    net_write(p->arrived[0], "x", 1);
    assert_int_equal(recv(far, &byte, 1, 0), 1);
    close(far);
    close_pair(p);
}

static void test_handoff_without_bytes_and_with_most(void **state)
{
    struct pair *p = open_pair(state);
    uint8_t *most = calloc(1, HANDOFF_BYTES_MAX + 1);
    int far[3];

    most[HANDOFF_BYTES_MAX - 1] = 42;
    assert_int_equal(send_home(p, new_connection(&far[0]), NULL, 0), 0);
    while (p->arrivals < 1)
        turn_both(p);
    assert_int_equal(p->pending_size, 0);
    assert_int_equal(send_home(p, new_connection(&far[1]), most, HANDOFF_BYTES_MAX), 0);
    while (p->arrivals < 2)
        turn_both(p);
    assert_int_equal(p->pending_size, HANDOFF_BYTES_MAX);
    assert_int_equal(p->pending[HANDOFF_BYTES_MAX - 1], 42);
    assert_int_equal(send_home(p, new_connection(&far[2]), most, HANDOFF_BYTES_MAX + 1), -EMSGSIZE);
    assert_int_equal(recv(far[2], most, 1, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        close(far[i]);
    free(most);
    close_pair(p);
}

/* The inbox is not read for a while: connections wait, and all arrive. */
static void test_handoff_waits_while_the_inbox_is_full(void **state)
{
    enum { COUNT = 900 };
    struct pair *p = open_big_pair(state, COUNT);
    int far[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(send_home(p, new_connection(&far[i]), &i, sizeof(i)), 0);
    assert_true(net_count_turns(p->net, 60) < 60); /* retried, not spun */
    uint64_t end_ms = clock_now_ms() + 3000;
    while (p->arrivals < COUNT) {
        assert_true(clock_now_ms() < end_ms);
        assert_int_equal(loop_turn(p->net->loop, true, clock_now_ms() + 1), 0);
        assert_int_equal(loop_turn(p->home_loop, false, 0), 0);
    }
    for (unsigned i = 0; i < COUNT; i++)
        close(far[i]);
    close_pair(p);
}

static void test_handoff_gives_up_on_a_home_that_never_reads(void **state)
{
    enum { COUNT = 900 };
    struct pair *p = open_big_pair(state, COUNT);
    int far[COUNT];
    char byte;

    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(send_home(p, new_connection(&far[i]), NULL, 0), 0);
    clock_skew_ms(6000);
    net_turns(p->net, 3);
    assert_int_equal(recv(far[COUNT - 1], &byte, 1, MSG_DONTWAIT), 0);
    for (unsigned i = 0; i < COUNT; i++)
        close(far[i]);
    close_pair(p);
}

static void test_handoff_refuses_beyond_its_bound(void **state)
{
    struct pair *p = open_pair(state);
    struct peer peer = {0};
    int result = 0;
    unsigned count = 0;

    while (result == 0) {
        int fd = dup(p->unused[0]);
        if (fd < 0)
            break; /* the descriptor limit comes first */
        result = handoff_send(p->away, 1, fd, 0, &peer, (struct bytes){0});
        count += result == 0;
        assert_true(count < 20000);
    }
    assert_true(result == -ENOBUFS || result == 0);
    close_pair(p);
}

static void test_handoff_passes_errors_through(void **state)
{
    struct pair *p = open_pair(state);

    assert_int_equal(send_home(p, -ENOMEM, NULL, 0), -ENOMEM);
    close_pair(p);
}

/* -- from connection to connection -- */

struct worker {
    struct conn_context context;
    struct output_pool pool;
    struct handoff *handoff;
    unsigned packets;
    bool is_home;
};

static void on_packet(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct worker *w = conn->context->owner;
    uint8_t *pending;
    size_t size;

    w->packets++;
    if (w->is_home) {
        if (header->type == PACKET_CONNECT)
            conn_open(conn, 0);
        return;
    }
    struct bytes packet = {body.data - header->header_size, body.size + header->header_size};
    struct peer peer = conn->peer;
    int fd = conn_detach(conn, packet, &pending, &size);
    assert_int_equal(handoff_send(w->handoff, 1, fd, 0, &peer, (struct bytes){pending, size}), 0);
    free(pending);
}

static void on_drained(struct conn *conn)
{
    (void)conn;
}

static void on_end(struct conn *conn, enum mqtt_reason reason)
{
    (void)reason;
    assert_true(((struct worker *)conn->context->owner)->is_home);
}

static const struct conn_events EVENTS = {on_packet, on_drained, on_end};

static void on_home(void *owner, int fd, uint16_t listener_index, const struct peer *peer,
                    struct bytes pending)
{
    struct worker *w = owner;

    conn_start(conn_new(&w->context, fd, listener_index, peer, pending));
}

static void turn_workers(struct pair *p, struct worker *workers)
{
    turn_both(p);
    for (unsigned i = 0; i < 2; i++) {
        conn_resume_all(&workers[i].context);
        conn_flush_all(&workers[i].context);
    }
}

/* Clients that write on and on while their connection moves: no byte is lost. */
static void test_handoff_of_talking_clients(void **state)
{
    enum { COUNT = 200, PINGS = 20 };
    static const char CONNECT[] = "\x10\x0c\0\4MQTT\4\2\0\0\0\0\xC0\0\xC0";
    static struct layout_slot slot;
    static const struct conf_tunable TUNABLE = {.packet_size_max = 1 << 20,
                                                .connect_timeout_s = 10};
    struct worker w[2] = {{.is_home = false}, {.is_home = true}};
    struct pair *p = open_pair_for(state, on_home, &w[1]);
    struct loop *loops[2] = {p->net->loop, p->home_loop};
    int far[COUNT];

    w[0].handoff = p->away;
    for (unsigned i = 0; i < 2; i++) {
        output_pool_init(&w[i].pool);
        conn_context_init(&w[i].context, loops[i], &w[i].pool, &EVENTS, &TUNABLE,
                          (struct stats){&slot});
        w[i].context.owner = &w[i];
    }
    for (unsigned i = 0; i < COUNT; i++)
        on_home(&w[0], new_connection(&far[i]), 0, &p->peer, (struct bytes){0});
    for (unsigned i = 0; i < COUNT; i++)
        net_write(far[i], CONNECT, sizeof(CONNECT) - 1);
    for (unsigned k = 0; k < PINGS; k++) {
        for (unsigned i = 0; i < COUNT; i++)
            net_write(far[i], "\0\xC0", 2);
        turn_workers(p, w);
    }
    for (unsigned i = 0; i < 5000 && w[1].packets < COUNT * (2 + PINGS); i++)
        turn_workers(p, w);
    assert_int_equal(w[0].packets, COUNT);
    assert_int_equal(w[1].packets, COUNT * (2 + PINGS));
    assert_int_equal(w[0].context.count, 0);
    assert_int_equal(w[1].context.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        close(far[i]);
    while (w[1].context.count > 0)
        turn_workers(p, w);
    for (unsigned i = 0; i < 2; i++) {
        conn_context_done(&w[i].context);
        output_pool_done(&w[i].pool);
    }
    close_pair(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_handoff_moves_descriptor_and_bytes),
        BACKENDS(test_handoff_without_bytes_and_with_most),
        BACKENDS(test_handoff_waits_while_the_inbox_is_full),
        BACKENDS(test_handoff_gives_up_on_a_home_that_never_reads),
        BACKENDS(test_handoff_refuses_beyond_its_bound),
        BACKENDS(test_handoff_passes_errors_through),
        BACKENDS(test_handoff_of_talking_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
