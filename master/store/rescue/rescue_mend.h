#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_MEND_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_MEND_H

/*
 * What rows need of each other, after some were lost: nothing of a session that is not
 * there, no delivery without its body, no body without a delivery, and their numbers
 * right. No number is given out again that a lost row may have had.
 */

#include "master/store/durable/durable_env.h"
#include "master/store/rescue/rescue_examine.h"

struct rescue_mend {
    struct durable_env *env;
    uint32_t run_max;
    unsigned pending;
    uint64_t *ids; /* of the messages that deliveries need */
    size_t id_count;
    size_t id_room;
    uint64_t rows[RESCUE_KINDS];    /* that are left, by kind */
    uint64_t dropped[RESCUE_KINDS]; /* for want of another row */
};

/* `run_max` is the highest run number that a row had. 0 or -errno. */
int rescue_mend(struct rescue_mend *ret_mend, struct durable_env *env, uint32_t run_max);

#endif
