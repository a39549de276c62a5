#include "worker/net/loop.h"

#include "tests/unit/worker/net/loop_probe.h"

#include <errno.h>
#include <sys/eventfd.h>

/* Fills the socket: the send can't be done before the far end reads. */
static void send_too_much(struct probe *p, char *memory, size_t size)
{
    struct iovec iov = {memory, size};
    int small = 4096;

    setsockopt(p->socket.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    while (send(p->socket.fd, memory, 1024, MSG_DONTWAIT) > 0)
        ;
    loop_send(&p->socket, &iov, 1);
}

/* -- sending -- */

static void test_send_one_and_many_pieces(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char pieces[LOOP_IOV_MAX];
    struct iovec iov[LOOP_IOV_MAX];
    char seen[LOOP_IOV_MAX];

    probe_open(net, &p);
    for (unsigned i = 0; i < LOOP_IOV_MAX; i++) {
        pieces[i] = (char)('0' + i);
        iov[i] = (struct iovec){&pieces[i], 1};
    }
    for (unsigned count = 1; count <= LOOP_IOV_MAX; count++) {
        struct iovec copy[LOOP_IOV_MAX];
        memcpy(copy, iov, sizeof(iov));
        p.sends = 0;
        loop_send(&p.socket, copy, count);
        memset(copy, 0, sizeof(copy)); /* the array may change */
        assert_true(loop_is_sending(&p.socket));
        assert_int_equal(p.sends, 0);
        net_until(net, p.sends == 1);
        assert_false(loop_is_sending(&p.socket));
        assert_int_equal(recv(p.far, seen, sizeof(seen), 0), (ssize_t)count);
        assert_memory_equal(seen, pieces, count);
    }
    probe_close(net, &p);
}

static void test_send_from_many_sockets_in_one_turn(void **state)
{
    enum { COUNT = 1500 }; /* more than submission entries */
    struct net *net = net_of(state);
    char piece[8] = "abcdefg";

    net_need_descriptors(2 * COUNT + 64);
    struct probe *probes = calloc(COUNT, sizeof(*probes));
    for (unsigned i = 0; i < COUNT; i++)
        probe_open(net, &probes[i]);
    for (unsigned i = 0; i < COUNT; i++) {
        struct iovec iov[3] = {{piece, 1}, {piece + 1, 1}, {piece + 2, 1}};
        loop_send(&probes[i].socket, iov, 1 + i % 3);
    }
    for (unsigned i = 0; i < COUNT; i++)
        net_until(net, probes[i].sends == 1);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(probes[i].sent, 1 + i % 3);
        assert_int_equal(recv(probes[i].far, piece, sizeof(piece), 0), 1 + i % 3);
        loop_socket_close(&probes[i].socket);
    }
    for (unsigned i = 0; i < COUNT; i++)
        probe_close(net, &probes[i]);
    free(probes);
}

static void test_send_waits_for_room(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char memory[4096] = {0};
    char sink[4096];

    probe_open(net, &p);
    send_too_much(&p, memory, sizeof(memory));
    net_turns(net, 5);
    assert_int_equal(p.sends, 0);
    assert_true(net_count_turns(net, 50) <= 2);
    while (recv(p.far, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
    net_until(net, p.sends == 1);
    assert_true(p.sent >= 0);
    probe_close(net, &p);
}

static void test_send_to_gone_peer_is_an_error(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char byte = 'x';
    struct iovec iov = {&byte, 1};

    probe_open(net, &p);
    close(p.far);
    p.far = -1;
    loop_send(&p.socket, &iov, 1);
    net_until(net, p.sends == 1);
    assert_int_equal(p.sent, -EPIPE);
    probe_close(net, &p);
}

static void test_shutdown_ends_one_direction(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char byte;

    probe_open(net, &p);
    loop_receive(&p.socket);
    loop_socket_shutdown(&p.socket);
    assert_int_equal(recv(p.far, &byte, 1, 0), 0);
    net_write(p.far, "still", 5);
    net_until(net, p.size == 5);
    probe_close(net, &p);
}

/* -- closing -- */

static void test_close_is_told_in_a_later_turn(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_socket_close(&p.socket);
    assert_false(p.is_closed);
    net_until(net, p.is_closed);
    close(p.far);
}

static void test_close_with_receive_and_data_in_flight(void **state)
{
    struct net *net = net_of(state);

    for (unsigned turns = 0; turns < 4; turns++) {
        struct probe p;
        probe_open(net, &p);
        loop_receive(&p.socket);
        net_turns(net, turns);
        net_write(p.far, "x", 1);
        loop_socket_close(&p.socket);
        net_until(net, p.is_closed);
        assert_int_equal(p.size, 0);
        net_turns(net, 2);
        close(p.far);
    }
}

static void test_close_with_send_in_flight(void **state)
{
    struct net *net = net_of(state);
    char *memory = malloc(1 << 20);
    struct probe p;

    memset(memory, 1, 1 << 20);
    probe_open(net, &p);
    loop_receive(&p.socket);
    send_too_much(&p, memory, 1 << 20);
    net_turns(net, 3);
    loop_socket_close(&p.socket);
    net_until(net, p.is_closed);
    free(memory); /* nothing may read it any more */
    assert_int_equal(p.sends, 0);
    net_turns(net, 3);
    close(p.far);
}

static void test_close_from_callbacks(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char byte = 'x';
    struct iovec iov = {&byte, 1};

    probe_open(net, &p);
    p.closes_on_data = true;
    loop_receive(&p.socket);
    net_write(p.far, "x", 1);
    net_until(net, p.is_closed);
    close(p.far);
    probe_open(net, &p);
    p.closes_on_sent = true;
    loop_receive(&p.socket);
    net_write(p.far, "x", 1);
    loop_send(&p.socket, &iov, 1);
    net_until(net, p.is_closed);
    close(p.far);
}

/* As of a connection that came by hand-off and ends before the sender has closed
 * its copy of the descriptor. */
static void test_close_ends_events_while_a_copy_is_open(void **state)
{
    struct net *net = net_of(state);
    static const struct loop_socket zero;
    struct probe p;

    probe_open(net, &p);
    int copy = dup(p.socket.fd);
    loop_receive(&p.socket);
    net_turns(net, 3);
    loop_socket_close(&p.socket);
    net_until(net, p.is_closed);
    memset(&p.socket, 0, sizeof(p.socket)); /* its owner may have freed it */
    net_write(p.far, "x", 1);
    close(p.far);
    net_turns(net, 3);
    assert_memory_equal(&p.socket, &zero, sizeof(zero));
    close(copy);
}

/* All orders of stop, start and close within a few turns. */
static void test_cancel_races(void **state)
{
    struct net *net = net_of(state);

    srand(11);
    for (unsigned round = 0; round < 300; round++) {
        struct probe p;
        size_t written = 0;
        probe_open(net, &p);
        for (unsigned step = 0; step < 8; step++) {
            switch (rand() % 4) {
            case 0:
                loop_receive(&p.socket);
                break;
            case 1:
                loop_receive_stop(&p.socket);
                break;
            case 2:
                net_write(p.far, "y", 1);
                written++;
                break;
            default:
                net_turn(net);
            }
        }
        if (round % 2 == 0) {
            loop_receive(&p.socket);
            net_until(net, p.size == written);
        }
        probe_close(net, &p);
        assert_true(p.size <= written);
    }
}

/* -- time and other descriptors -- */

struct tick {
    struct wheel_timer timer;
    unsigned count;
};

static void on_tick(struct wheel_timer *timer, void *context)
{
    assert_null(context);
    ((struct tick *)timer)->count++;
}

static void test_turn_wakes_for_a_timer(void **state)
{
    struct net *net = net_of(state);
    struct tick tick = {.count = 0};
    uint64_t start_ms = clock_now_ms();

    wheel_timer_init(&tick.timer, on_tick);
    wheel_start(loop_wheel(net->loop), &tick.timer, loop_now_ms(net->loop) + 30);
    while (tick.count == 0)
        assert_int_equal(loop_turn(net->loop, true, UINT64_MAX), 0);
    assert_in_range(clock_now_ms() - start_ms, 29, 200);
}

static void test_turn_idle_sleeps(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive(&p.socket);
    net_turns(net, 3);
    assert_true(net_count_turns(net, 100) <= 2);
    probe_close(net, &p);
}

struct bell {
    struct loop_watch watch;
    unsigned count;
    int fd;
};

static void on_readable(struct loop_watch *watch)
{
    ((struct bell *)watch)->count++;
}

static void test_watch_tells_each_edge_once(void **state)
{
    struct net *net = net_of(state);
    struct bell bell = {.watch.on_readable = on_readable, .fd = eventfd(0, EFD_NONBLOCK)};
    uint64_t value;

    loop_watch_start(net->loop, &bell.watch, bell.fd);
    net_turns(net, 2);
    assert_int_equal(bell.count, 0);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(eventfd_write(bell.fd, 1), 0);
        net_until(net, bell.count == i);
        net_turns(net, 3);
        assert_int_equal(bell.count, i);
        assert_int_equal(eventfd_read(bell.fd, &value), 0);
    }
    assert_true(net_count_turns(net, 50) <= 2);
    close(bell.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_send_one_and_many_pieces),
        BACKENDS(test_send_from_many_sockets_in_one_turn),
        BACKENDS(test_send_waits_for_room),
        BACKENDS(test_send_to_gone_peer_is_an_error),
        BACKENDS(test_shutdown_ends_one_direction),
        BACKENDS(test_close_is_told_in_a_later_turn),
        BACKENDS(test_close_with_receive_and_data_in_flight),
        BACKENDS(test_close_with_send_in_flight),
        BACKENDS(test_close_from_callbacks),
        BACKENDS(test_close_ends_events_while_a_copy_is_open),
        BACKENDS(test_cancel_races),
        BACKENDS(test_turn_wakes_for_a_timer),
        BACKENDS(test_turn_idle_sleeps),
        BACKENDS(test_watch_tells_each_edge_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
