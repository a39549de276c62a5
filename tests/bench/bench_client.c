#include "tests/bench/bench_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    IN_SIZE = 256 * 1024,
    CLIENTS_PER_ADDRESS = 20000,
    ERRORS_SHOWN = 5,
    LOOPBACK_NET = 127,
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "courtier-bench: %s: %s\n", what, why);
    exit(2);
}

static void resolve_unix(struct bench_io *io, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&io->address;
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address->sun_path))
        die(path, "path too long");
    strcpy(address->sun_path, path);
    io->address_size = sizeof(*address);
}

static void resolve(struct bench_io *io, const struct bench_options *o)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", o->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int error = getaddrinfo(o->host, port, &hints, &found);
    if (error)
        die(o->host, gai_strerror(error));
    memcpy(&io->address, found->ai_addr, found->ai_addrlen);
    io->address_size = found->ai_addrlen;
    freeaddrinfo(found);
}

void bench_client_init_io(struct bench_io *io, const struct bench_plan *plan,
                          struct bench_shared *shared, uint32_t process)
{
    const struct bench_options *o = plan->options;
    *io = (struct bench_io){.plan = plan, .shared = shared, .slot = &shared->slots[process]};
    io->out_capacity = o->chunk_size + BENCH_WIRE_SMALL_MAX + BENCH_WIRE_TEXT_MAX + o->size;
    io->in = malloc(IN_SIZE);
    io->out = malloc(io->out_capacity);
    if (!io->in || !io->out)
        die("buffers", strerror(ENOMEM));
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (io->epoll < 0)
        die("epoll", strerror(errno));
    if (o->unix_path)
        resolve_unix(io, o->unix_path);
    else
        resolve(io, o);
}

void bench_client_done_io(struct bench_io *io)
{
    close(io->epoll);
    free(io->in);
    free(io->out);
}

void bench_client_fail(struct bench_io *io, const struct bench_client *c, const char *what)
{
    bench_counter_add(&io->slot->errors, 1);
    if (io->errors_shown++ >= ERRORS_SHOWN)
        return;
    char id[BENCH_WIRE_TEXT_MAX];
    bench_plan_client_id(io->plan, c->place, id);
    fprintf(stderr, "courtier-bench: %s: %s\n", id, what);
}

/* An address has some 28000 free ports, so many clients need several addresses. */
static void choose_source(const struct bench_io *io, const struct bench_client *c)
{
    const struct sockaddr_in *broker = (const struct sockaddr_in *)&io->address;
    if (broker->sin_family != AF_INET || ntohl(broker->sin_addr.s_addr) >> 24 != LOOPBACK_NET)
        return;
    uint32_t number = c->place.index / CLIENTS_PER_ADDRESS;
    if (number == 0)
        return;
    int on = 1;
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number)};
    bind(c->fd, (const struct sockaddr *)&source, sizeof(source));
}

bool bench_client_open(struct bench_io *io, struct bench_client *c)
{
    int family = io->address.ss_family;
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        bench_client_fail(io, c, strerror(errno));
        return false;
    }
    int on = 1;
    if (family != AF_UNIX)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    choose_source(io, c);
    c->since_ns = bench_shared_now_ns();
    int error = connect(c->fd, (const struct sockaddr *)&io->address, io->address_size);
    if (error && errno != EINPROGRESS) {
        bench_client_fail(io, c, strerror(errno));
        bench_client_close(c);
        return false;
    }
    c->state = BENCH_STATE_CONNECTING;
    c->wants_out = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    if (epoll_ctl(io->epoll, EPOLL_CTL_ADD, c->fd, &event))
        die("epoll", strerror(errno));
    return true;
}

bool bench_client_is_connected(const struct bench_client *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

static void drop(struct bench_buffer *b)
{
    free(b->data);
    *b = (struct bench_buffer){0};
}

void bench_client_close(struct bench_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = BENCH_STATE_CLOSED;
    c->wants_out = false;
    drop(&c->in);
    drop(&c->out);
}

/* The unconsumed bytes move to the front, and `size` more fit behind them. */
static void reserve(struct bench_buffer *b, size_t size)
{
    size_t left = b->size - b->at;
    if (b->at)
        memmove(b->data, b->data + b->at, left);
    b->at = 0;
    b->size = left;
    if (left + size <= b->capacity)
        return;
    uint8_t *data = realloc(b->data, left + size);
    if (!data)
        die("buffers", strerror(ENOMEM));
    b->data = data;
    b->capacity = left + size;
}

static void append(struct bench_buffer *b, const uint8_t *data, size_t size)
{
    reserve(b, size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Keeps an incomplete packet. One that is larger than the shared area gets all
 * of its room at once and is read in place from then on. */
static void keep(struct bench_client *c, const uint8_t *data, size_t size, size_t needed)
{
    c->in.size = 0;
    reserve(&c->in, needed > IN_SIZE ? needed : size);
    append(&c->in, data, size);
}

static bool is_in_place(const struct bench_client *c)
{
    return c->in.capacity > IN_SIZE;
}

/* Reads behind what was kept. Returns what read() does; *ret_data and *ret_size
 * are the kept and the new bytes. */
static ssize_t fill(struct bench_io *io, struct bench_client *c, uint8_t **ret_data,
                    size_t *ret_size)
{
    struct bench_buffer *in = &c->in;
    uint8_t *data = is_in_place(c) ? in->data : io->in;
    size_t room = (is_in_place(c) ? in->capacity : IN_SIZE) - in->size;
    if (!is_in_place(c) && in->size)
        memcpy(data, in->data, in->size);
    ssize_t got = read(c->fd, data + in->size, room);
    bench_counter_add(&io->slot->reads, 1);
    io->now_ns = bench_shared_now_ns();
    *ret_data = data;
    *ret_size = in->size + (got > 0 ? (size_t)got : 0);
    return got;
}

/* What is left after the last whole packet waits for more. */
static void keep_rest(struct bench_client *c, const uint8_t *data, size_t size, size_t needed)
{
    if (is_in_place(c) && size)
        c->in.size = size;
    else if (is_in_place(c))
        drop(&c->in);
    else if (size)
        keep(c, data, size, needed);
    else
        c->in.size = 0;
}

const char *bench_client_receive(struct bench_io *io, struct bench_client *c,
                                 bench_frame_fn on_frame, void *context)
{
    uint8_t *data;
    size_t size;
    ssize_t got = fill(io, c, &data, &size);
    if (got < 0)
        return errno == EAGAIN ? NULL : strerror(errno);
    if (got == 0)
        return "the broker closed the connection";
    size_t at = 0;
    size_t needed = 0;
    while (at < size) {
        struct bench_frame frame;
        long cut = bench_wire_cut(data + at, size - at, &frame, &needed);
        if (cut < 0)
            return "malformed packet length";
        if (cut == 0)
            break;
        at += (size_t)cut;
        const char *error = on_frame(context, c, &frame);
        if (error)
            return error;
    }
    keep_rest(c, data + at, size - at, needed);
    return NULL;
}

uint8_t *bench_client_room(struct bench_io *io, struct bench_client *c, size_t size)
{
    if (io->out_size + size > io->out_capacity)
        bench_client_flush(io, c);
    return io->out + io->out_size;
}

void bench_client_wrote(struct bench_io *io, size_t size)
{
    io->out_size += size;
}

/* How many bytes the socket took. A broken connection takes all: the reading
 * side finds out and says why. */
static size_t push(struct bench_io *io, struct bench_client *c, const uint8_t *data, size_t size)
{
    ssize_t done = send(c->fd, data, size, MSG_NOSIGNAL);
    bench_counter_add(&io->slot->writes, 1);
    if (done < 0)
        return errno == EAGAIN ? 0 : size;
    return (size_t)done;
}

bool bench_client_is_blocked(const struct bench_client *c)
{
    return c->out.size > c->out.at;
}

void bench_client_flush(struct bench_io *io, struct bench_client *c)
{
    if (io->out_size == 0)
        return;
    size_t done = bench_client_is_blocked(c) ? 0 : push(io, c, io->out, io->out_size);
    if (done < io->out_size) {
        append(&c->out, io->out + done, io->out_size - done);
        bench_client_watch(io, c, true);
    }
    io->out_size = 0;
}

bool bench_client_resume(struct bench_io *io, struct bench_client *c)
{
    if (bench_client_is_blocked(c))
        c->out.at += push(io, c, c->out.data + c->out.at, c->out.size - c->out.at);
    if (bench_client_is_blocked(c))
        return false;
    c->out.at = c->out.size = 0;
    return true;
}

void bench_client_watch(struct bench_io *io, struct bench_client *c, bool wants_out)
{
    if (c->wants_out == wants_out || c->fd < 0)
        return;
    c->wants_out = wants_out;
    struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data.ptr = c};
    epoll_ctl(io->epoll, EPOLL_CTL_MOD, c->fd, &event);
}
