#include "worker/net/accept.h"

#include "shm/listener_count.h"
#include "tests/unit/worker/net/net_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

enum { ACCEPTED_MAX = 512 };

struct scene {
    struct net *net;
    struct region region;
    struct inherit_listener listeners[2];
    struct conf conf;
    struct conf_listener confs[2];
    struct inherit inherit;
    struct conf_tunable tunable;
    struct accept_group *group;
    struct sockaddr_in addresses[2];
    unsigned count;
    int accepted[ACCEPTED_MAX];
    uint16_t last_index;
    struct peer last_peer;
};

static void on_socket(void *owner, int fd, uint16_t listener_index, const struct peer *peer)
{
    struct scene *s = owner;

    assert_true(s->count < ACCEPTED_MAX);
    s->accepted[s->count++] = fd;
    s->last_index = listener_index;
    s->last_peer = *peer;
}

static int listen_on_loopback(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, size), 0);
    assert_int_equal(listen(fd, 512), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

static void listen_scene(struct scene *s, void **state)
{
    memset(s, 0, sizeof(*s));
    s->net = net_of(state);
    hash_start();
    assert_int_equal(region_open(&s->region, 1, 64 * 1024, false), 0);
    list_init(&s->conf.listeners);
    for (unsigned i = 0; i < 2; i++) {
        s->listeners[i].fd = listen_on_loopback(&s->addresses[i]);
        s->listeners[i].listener_index = 5 + i;
        s->confs[i] = (struct conf_listener){.index = (uint16_t)(5 + i), .connections_max = -1};
        list_push_back(&s->conf.listeners, &s->confs[i].node);
    }
    s->inherit = (struct inherit){
        .region = &s->region,
        .conf = &s->conf,
        .listeners = s->listeners,
        .listener_count = 2,
    };
    s->tunable = (struct conf_tunable){.connections_max = -1, .set_tcp_nodelay = true};
}

static void start_scene(struct scene *s)
{
    s->group = accept_start(s->net->loop, &s->inherit, &s->tunable, on_socket, s);
}

static void open_scene(struct scene *s, void **state)
{
    listen_scene(s, state);
    start_scene(s);
}

static void close_scene(struct scene *s)
{
    for (unsigned i = 0; i < s->count; i++)
        close(s->accepted[i]);
    accept_free(s->group);
    for (unsigned i = 0; i < 2; i++)
        close(s->listeners[i].fd);
    region_close(&s->region);
}

/* A client's connection, or -1 at the descriptor limit. */
static int dial(const struct scene *s, unsigned listener)
{
    const struct sockaddr_in *address = &s->addresses[listener];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t r = recv(fd, &byte, 1, MSG_DONTWAIT);

    return r == 0 || (r < 0 && errno == ECONNRESET);
}

static void test_accept_gives_ready_sockets(void **state)
{
    struct scene s;
    struct sockaddr_in own;
    socklen_t size = sizeof(own);
    int is_nodelay;
    socklen_t option_size = sizeof(is_nodelay);
    char byte;

    open_scene(&s, state);
    int fd = dial(&s, 1);
    net_until(s.net, s.count == 1);
    assert_int_equal(s.last_index, 6);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    assert_int_equal(s.last_peer.family, AF_INET);
    assert_int_equal(s.last_peer.port, ntohs(own.sin_port));
    assert_int_equal(recv(s.accepted[0], &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN); /* non-blocking */
    assert_int_equal(getsockopt(s.accepted[0], IPPROTO_TCP, TCP_NODELAY, &is_nodelay, &option_size),
                     0);
    assert_true(is_nodelay);
    close(fd);
    close_scene(&s);
}

static void test_accept_takes_a_crowd(void **state)
{
    enum { COUNT = 300 };
    struct scene s;
    int fds[COUNT];

    open_scene(&s, state);
    for (unsigned i = 0; i < COUNT; i++)
        fds[i] = dial(&s, i % 2);
    net_until(s.net, s.count == COUNT);
    assert_true(net_count_turns(s.net, 50) <= 2);
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i]);
    close_scene(&s);
}

static void test_accept_follows_a_changed_nodelay(void **state)
{
    struct scene s;
    int is_nodelay;
    socklen_t size = sizeof(is_nodelay);

    open_scene(&s, state);
    s.tunable.set_tcp_nodelay = false;
    int first = dial(&s, 0); /* in the kernel's hands before we know */
    net_until(s.net, s.count == 1);
    int second = dial(&s, 0);
    net_until(s.net, s.count == 2);
    assert_int_equal(getsockopt(s.accepted[1], IPPROTO_TCP, TCP_NODELAY, &is_nodelay, &size), 0);
    assert_false(is_nodelay);
    close(first);
    close(second);
    close_scene(&s);
}

static void test_accept_closes_beyond_connections_max(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.tunable.connections_max = 2;
    stats_set(stats_of(&s.region, 0), STAT_sockets_open, 2);
    int fd = dial(&s, 0);
    net_until(s.net, is_closed(fd));
    assert_int_equal(s.count, 0);
    stats_set(stats_of(&s.region, 0), STAT_sockets_open, 1);
    int next = dial(&s, 0);
    net_until(s.net, s.count == 1);
    close(fd);
    close(next);
    close_scene(&s);
}

static void test_accept_closes_beyond_limit_of_listener(void **state)
{
    struct scene s;

    open_scene(&s, state);
    s.confs[0].connections_max = 1;
    listener_count_add(stats_of(&s.region, 1), 5); /* of another process */
    int refused = dial(&s, 0);
    net_until(s.net, is_closed(refused));
    assert_int_equal(s.count, 0);
    int other = dial(&s, 1);
    net_until(s.net, s.count == 1);
    listener_count_subtract(stats_of(&s.region, 1), 5);
    int next = dial(&s, 0);
    net_until(s.net, s.count == 2);
    assert_int_equal(s.last_index, 5);
    close(refused);
    close(other);
    close(next);
    close_scene(&s);
}

static void test_accept_stop_takes_no_more(void **state)
{
    struct scene s;

    open_scene(&s, state);
    accept_stop(s.group);
    net_turns(s.net, 3);
    int fd = dial(&s, 0);
    net_turns(s.net, 5);
    assert_int_equal(s.count, 0);
    close(fd);
    close_scene(&s);
}

/* At the limit: no spinning, clients are refused one by one, and all is well
 * again when descriptors are back. */
static void test_accept_at_descriptor_limit(void **state)
{
    enum { COUNT = 20 };
    struct scene s;
    struct rlimit old;
    int fds[COUNT];
    unsigned refused = 0;

    listen_scene(&s, state);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (unsigned i = 0; i < COUNT; i++)
        fds[i] = dial(&s, 0);
    /* Numbers below the highest one are all taken. */
    struct rlimit tight = {.rlim_cur = (rlim_t)fds[COUNT - 1] + 3, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    start_scene(&s); /* io_uring takes the limit as it is now */
    unsigned turns = net_count_turns(s.net, 400);
    unsigned taken = s.count;
    for (unsigned i = 0; i < COUNT; i++)
        refused += is_closed(fds[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(taken < COUNT);
    assert_true(refused > 0);
    assert_true(turns < 60);
    net_until(s.net, s.count == COUNT - refused);
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i]);
    close_scene(&s);
}

static void test_accept_goes_on_after_distrust(void **state)
{
    enum { COUNT = 20 };
    struct scene s;
    int fds[COUNT];

    open_scene(&s, state);
    net_turns(s.net, 2);
    struct loop_acceptor acceptor = {.fd = -1, .loop = s.net->loop};
    loop_accept_distrust(&acceptor); /* one by one from now on, on all listeners */
    for (unsigned i = 0; i < COUNT; i++) {
        fds[i] = dial(&s, i % 2);
        net_until(s.net, s.count == i + 1);
    }
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i]);
    close_scene(&s);
}

/* -- the loop's own acceptor -- */

struct gate {
    struct loop_acceptor acceptor;
    unsigned count;
};

static void on_accept(struct loop_acceptor *acceptor, int fd_or_error)
{
    assert_true(fd_or_error >= 0);
    close(fd_or_error);
    ((struct gate *)acceptor)->count++;
}

static void test_loop_accept_stop_and_start(void **state)
{
    struct scene s = {.net = net_of(state)};
    struct gate *gate = calloc(1, sizeof(*gate));
    int fds[60];

    srand(5);
    gate->acceptor.fd = listen_on_loopback(&s.addresses[0]);
    gate->acceptor.on_accept = on_accept;
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(loop_accept(s.net->loop, &gate->acceptor), 0);
        if (rand() % 2)
            net_turn(s.net);
        fds[i] = dial(&s, 0);
        if (rand() % 2)
            net_turn(s.net);
        loop_accept_stop(&gate->acceptor);
        if (i == 30)
            loop_accept_distrust(&gate->acceptor);
        if (rand() % 2)
            net_turn(s.net);
    }
    assert_int_equal(loop_accept(s.net->loop, &gate->acceptor), 0);
    net_until(s.net, gate->count == 60);
    for (unsigned i = 0; i < 60; i++)
        close(fds[i]);
    loop_accept_stop(&gate->acceptor);
    net_turns(s.net, 3);
    close(gate->acceptor.fd);
    free(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKENDS(test_accept_gives_ready_sockets),
        BACKENDS(test_accept_takes_a_crowd),
        BACKENDS(test_accept_follows_a_changed_nodelay),
        BACKENDS(test_accept_closes_beyond_connections_max),
        BACKENDS(test_accept_closes_beyond_limit_of_listener),
        BACKENDS(test_accept_stop_takes_no_more),
        BACKENDS(test_accept_at_descriptor_limit),
        BACKENDS(test_accept_goes_on_after_distrust),
        BACKENDS(test_loop_accept_stop_and_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
