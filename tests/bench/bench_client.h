#ifndef COURTIER_TESTS_BENCH_BENCH_CLIENT_H
#define COURTIER_TESTS_BENCH_BENCH_CLIENT_H

/*
 * One connection: its socket and the way from bytes to packets and back. An
 * idle client owns no buffers: reading and writing go through two areas that
 * all clients of a process share, and only what does not fit (half a packet,
 * output that the socket did not take) is kept with the client.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/bench/bench_plan.h"
#include "tests/bench/bench_shared.h"
#include "tests/bench/bench_wire.h"

/* What the clients of a process share. */
struct bench_io {
    const struct bench_plan *plan;
    struct bench_shared *shared;
    struct bench_slot *slot;
    int epoll;
    int errors_shown;
    uint64_t now_ns; /* of the current event */
    struct sockaddr_storage address;
    socklen_t address_size;
    uint8_t *in;
    uint8_t *out;
    size_t out_size;
    size_t out_capacity;
};

enum bench_state {
    BENCH_STATE_CLOSED,
    BENCH_STATE_CONNECTING,  /* TCP */
    BENCH_STATE_GREETING,    /* CONNECT sent */
    BENCH_STATE_SUBSCRIBING, /* SUBSCRIBE sent */
    BENCH_STATE_READY,
    BENCH_STATE_LEAVING, /* DISCONNECT sent, the broker is to close */
};

struct bench_buffer {
    uint8_t *data;
    size_t at; /* consumed */
    size_t size;
    size_t capacity;
};

/* All zeros but fd = -1 is a closed client. */
struct bench_client {
    int fd;
    enum bench_state state;
    bool wants_out;
    struct bench_place place;
    uint64_t since_ns; /* when connect() or SUBSCRIBE was done */
    struct bench_buffer in;
    struct bench_buffer out;
};

/* Opens epoll and the shared areas and resolves the broker's address; exits
 * with 2 when it cannot. */
void bench_client_init_io(struct bench_io *io, const struct bench_plan *plan,
                          struct bench_shared *shared, uint32_t process);
void bench_client_done_io(struct bench_io *io);

/* Counts an error of this client and shows the first few on standard error. */
void bench_client_fail(struct bench_io *io, const struct bench_client *c, const char *what);

/* Starts connecting; false (and an error counted) when that fails at once. */
bool bench_client_open(struct bench_io *io, struct bench_client *c);
/* The socket is writable: whether the connection stands. */
bool bench_client_is_connected(const struct bench_client *c);
/* Frees buffers and socket; harmless on a closed client. */
void bench_client_close(struct bench_client *c);

/* Called for each packet; returns what is wrong with it, or NULL. It must not
 * close the client. */
typedef const char *(*bench_frame_fn)(void *context, struct bench_client *c,
                                      const struct bench_frame *frame);

/* Reads once and hands out whole packets. Returns NULL, or why it cannot go on:
 * the connection has ended, a packet is malformed, or the callback said so. */
const char *bench_client_receive(struct bench_io *io, struct bench_client *c,
                                 bench_frame_fn on_frame, void *context);

/* Room for one packet of at most `size` bytes in the shared area; what was
 * written is announced with bench_client_wrote. All output of one client is
 * flushed before another client's begins. */
uint8_t *bench_client_room(struct bench_io *io, struct bench_client *c, size_t size);
void bench_client_wrote(struct bench_io *io, size_t size);
/* Sends what is in the shared area; what the socket does not take is kept. */
void bench_client_flush(struct bench_io *io, struct bench_client *c);
/* Sends what was kept; true when nothing is left. */
bool bench_client_resume(struct bench_io *io, struct bench_client *c);
bool bench_client_is_blocked(const struct bench_client *c);
/* Asks epoll for writability or not. */
void bench_client_watch(struct bench_io *io, struct bench_client *c, bool wants_out);

#endif
