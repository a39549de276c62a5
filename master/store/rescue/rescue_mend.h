#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_MEND_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_MEND_H

/*
 * What rows need of each other, after some were lost: nothing of a session that is not
 * there, or has ended; no delivery without its body, no body without a delivery, and their
 * numbers right; notes on QoS 2 messages (durable_unsure.h) as long as there is what may
 * repeat these. No number is given out again that a lost row may have had.
 */

#include "master/store/durable/durable_env.h"
#include "master/store/rescue/rescue_examine.h"

struct rescue_ids {
    uint64_t *list;
    size_t count;
    size_t room;
};

struct rescue_mend {
    struct durable_env *env;
    uint32_t run_max;
    unsigned pending;
    struct rescue_ids needed;       /* messages of deliveries */
    struct rescue_ids unsure;       /* ... that may be repeated */
    uint64_t rows[RESCUE_KINDS];    /* that are left, by kind */
    uint64_t dropped[RESCUE_KINDS]; /* for want of another row */
};

/* `run_max` is the highest run number that a row had. 0 or -errno. */
int rescue_mend(struct rescue_mend *ret_mend, struct durable_env *env, uint32_t run_max);

#endif
