/*
 * The benchmark's floor: what moving the bytes costs on the worker's own loop,
 * buffers and streams, without a broker. It answers CONNECT and SUBSCRIBE, and
 * from then on copies what publisher <prefix>p<i> sends to subscriber
 * <prefix>s<i> without looking at it (QoS 0 only); with --fanout, what
 * <prefix>p0 sends goes to every subscriber.
 */

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/mqtt/codec_connect.h"
#include "common/mqtt/codec_subscribe.h"
#include "common/mqtt/frame.h"
#include "worker/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CLIENTS_MAX = 16384, /* of each kind */
    HELLO_SIZE_MAX = 2048,
    ANSWER_SIZE_MAX = 256,
    WAITING_MAX = 256 * 1024,
    LISTEN_BACKLOG = 4096
};

struct relay;

struct client {
    struct stream stream;
    struct list_node flush_node;
    struct relay *relay;
    struct client *source;    /* subscriber: whose bytes it gets last */
    unsigned congested_count; /* publisher: subscribers with too much waiting */
    unsigned index;
    enum mqtt_version version;
    char kind; /* 'p', 's', or 0 before CONNECT */
    bool is_relaying;
    bool is_congested;
    bool has_ended;
    size_t hello_size;
    uint8_t hello[HELLO_SIZE_MAX]; /* packets before the relaying */
};

struct relay {
    struct loop *loop;
    struct output_pool pool;
    struct loop_acceptor acceptor;
    struct list_node flush;
    struct client *publishers[CLIENTS_MAX];
    struct client *subscribers[CLIENTS_MAX];
    unsigned subscriber_end; /* all are below */
    bool is_fanout;
};

static struct client *client_of(struct stream *stream)
{
    return list_owner(stream, struct client, stream);
}

static void end_client(struct client *c)
{
    if (c->has_ended)
        return;
    c->has_ended = true;
    struct client **table = c->kind == 'p' ? c->relay->publishers : c->relay->subscribers;
    if (c->kind != 0 && table[c->index] == c)
        table[c->index] = NULL;
    list_remove(&c->flush_node);
    stream_close(&c->stream);
}

/* -- output -- */

static void put(struct client *c, struct bytes data)
{
    uint8_t *room = output_reserve(&c->stream.output, &c->relay->pool, data.size);

    if (room == NULL)
        fatal("no memory");
    memcpy(room, data.data, data.size);
    output_commit(&c->stream.output, data.size);
    if (!list_is_linked(&c->flush_node))
        list_push_back(&c->relay->flush, &c->flush_node);
}

static void flush_all(struct relay *r)
{
    struct list_node *node;

    while ((node = list_first(&r->flush)) != NULL) {
        list_remove(node);
        stream_flush(&list_owner(node, struct client, flush_node)->stream);
    }
}

static void copy_to(struct client *publisher, struct client *subscriber, struct bytes data)
{
    if (subscriber == NULL)
        return;
    put(subscriber, data);
    subscriber->source = publisher;
    if (subscriber->is_congested || subscriber->stream.output.size <= WAITING_MAX)
        return;
    subscriber->is_congested = true;
    if (publisher->congested_count++ == 0)
        stream_receive_stop(&publisher->stream);
}

static void uncongest(struct client *subscriber)
{
    struct client *source = subscriber->source;

    if (!subscriber->is_congested)
        return;
    subscriber->is_congested = false;
    if (--source->congested_count == 0 && !source->has_ended)
        stream_receive(&source->stream);
}

static void relay_bytes(struct client *publisher, struct bytes data)
{
    struct relay *r = publisher->relay;

    if (!r->is_fanout) {
        copy_to(publisher, r->subscribers[publisher->index], data);
        return;
    }
    for (unsigned i = 0; i < r->subscriber_end; i++)
        copy_to(publisher, r->subscribers[i], data);
}

/* -- the few packets that are understood -- */

/* The kind and index at the end of a client id: "...p17". */
static bool take_place(struct client *c, struct bytes id)
{
    unsigned scale = 1;
    size_t at = id.size;

    while (at > 0 && id.data[at - 1] >= '0' && id.data[at - 1] <= '9' && scale < CLIENTS_MAX * 10) {
        c->index += scale * (unsigned)(id.data[--at] - '0');
        scale *= 10;
    }
    if (at == 0 || at == id.size || c->index >= CLIENTS_MAX)
        return false;
    c->kind = (char)id.data[at - 1];
    if (c->kind == 'p')
        c->relay->publishers[c->index] = c;
    else if (c->kind == 's')
        c->relay->subscribers[c->index] = c;
    if (c->kind == 's' && c->index >= c->relay->subscriber_end)
        c->relay->subscriber_end = c->index + 1;
    return c->kind == 'p' || c->kind == 's';
}

static bool on_connect(struct client *c, const struct frame_header *header, struct bytes body)
{
    struct mqtt_connect connect;
    const struct mqtt_connack connack = {.reason = REASON_SUCCESS};
    uint8_t memory[ANSWER_SIZE_MAX];

    if (header->type != PACKET_CONNECT ||
        codec_connect_decode(&connect, header->flags, body, &c->version) != REASON_SUCCESS ||
        !take_place(c, connect.client_id))
        return false;
    size_t size = codec_connack_encode(&connack, c->version, memory, sizeof(memory));
    put(c, (struct bytes){memory, size});
    c->is_relaying = c->kind == 'p';
    return true;
}

static bool on_subscribe(struct client *c, const struct frame_header *header, struct bytes body)
{
    static const uint8_t codes[ANSWER_SIZE_MAX / 2] = {REASON_GRANTED_QOS_0};
    struct mqtt_subscribe subscribe;
    uint8_t memory[ANSWER_SIZE_MAX];

    if (header->type != PACKET_SUBSCRIBE ||
        codec_subscribe_decode(&subscribe, c->version, header->flags, body) != REASON_SUCCESS ||
        subscribe.filter_count > sizeof(codes))
        return false;
    struct mqtt_suback suback = {.packet_id = subscribe.packet_id,
                                 .codes = {codes, subscribe.filter_count}};
    size_t size = codec_suback_encode(&suback, c->version, memory, sizeof(memory));
    put(c, (struct bytes){memory, size});
    c->is_relaying = true;
    return true;
}

/* Handles one packet at the front of what is kept. False: it is not whole yet, or
 * it ended the client. */
static bool take_hello(struct client *c)
{
    struct bytes kept = {c->hello, c->hello_size};
    struct frame_header header;

    if (kept.size == 0 || frame_parse(kept, &header) != FRAME_HEADER)
        return false;
    size_t size = header.header_size + header.remaining_size;
    if (size > kept.size)
        return false;
    struct bytes body = {c->hello + header.header_size, header.remaining_size};
    bool is_good = c->kind == 0 ? on_connect(c, &header, body) : on_subscribe(c, &header, body);
    if (!is_good) {
        end_client(c);
        return false;
    }
    c->hello_size -= size;
    memmove(c->hello, c->hello + size, c->hello_size);
    return true;
}

static void on_data(struct stream *stream, struct bytes data)
{
    struct client *c = client_of(stream);

    if (c->is_relaying) {
        if (c->kind == 'p')
            relay_bytes(c, data);
        return;
    }
    if (data.size > HELLO_SIZE_MAX - c->hello_size) {
        end_client(c);
        return;
    }
    memcpy(c->hello + c->hello_size, data.data, data.size);
    c->hello_size += data.size;
    while (!c->is_relaying && take_hello(c))
        ;
    if (c->is_relaying && c->kind == 'p' && c->hello_size > 0)
        relay_bytes(c, (struct bytes){c->hello, c->hello_size});
}

/* -- clients -- */

static void on_end(struct stream *stream, int error)
{
    (void)error;
    end_client(client_of(stream));
}

static void on_drained(struct stream *stream, size_t sent)
{
    (void)sent;
    if (stream->output.size <= WAITING_MAX / 2)
        uncongest(client_of(stream));
}

static void on_closed(struct stream *stream)
{
    struct client *c = client_of(stream);
    struct relay *r = c->relay;

    uncongest(c);
    for (unsigned i = 0; i < r->subscriber_end && c->kind == 'p'; i++) {
        struct client *subscriber = r->subscribers[i];
        if (subscriber != NULL && subscriber->source == c)
            subscriber->is_congested = false;
    }
    free(c);
}

static const struct stream_events events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void on_accept(struct loop_acceptor *acceptor, int fd_or_error)
{
    struct relay *r = list_owner(acceptor, struct relay, acceptor);

    if (fd_or_error < 0)
        fatal("accept: %s", strerror(-fd_or_error));
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        fatal("no memory");
    c->relay = r;
    list_init(&c->flush_node);
    stream_open_plain(&c->stream, r->loop, &r->pool, fd_or_error, &events);
    stream_receive(&c->stream);
}

/* -- start -- */

static int listen_on(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        fatal("can't listen on port %u: %s", port, strerror(errno));
    printf("listening on port %u\n", ntohs(address.sin_port));
    return fd;
}

static enum conf_event_loop loop_named(const char *name)
{
    if (strcmp(name, "auto") == 0)
        return CONF_LOOP_AUTO;
    if (strcmp(name, "io_uring") == 0)
        return CONF_LOOP_URING;
    if (strcmp(name, "epoll") == 0)
        return CONF_LOOP_EPOLL;
    fprintf(stderr, "--loop is auto, io_uring or epoll\n");
    exit(2);
}

struct options {
    uint16_t port; /* 0: any */
    enum conf_event_loop loop;
    bool is_fanout;
};

static struct options parse(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"port", required_argument, NULL, 'p'},
        {"loop", required_argument, NULL, 'l'},
        {"fanout", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.loop = CONF_LOOP_AUTO};
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'p':
            o.port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            o.loop = loop_named(optarg);
            break;
        case 'f':
            o.is_fanout = true;
            break;
        default:
            fprintf(stderr, "usage: %s [--port P] [--loop auto|io_uring|epoll] [--fanout]\n",
                    argv[0]);
            exit(2);
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    struct relay *r = calloc(1, sizeof(*r));
    const char *reason;

    if (r == NULL)
        fatal("no memory");
    int error = loop_open(&r->loop, o.loop, NULL, &reason);
    if (error < 0)
        fatal("no event loop: %s", reason);
    printf("event loop: %s\n", reason);
    r->is_fanout = o.is_fanout;
    list_init(&r->flush);
    output_pool_init(&r->pool);
    r->acceptor.fd = listen_on(o.port);
    r->acceptor.on_accept = on_accept;
    fflush(stdout);
    error = loop_accept(r->loop, &r->acceptor);
    while (error == 0) {
        error = loop_turn(r->loop, true, UINT64_MAX);
        flush_all(r);
    }
    fatal("the event loop failed: %s", strerror(-error));
}
