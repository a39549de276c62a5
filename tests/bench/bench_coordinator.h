#ifndef COURTIER_TESTS_BENCH_BENCH_COORDINATOR_H
#define COURTIER_TESTS_BENCH_BENCH_COORDINATOR_H

/*
 * Leads all processes through the phases of a scenario. Runs in process 0,
 * called once per turn of its loop; it derives everything from the shared
 * counters. Waiting for delivery means waiting for progress: it goes on when all
 * that is due has come, or when nothing has moved for the drain timeout.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/bench_plan.h"
#include "tests/bench/bench_shared.h"

struct bench_coordinator {
    const struct bench_plan *plan;
    struct bench_shared *shared;
    uint32_t stage;  /* index into the scenario's phases */
    bool is_waiting; /* for a line on standard input */
    bool shows_progress;
    uint64_t entered_ns;  /* start of the phase */
    uint64_t publish_ns;  /* start of the measured phase */
    uint64_t stopped_ns;  /* its end; the drain follows */
    uint64_t drained_ns;  /* the last delivery or acknowledgement of the drain */
    uint64_t read_ns;     /* retained: start of reading back */
    uint64_t read_end_ns; /* the last delivery of it */
    uint64_t moved_ns;    /* when the progress sum last changed */
    uint64_t moved_sum;
    uint64_t checked_ns;
    uint64_t shown_ns;
    uint64_t shown_received;
    uint64_t shown_sent;
};

void bench_coordinator_init(struct bench_coordinator *c, const struct bench_plan *plan,
                            struct bench_shared *shared);

/* A bench_turn_fn; `context` is the coordinator. Exits with 2 when clients
 * cannot connect. */
void bench_coordinator_turn(void *context);

#endif
