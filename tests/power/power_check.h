#ifndef COURTIER_TESTS_POWER_POWER_CHECK_H
#define COURTIER_TESTS_POWER_POWER_CHECK_H

/*
 * Opens what a power cut has left with the real store, as a broker would that starts,
 * and reads all that it restores.
 */

#include "common/base/hash.h"
#include "tests/power/power_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct power_found {
    const char *error; /* what is wrong by itself; NULL: nothing */
    int code;          /* -errno, or what else tells about it */
    uint64_t sum;      /* of all rows (power_fact.h) */
    uint64_t serials[POWER_WORKERS];
    uint32_t next_run;
    char **lines; /* owned, `line_count` of them; only if asked for */
    size_t line_count;
};

struct power_reading {
    const struct hash_key *key; /* of maps */
    bool as_successor;          /* trusts the totals */
    bool wants_lines;
    bool ends_all; /* then removes everything, and looks that nothing is left */
};

void power_check_read(const char *folder, const struct power_reading *reading,
                      struct power_found *ret_found);
void power_found_done(struct power_found *found);

#endif
