#ifndef COURTIER_TESTS_BENCH_BENCH_REPORT_H
#define COURTIER_TESTS_BENCH_BENCH_REPORT_H

/*
 * Adds up what the processes counted and writes it, as text for people or as
 * one JSON object.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/bench_coordinator.h"

struct bench_report {
    const struct bench_options *options;
    uint64_t sent;
    uint64_t expected; /* deliveries */
    uint64_t delivered;
    uint64_t settled;
    uint64_t connects;
    uint64_t clients;
    uint64_t errors;
    uint64_t reads;
    uint64_t writes;
    uint64_t cpu_ns;
    uint32_t window;
    double publish_s; /* measured publishing */
    double elapsed_s; /* until the last delivery or acknowledgement */
    double read_s;    /* retained: from SUBSCRIBE to the last delivery */
    struct bench_faults faults;
    struct bench_histogram latency;
    struct bench_histogram ack;
    struct bench_histogram lag;
    struct bench_histogram connect;
    struct bench_histogram subscribe;
};

/* The run is over and all processes have counted. */
void bench_report_collect(struct bench_report *r, const struct bench_coordinator *c);
/* Whether nothing was lost, repeated, out of order or refused. */
bool bench_report_is_clean(const struct bench_report *r);
/* Text to standard output, JSON where the options say. Returns 0 or -errno. */
int bench_report_write(const struct bench_report *r);

#endif
