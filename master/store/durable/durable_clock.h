#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_CLOCK_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_CLOCK_H

/*
 * The time of what is on disk: milliseconds that go on over restarts. While we run it
 * goes with the boot clock. Over a restart it goes on by the boot clock too if the
 * machine was up all the time, else by the wall clock if that makes sense (a
 * Raspberry Pi starts in 1970), else not at all: things then expire late, never early.
 */

#include "master/store/durable/durable_env.h"

#include <stdint.h>

struct durable_clock {
    uint64_t ahead_ms; /* of the boot clock; may wrap, as differences do */
    uint64_t boot_id;  /* hash of the kernel's; 0: unknown */
};

/* Inside a transaction: takes up the time from where the last commit left it. 0 or
 * -errno. */
int durable_clock_load(struct durable_clock *ret_clock, struct durable_env *env);
/* Inside a transaction that commits: notes what time it is. 0 or -errno. */
int durable_clock_note(const struct durable_clock *clock, struct durable_env *env);

/* A deadline of the boot clock as one of the disk's, and back. 0 is none, in both;
 * one that passed before the boot comes back as 1. */
uint64_t durable_clock_to_disk(const struct durable_clock *clock, uint64_t at_ms);
uint64_t durable_clock_from_disk(const struct durable_clock *clock, uint64_t at_ms);

#endif
