#ifndef COURTIER_MASTER_REAP_H
#define COURTIER_MASTER_REAP_H

/*
 * The end of a child: who it was, why, what the shared memory still says about it,
 * and when its slot gets a successor.
 */

#include "common/base/log.h"
#include "master/spawn.h"

#include <stdint.h>

/* A child that has ended and was not buried yet, or NULL. Does not wait. */
struct child *reap_next(struct child *children, unsigned count, int *ret_status);

/* Passes on lines that a child has sent, at most `limit`. */
void reap_log_lines(const struct child *child, unsigned limit, log_sink_fn sink, void *context);

/* Passes on its last lines, and logs the cause (unless it was `expected` to end, and
 * did well or was killed by us; the workers that still stop wait for it no longer).
 * Clears what it counted, closes what led to it, and sets when to start a successor: at once, then
 * later and later, up to 10 s; a minute of life makes good for all deaths before. Who was killed
 * from outside is replaced at once. */
void reap_bury(const struct spawn *spawn, struct child *child, int status, bool expected,
               log_sink_fn sink, void *context);

#endif
