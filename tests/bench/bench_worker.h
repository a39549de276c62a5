#ifndef COURTIER_TESTS_BENCH_BENCH_WORKER_H
#define COURTIER_TESTS_BENCH_BENCH_WORKER_H

/*
 * One process of a run: its share of the clients (those whose index modulo the
 * number of processes is its number) and their event loop, which follows the
 * phases that the coordinator sets.
 */

#include "tests/bench/bench_plan.h"
#include "tests/bench/bench_shared.h"

/* Called once per turn of the loop. */
typedef void (*bench_turn_fn)(void *context);

/* Runs until the phase CLOSE is done. `on_turn` may be NULL. */
void bench_worker_run(const struct bench_plan *plan, struct bench_shared *shared, uint32_t process,
                      bench_turn_fn on_turn, void *context);

#endif
