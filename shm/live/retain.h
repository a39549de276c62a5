#ifndef COURTIER_SHM_LIVE_RETAIN_H
#define COURTIER_SHM_LIVE_RETAIN_H

/*
 * Retained messages, found level by level through their topic names, so that a
 * wildcard walks what can match and not all topics. retain_read.c is for
 * everybody, retain_write.c for the store alone.
 */

#include "common/base/bytes.h"
#include "shm/live/live.h"

#include <stdbool.h>
#include <stdint.h>

/* Borrowed from the snapshot: valid until live_renew() or live_rest(). */
struct retained {
    struct bytes topic;
    struct bytes properties;
    struct bytes payload;
    uint64_t message_id;
    uint64_t expiry_at_ms; /* boot clock; 0: never */
    uint8_t qos;
};

/* The message of exactly this topic. 0, -ENOENT or -errno. */
int retain_get(struct live *live, struct bytes topic, struct retained *ret_retained);

/* A walk over all messages under a plain filter. It may be interrupted by
 * live_renew() and live_rest() between two steps: it remembers names and node
 * ids, not pages. Messages set or cleared meanwhile may or may not be seen. */
struct retain_walk;
/* Copies `filter`. NULL without memory. */
struct retain_walk *retain_walk_new(struct bytes filter);
void retain_walk_free(struct retain_walk *walk);
/* 0 with the next message; -ENOENT at the end; -EAGAIN after `probes_max`
 * probes without a find (call again in a later turn); or another -errno.
 * Does not look at expiry. */
int retain_walk_next(struct live *live, struct retain_walk *walk, unsigned probes_max,
                     struct retained *ret_retained);

/* -- store only, inside a transaction -- */
struct retain_delta {
    int messages;  /* change of the number of retained messages */
    int64_t bytes; /* change of their payload bytes */
};
/* Sets (payload not empty) the retained message of its topic. 0, -ENOSPC … */
int retain_set(struct live *live, const struct retained *message, struct retain_delta *ret_delta);
/* Clears; 0 also when there was none. */
int retain_clear(struct live *live, struct bytes topic, struct retain_delta *ret_delta);
/* Removes up to `limit` messages that expired before now, found by an index on
 * the time, adding to *ret_delta; *ret_next_ms is the next deadline (UINT64_MAX: none). */
int retain_expire(struct live *live, uint64_t now_ms, unsigned limit,
                  struct retain_delta *ret_delta, uint64_t *ret_next_ms);

#endif
