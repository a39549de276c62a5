#ifndef COURTIER_MASTER_WATCH_H
#define COURTIER_MASTER_WATCH_H

/*
 * Is everybody alive? The master pings its children; each answers through its
 * heartbeat. Who does not answer in time is killed, and replaced like any other
 * that died; one that was asked to stop is the master's to judge. The service manager hears from us
 * only while nobody hangs.
 */

#include "master/notify.h"
#include "master/spawn.h"

#include <stdbool.h>
#include <stdint.h>

struct watch {
    const struct region *region;
    const struct notify *notify;
    uint64_t ping_interval_ms;
    uint64_t answer_max_ms;    /* a ping is to be answered within */
    uint64_t feed_interval_ms; /* 0: nobody wants to be fed */
    uint64_t ping_at_ms;
    uint64_t feed_at_ms;
    uint64_t due_ms; /* when we are to run next */
};

void watch_init(struct watch *ret_watch, const struct region *region, const struct notify *notify);
/* Reads answers, kills who hangs, pings and feeds what is due. Returns when to be
 * called again; by what that is too late, children have longer to answer. */
uint64_t watch_run(struct watch *watch, struct child *children, unsigned count, uint64_t now_ms);
/* Has the process in this slot said that it is ready? */
bool watch_is_ready(const struct watch *watch, const struct child *child);

#endif
