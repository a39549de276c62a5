#ifndef COURTIER_TESTS_BENCH_BENCH_SUBSCRIBER_H
#define COURTIER_TESTS_BENCH_BENCH_SUBSCRIBER_H

/*
 * A client that receives: it acknowledges, measures and checks every message.
 */

#include "tests/bench/bench_client.h"
#include "tests/bench/bench_stream.h"

struct bench_subscriber {
    struct bench_client *client;
    uint32_t first_publisher;
    uint32_t stream_count;
    struct bench_stream *streams; /* per publisher heard; owned */
    struct bench_tally *tallies;  /* retained: per publisher, owned; else NULL */
};

/* `client` is borrowed. Exits with 2 when there is no memory. */
void bench_subscriber_init(struct bench_subscriber *s, struct bench_io *io,
                           struct bench_client *client);
void bench_subscriber_done(struct bench_subscriber *s);

/* PUBLISH, PUBREL or PINGRESP came. NULL, or what is wrong with it. */
const char *bench_subscriber_on_frame(struct bench_subscriber *s, struct bench_io *io,
                                      const struct bench_frame *frame);

/* All that will come has come: adds what is missing to the slot's faults. For
 * shared groups the tallies of all processes tell, not this. */
void bench_subscriber_finish(struct bench_subscriber *s, struct bench_io *io);

#endif
