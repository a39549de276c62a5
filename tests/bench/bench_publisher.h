#ifndef COURTIER_TESTS_BENCH_BENCH_PUBLISHER_H
#define COURTIER_TESTS_BENCH_BENCH_PUBLISHER_H

/*
 * A client that publishes: it may send as many messages as it has been granted,
 * as fast as the socket (QoS 0) or its window (QoS 1, 2) takes them. Flat out is
 * a grant without end. Sequence numbers go on over warm-up and measurement.
 */

#include "tests/bench/bench_client.h"

/* When message number n of a phase is due at publisher i of a run. */
struct bench_schedule {
    uint64_t start_ns;
    double interval_ns; /* between two messages of one publisher; 0: flat out */
    double offset_ns;   /* of publisher i against publisher 0: i times this */
};

uint64_t bench_publisher_due(const struct bench_schedule *s, uint32_t publisher, uint32_t number);

struct bench_flight;

struct bench_publisher {
    struct bench_client *client;
    const struct bench_schedule *schedule;
    struct bench_template template;
    uint64_t granted;        /* sequence numbers below may be sent */
    uint32_t sequence;       /* next to send */
    uint32_t phase_sequence; /* first of this phase */
    uint32_t window;
    uint32_t inflight;
    uint32_t next_slot;
    uint32_t unconfirmed;         /* retained at QoS 0: sent and not covered by a ping */
    struct bench_flight *flights; /* [window], owned */
};

/* `client` and `schedule` are borrowed for the publisher's life. Exits with 2
 * when there is no memory. */
void bench_publisher_init(struct bench_publisher *p, struct bench_io *io,
                          struct bench_client *client, const struct bench_schedule *schedule);
void bench_publisher_done(struct bench_publisher *p);

/* The broker takes at most so many unacknowledged messages; before publishing. */
void bench_publisher_limit(struct bench_publisher *p, struct bench_io *io, uint32_t window);

/* A phase begins: numbers count from here for the schedule. */
void bench_publisher_begin(struct bench_publisher *p);
/* Grants `count` more messages. */
void bench_publisher_grant(struct bench_publisher *p, struct bench_io *io, uint32_t count);
/* Grants without end; bench_publisher_stop takes back what was not used of it. */
void bench_publisher_grant_all(struct bench_publisher *p);
void bench_publisher_stop(struct bench_publisher *p);

/* Sends what may be sent now. */
void bench_publisher_pump(struct bench_publisher *p, struct bench_io *io);
/* An acknowledgement or PINGRESP came. NULL, or what is wrong with it. The
 * caller pumps after the last packet of a read. */
const char *bench_publisher_on_frame(struct bench_publisher *p, struct bench_io *io,
                                     const struct bench_frame *frame);

#endif
