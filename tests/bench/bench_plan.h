#ifndef COURTIER_TESTS_BENCH_BENCH_PLAN_H
#define COURTIER_TESTS_BENCH_BENCH_PLAN_H

/*
 * Who is who in a scenario: client ids, topics, filters, and who must get what
 * from whom. Made once, before the fork; read-only after.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/bench_options.h"
#include "tests/bench/bench_wire.h"

struct bench_plan {
    const struct bench_options *options;
    char **ids; /* from --id-list: publishers, then subscribers; NULL without */
};

/* Where one client stands. */
struct bench_place {
    bool is_publisher;
    uint32_t index; /* among its kind, over all processes */
};

/* Reads the id list if there is one; exits with 2 when it cannot or it is too short. */
void bench_plan_init(struct bench_plan *p, const struct bench_options *options);
void bench_plan_done(struct bench_plan *p);

/* Each writes a text to `out`, which has BENCH_WIRE_TEXT_MAX bytes. */
void bench_plan_client_id(const struct bench_plan *p, struct bench_place place, char *out);
/* `sequence` matters only to retained messages, which have a topic each. */
void bench_plan_topic(const struct bench_plan *p, uint32_t publisher, uint32_t sequence, char *out);
void bench_plan_filter(const struct bench_plan *p, uint32_t subscriber, char *out);

/* Deliveries that one message leads to while it is published. */
uint32_t bench_plan_copies(const struct bench_plan *p);
/* Deliveries that a wildcard subscription to all retained messages leads to. */
uint32_t bench_plan_retained(const struct bench_plan *p);
/* Whether messages are delivered later, in a phase of their own (READ). */
bool bench_plan_is_read_later(const struct bench_plan *p);
/* Whether arrivals from one publisher at one subscriber are complete and ordered. */
bool bench_plan_is_exact(const struct bench_plan *p);
/* How many publishers a subscriber hears, and the first of them. */
uint32_t bench_plan_streams(const struct bench_plan *p, uint32_t subscriber, uint32_t *ret_first);

#endif
