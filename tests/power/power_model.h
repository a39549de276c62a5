#ifndef COURTIER_TESTS_POWER_POWER_MODEL_H
#define COURTIER_TESTS_POWER_POWER_MODEL_H

/*
 * What must be on disk when a worker's records up to a serial are: for each serial the
 * sum of all rows (power_fact.h) of this worker, and their history. Workers share no
 * row, so the sums of two add up.
 */

#include "tests/power/power_fact.h"
#include "tests/power/power_log.h"
#include "tests/power/power_random.h"

#include <stdbool.h>
#include <stdio.h>

struct power_row {
    unsigned worker;
    struct record_journal journal; /* a filter and ids as the workload lent them for good */
    char *line;
};

/* A row from this serial on; NULL line: it is gone. */
struct power_step {
    unsigned worker;
    uint64_t serial;
    char *key;
    char *line;
};

struct power_model {
    struct power_row *rows;
    size_t row_count;
    size_t row_room;
    struct power_step *steps;
    size_t step_count;
    size_t step_room;
    uint64_t *sums[POWER_WORKERS]; /* by serial */
    uint64_t serials[POWER_WORKERS];
    size_t sum_room[POWER_WORKERS];
    uint64_t sum[POWER_WORKERS];
};

void power_model_init(struct power_model *model);
void power_model_done(struct power_model *model);

/* The worker's next record; `message` is the one that it names, or NULL. */
void power_model_say(struct power_model *model, unsigned worker,
                     const struct record_journal *journal, const struct record_message *message);
uint64_t power_model_sum(const struct power_model *model, unsigned worker, uint64_t serial);

/* How many rows of a kind a worker has now; and one of them by lot, or NULL. */
unsigned power_model_count(const struct power_model *model, unsigned worker, enum record_kind kind);
const struct power_row *power_model_pick(const struct power_model *model, unsigned worker,
                                         enum record_kind kind, struct power_random *random);

/* Tells how `lines` (of `count`) differ from what must be there at these serials. */
void power_model_explain(const struct power_model *model, const uint64_t serials[POWER_WORKERS],
                         char **lines, size_t count, FILE *out);

#endif
