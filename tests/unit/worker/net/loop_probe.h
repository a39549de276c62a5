#ifndef COURTIER_TESTS_UNIT_WORKER_NET_LOOP_PROBE_H
#define COURTIER_TESTS_UNIT_WORKER_NET_LOOP_PROBE_H

#include "tests/unit/worker/net/net_fixture.h"

/* One end of a socket pair in the loop; the test holds the other. */
struct probe {
    struct loop_socket socket;
    int far;
    char data[256];
    size_t size;
    unsigned pieces;
    unsigned ends;
    int error;
    unsigned sends;
    ptrdiff_t sent;
    bool is_closed;
    bool closes_on_data;
    bool closes_on_sent;
    bool again_on_data; /* receive_once */
};

static inline void on_data(struct loop_socket *socket, struct bytes data)
{
    struct probe *p = (struct probe *)socket;

    assert_false(p->is_closed);
    assert_true(data.size > 0);
    if (p->size + data.size <= sizeof(p->data))
        memcpy(p->data + p->size, data.data, data.size);
    p->size += data.size;
    p->pieces++;
    if (p->closes_on_data)
        loop_socket_close(socket);
    else if (p->again_on_data)
        loop_receive_once(socket);
}

static inline void on_end(struct loop_socket *socket, int error)
{
    struct probe *p = (struct probe *)socket;

    p->ends++;
    p->error = error;
}

static inline void on_sent(struct loop_socket *socket, ptrdiff_t result)
{
    struct probe *p = (struct probe *)socket;

    p->sends++;
    p->sent += result;
    if (p->closes_on_sent)
        loop_socket_close(socket);
}

static inline void on_closed(struct loop_socket *socket)
{
    ((struct probe *)socket)->is_closed = true;
}

static const struct loop_socket_ops PROBE_OPS = {on_data, on_end, on_sent, on_closed};

static inline void probe_open(struct net *net, struct probe *p)
{
    int fds[2];

    memset(p, 0, sizeof(*p));
    net_pair(fds);
    p->far = fds[1];
    loop_socket_init(net->loop, &p->socket, fds[0], &PROBE_OPS);
}

static inline void probe_close(struct net *net, struct probe *p)
{
    if (!loop_is_closing(&p->socket))
        loop_socket_close(&p->socket);
    net_until(net, p->is_closed);
    close(p->far);
}

#endif
