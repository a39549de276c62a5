#ifndef COURTIER_TESTS_BENCH_BENCH_SESSION_H
#define COURTIER_TESTS_BENCH_BENCH_SESSION_H

/*
 * The way of a client from a connected socket to READY (CONNECT, SUBSCRIBE
 * where its kind asks for it) and back out. The caller owns the sequence of
 * states; these functions send and judge.
 */

#include "tests/bench/bench_client.h"

/* The socket stands: sends CONNECT. */
void bench_session_greet(struct bench_io *io, struct bench_client *c);
/* Sends SUBSCRIBE with the client's filter. */
void bench_session_subscribe(struct bench_io *io, struct bench_client *c);
/* Sends DISCONNECT; the broker is to close. */
void bench_session_leave(struct bench_io *io, struct bench_client *c);
void bench_session_ping(struct bench_io *io, struct bench_client *c);

/* Judge an answer and record its time. NULL, or what is wrong. Neither changes
 * the state. */
const char *bench_session_on_connack(struct bench_io *io, struct bench_client *c,
                                     const struct bench_frame *frame, struct bench_connack *ret);
const char *bench_session_on_suback(struct bench_io *io, struct bench_client *c,
                                    const struct bench_frame *frame);

#endif
