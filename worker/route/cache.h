#ifndef COURTIER_WORKER_ROUTE_CACHE_H
#define COURTIER_WORKER_ROUTE_CACHE_H

/*
 * The route cache: topic name -> which workers want it, and which filters of our
 * own match. An entry holds while the generations that it was made at have not
 * moved: the shared ones, and those of our own filters. Direct-mapped by the
 * topic's hash: a new topic takes the place of an old one, nothing is searched.
 *
 * Topics that reach shared groups are marked, because a worker is picked anew
 * for each of their messages.
 */

#include "common/base/bytes.h"
#include "shm/generation.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CACHE_SLOTS = 4096,     /* entries at most, per worker */
    CACHE_TOPIC_MAX = 256,  /* longer names are looked up each time */
    CACHE_FILTERS_MAX = 256 /* as are topics that more of our filters match */
};

struct filter;
struct route_cache;

struct route_entry {
    uint64_t hash;
    uint64_t any; /* workers with plain subscribers */
    uint64_t persistent;
    struct generation shared;
    struct generation own;
    uint32_t level_hash;
    bool has_groups;
    uint16_t topic_size;
    uint16_t filter_count;
    struct filter *filters[]; /* then the topic's bytes */
};

/* Aborts without memory. `key` is borrowed. */
struct route_cache *cache_new(const struct hash_key *key);
void cache_free(struct route_cache *cache);
/* The entry for this topic, valid or not, or NULL; *ret_hash is its hash, for
 * cache_put(). */
struct route_entry *cache_get(struct route_cache *cache, struct bytes topic, uint64_t *ret_hash);
/* A new entry, in place of whatever was there, with room for `filter_count`
 * filters; the caller fills it in. NULL when it can't be cached. */
struct route_entry *cache_put(struct route_cache *cache, struct bytes topic, uint64_t hash,
                              unsigned filter_count);

#endif
