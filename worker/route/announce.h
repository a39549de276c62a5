#ifndef COURTIER_WORKER_ROUTE_ANNOUNCE_H
#define COURTIER_WORKER_ROUTE_ANNOUNCE_H

/*
 * Tells the store what this worker wants: one announcement per filter or group
 * whose state changed, numbered with rising serials, which the store confirms in
 * order. An announcement that could not be put into the ring yet takes up later
 * changes, so what waits is bounded by the number of filters.
 */

#include "shm/record.h"
#include "worker/route/filters.h"
#include "worker/route/outbound.h"

#include <stdint.h>

struct announcer {
    struct outbound *outbound;
    struct filters *filters;
    unsigned store;      /* slot */
    uint64_t serial;     /* given out last */
    uint64_t confirmed;  /* all up to here are in force */
    uint8_t text[65536]; /* scratch for a filter's text */
};

/* Sends the RESET that makes void what the slot's last process had set. Serials
 * begin at `epoch` << 32, so that a predecessor's confirmations mean nothing. */
void announcer_start(struct announcer *announcer, struct outbound *outbound,
                     struct filters *filters, unsigned store, uint64_t epoch);
/* The callbacks of struct filters; `owner` there is the announcer. */
void announce_filter(void *announcer, struct filter *filter);
void announce_group(void *announcer, struct group *group);
/* A confirmation came. False when it is not ours (a predecessor's). */
bool announcer_confirm(struct announcer *announcer, uint64_t serial);

#endif
