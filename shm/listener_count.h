#ifndef COURTIER_SHM_LISTENER_COUNT_H
#define COURTIER_SHM_LISTENER_COUNT_H

/*
 * Open connections of each listener, for its `max_connections`. As with the
 * counters of stats.h each process writes its own slot and anybody may sum. A
 * connection counts where it is held: on its way from one worker to another it
 * is not seen for a moment, so that the limit may be passed by those.
 */

#include "shm/stats.h"

#include <stdint.h>

/* `listener` is struct conf_listener's index, below LAYOUT_LISTENERS (checked). */
void listener_count_add(struct stats own, unsigned listener);
void listener_count_subtract(struct stats own, unsigned listener);
/* Over all slots. */
uint32_t listener_count_sum(const struct region *region, unsigned listener);
/* Zeroes a slot whose process died: its connections are gone. */
void listener_count_reset(struct stats stats);

#endif
