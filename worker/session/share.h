#ifndef COURTIER_WORKER_SESSION_SHARE_H
#define COURTIER_WORKER_SESSION_SHARE_H

/*
 * Which shared group a delivery came through, in few bytes and with counted
 * references: the group's members here may all be gone before its deliveries are,
 * which then go to members elsewhere.
 */

#include "common/base/hash.h"

#include <stdint.h>

struct share {
    uint32_t references;
    struct hash128 id; /* of "$share/group/filter", in all workers */
};

/* One reference is the caller's. NULL without memory. */
struct share *share_new(const struct hash128 *id);
/* NULL is allowed, in both. */
struct share *share_get(struct share *share);
void share_put(struct share *share);

#endif
