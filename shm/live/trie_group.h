#ifndef COURTIER_SHM_LIVE_TRIE_GROUP_H
#define COURTIER_SHM_LIVE_TRIE_GROUP_H

/*
 * The shared groups of a trie node: one record per group, which counts the
 * group's members on each worker that has any.
 */

#include "common/base/hash.h"
#include "shm/live/live.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TRIE_GROUP_WORKERS_MAX = 64 /* as many as a node has bits */
};

struct trie_member {
    uint32_t online;
    uint32_t offline;
    uint32_t worker;
};

struct trie_members {
    unsigned count;
    struct trie_member each[TRIE_GROUP_WORKERS_MAX]; /* by rising worker */
};

/* A group's members; 0, -ENOENT or -errno. */
int trie_group_get(struct live *live, uint64_t node, const struct hash128 *id,
                   struct trie_members *ret_members);
/* The first group of a node whose id comes after *id (`begin`: the first of
 * all); sets *id to its own. 0, -ENOENT or -errno. */
int trie_group_next(struct live *live, uint64_t node, bool begin, struct hash128 *id,
                    struct trie_members *ret_members);
/* The index of a worker's member, or of the place where it would go. */
unsigned trie_group_index(const struct trie_members *members, unsigned worker);

/* Writer: stores the members; without any the record goes. */
int trie_group_put(struct live *live, uint64_t node, const struct hash128 *id,
                   const struct trie_members *members);

#endif
