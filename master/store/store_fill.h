#ifndef COURTIER_MASTER_STORE_STORE_FILL_H
#define COURTIER_MASTER_STORE_STORE_FILL_H

/*
 * Retained messages, from the disk into the live data: once, before any worker
 * starts. A store process that comes after finds them there, and newer ones.
 */

#include "master/store/durable/durable.h"
#include "master/store/store_live.h"

/* What there is no room for is told through live->on_refused. 0 or -errno. */
int store_fill(struct store_live *live, struct durable *durable);

#endif
