#include "worker/net/loop.h"

#include "tests/unit/worker/net/loop_probe.h"

#include <errno.h>

/* -- receiving -- */

static void test_receive_data_then_end(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive(&p.socket);
    net_write(p.far, "one", 3);
    net_until(net, p.size == 3);
    net_write(p.far, "two", 3);
    net_until(net, p.size == 6);
    assert_memory_equal(p.data, "onetwo", 6);
    shutdown(p.far, SHUT_WR);
    net_until(net, p.ends == 1);
    assert_int_equal(p.error, 0);
    net_turns(net, 3);
    assert_int_equal(p.ends, 1);
    probe_close(net, &p);
}

static void test_receive_data_and_end_at_once(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive(&p.socket);
    net_turns(net, 2);
    net_write(p.far, "last", 4);
    shutdown(p.far, SHUT_WR);
    net_until(net, p.ends == 1);
    assert_int_equal(p.size, 4);
    probe_close(net, &p);
}

static void test_receive_once_takes_one_piece(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive_once(&p.socket);
    net_write(p.far, "one", 3);
    net_until(net, p.pieces == 1);
    net_write(p.far, "two", 3);
    net_turns(net, 5);
    assert_int_equal(p.pieces, 1);
    loop_receive_once(&p.socket);
    net_until(net, p.pieces == 2);
    assert_memory_equal(p.data, "onetwo", 6);
    probe_close(net, &p);
}

static void test_release_leaves_the_rest_unread(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    char rest[8];

    probe_open(net, &p);
    loop_receive_once(&p.socket);
    net_write(p.far, "one", 3);
    net_until(net, p.pieces == 1);
    int fd = loop_socket_release(&p.socket);
    net_write(p.far, "two", 3);
    memset(&p.socket, 0xA5, sizeof(p.socket)); /* the owner may free it */
    net_turns(net, 5);
    assert_int_equal(recv(fd, rest, sizeof(rest), 0), 3);
    close(fd);
    close(p.far);
}

static void test_receive_once_then_all(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive_once(&p.socket);
    net_turns(net, 2);
    loop_receive(&p.socket);
    for (unsigned i = 1; i <= 3; i++) {
        net_write(p.far, "abc", 3);
        net_until(net, p.size == 3 * i);
    }
    probe_close(net, &p);
}

/* Stops and starts at random while bytes stream in; each must come once, in order. */
static void test_stop_and_restart_loses_nothing(void **state)
{
    struct net *net = net_of(state);
    struct probe p;
    uint8_t next = 0;
    size_t written = 0;
    size_t seen = 0;

    srand(7);
    probe_open(net, &p);
    for (unsigned i = 0; i < 20000 || seen < written; i++) {
        uint8_t piece[64];
        size_t size = 1 + (size_t)rand() % sizeof(piece);
        for (size_t k = 0; k < size; k++)
            piece[k] = (uint8_t)(next + k);
        ssize_t sent = i < 20000 ? send(p.far, piece, size, MSG_DONTWAIT) : 0;
        next = (uint8_t)(next + (sent > 0 ? sent : 0));
        written += sent > 0 ? (size_t)sent : 0;
        for (int k = rand() % 3; k > 0; k--) {
            loop_receive_stop(&p.socket);
            if (rand() % 2 || i >= 20000)
                loop_receive(&p.socket);
        }
        if (i >= 20000)
            loop_receive(&p.socket);
        p.size = 0;
        net_turn(net);
        for (size_t k = 0; k < p.size && p.size <= sizeof(p.data); k++)
            assert_int_equal((uint8_t)p.data[k], (uint8_t)(seen + k));
        seen += p.size;
        assert_true(i < 100000);
    }
    assert_int_equal(seen, written);
    probe_close(net, &p);
}

static void test_stop_gives_nothing_new(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive(&p.socket);
    net_turns(net, 2);
    loop_receive_stop(&p.socket);
    net_turns(net, 3);
    net_write(p.far, "late", 4);
    net_turns(net, 5);
    assert_int_equal(p.size, 0);
    loop_receive(&p.socket);
    net_until(net, p.size == 4);
    probe_close(net, &p);
}

static void test_receive_reset_is_an_error(void **state)
{
    struct net *net = net_of(state);
    struct probe p;

    probe_open(net, &p);
    loop_receive(&p.socket);
    net_write(p.socket.fd, "unread", 6);
    close(p.far); /* with bytes unread: a reset */
    net_until(net, p.ends == 1);
    assert_int_equal(p.error, -ECONNRESET);
    p.far = -1;
    probe_close(net, &p);
}

/* -- buffers -- */

enum { HUNGRY = 40, MEAL = 1000 };

static void test_starved_sockets_all_get_their_bytes(void **state)
{
    static const struct loop_limits LIMITS = {.buffer_count = 2, .buffer_size = 64};
    struct net *net = net_of(state);
    static struct probe probes[HUNGRY];
    char meal[MEAL] = {0};
    size_t total = 0;

    net_reopen(net, &LIMITS);
    for (unsigned i = 0; i < HUNGRY; i++) {
        probe_open(net, &probes[i]);
        if (i % 2 == 0)
            loop_receive(&probes[i].socket);
        else
            loop_receive_once(&probes[i].socket);
        probes[i].again_on_data = i % 2 == 1;
    }
    net_turns(net, 2);
    for (unsigned i = 0; i < HUNGRY; i++)
        net_write(probes[i].far, meal, sizeof(meal));
    for (unsigned turns = 0; total < HUNGRY * MEAL; turns++) {
        net_turn(net);
        total = 0;
        for (unsigned i = 0; i < HUNGRY; i++)
            total += probes[i].size;
        assert_true(turns < HUNGRY * MEAL);
    }
    assert_true(net_count_turns(net, 100) <= 3);
    for (unsigned i = 0; i < HUNGRY; i++)
        probe_close(net, &probes[i]);
}

static void test_close_while_starved(void **state)
{
    static const struct loop_limits LIMITS = {.buffer_count = 1, .buffer_size = 16};
    struct net *net = net_of(state);
    static struct probe probes[HUNGRY];

    net_reopen(net, &LIMITS);
    for (unsigned i = 0; i < HUNGRY; i++) {
        probe_open(net, &probes[i]);
        probes[i].closes_on_data = i % 3 == 0;
        loop_receive(&probes[i].socket);
        net_write(probes[i].far, "0123456789abcdef0123456789abcdef", 32);
    }
    net_turn(net);
    for (unsigned i = 0; i < HUNGRY; i++)
        probe_close(net, &probes[i]);
}

static void test_many_sockets(void **state)
{
    enum { COUNT = 600 };
    struct net *net = net_of(state);
    unsigned done = 0;

    net_need_descriptors(2 * COUNT + 64);
    struct probe *probes = calloc(COUNT, sizeof(*probes));
    for (unsigned i = 0; i < COUNT; i++) {
        probe_open(net, &probes[i]);
        loop_receive(&probes[i].socket);
    }
    net_turns(net, 2);
    for (unsigned i = 0; i < COUNT; i++)
        net_write(probes[i].far, &i, sizeof(i));
    while (done < COUNT) {
        net_turn(net);
        done = 0;
        for (unsigned i = 0; i < COUNT; i++)
            done += probes[i].size == sizeof(i) && memcmp(probes[i].data, &i, sizeof(i)) == 0;
    }
    for (unsigned i = 0; i < COUNT; i++)
        loop_socket_close(&probes[i].socket);
    for (unsigned i = 0; i < COUNT; i++)
        probe_close(net, &probes[i]);
    free(probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_receive_data_then_end),
        BACKENDS(test_receive_data_and_end_at_once),
        BACKENDS(test_receive_once_takes_one_piece),
        BACKENDS(test_release_leaves_the_rest_unread),
        BACKENDS(test_receive_once_then_all),
        BACKENDS(test_stop_and_restart_loses_nothing),
        BACKENDS(test_stop_gives_nothing_new),
        BACKENDS(test_receive_reset_is_an_error),
        BACKENDS(test_starved_sockets_all_get_their_bytes),
        BACKENDS(test_close_while_starved),
        BACKENDS(test_many_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
