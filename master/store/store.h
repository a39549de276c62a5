#ifndef COURTIER_MASTER_STORE_STORE_H
#define COURTIER_MASTER_STORE_STORE_H

/*
 * The store process: the only writer of the shared data. One loop takes records
 * from all workers, commits them in batches, and answers; see store.c for the
 * order, which is what the promises rest on.
 */

#include "shm/inherit.h"

#include <stdbool.h>

/* Entry of the process: runs until the master says STOP; returns its exit code. */
int store_run(const struct inherit *inherit);

/* The parts of store_run(), for tests that have no process to spare. */
struct store;
/* NULL with *ret_error = -errno when an environment can't be opened (logged). */
struct store *store_open(const struct inherit *inherit, int *ret_error);
void store_close(struct store *store);
/* One pass over all rings, and the answers. */
void store_turn(struct store *store);
/* Is there nothing to do before a bell rings? */
bool store_is_idle(struct store *store);

#endif
