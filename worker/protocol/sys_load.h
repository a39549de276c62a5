#ifndef COURTIER_WORKER_PROTOCOL_SYS_LOAD_H
#define COURTIER_WORKER_PROTOCOL_SYS_LOAD_H

/* $SYS/broker/load/...: events per minute, as exponential averages over 1, 5 and
 * 15 minutes, in Mosquitto's names and format. */

#include "shm/region.h"

#include <stdint.h>

enum { SYS_LOAD_COUNT = 9, SYS_LOAD_SPANS = 3 };

struct sys_load {
    uint64_t last_ms;
    uint64_t last[SYS_LOAD_COUNT];
    double average[SYS_LOAD_COUNT][SYS_LOAD_SPANS];
};

void sys_load_init(struct sys_load *load, const struct region *region, uint64_t now_ms);
/* Brings the averages up to now and hands each topic (below $SYS/broker/) with
 * its value to `publish`. */
void sys_load_publish(struct sys_load *load, const struct region *region, uint64_t now_ms,
                      void (*publish)(void *context, const char *name, const char *value),
                      void *context);

#endif
