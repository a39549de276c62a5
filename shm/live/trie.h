#ifndef COURTIER_SHM_LIVE_TRIE_H
#define COURTIER_SHM_LIVE_TRIE_H

/*
 * The subscription trie: which workers want a topic. trie_read.c is for
 * everybody, trie_write.c for the store alone.
 *
 *   key:   parent node id, level name (a long name by its hash)
 *   value: node id, flags (has "+", has "#", has other children, has groups),
 *          worker bits: any subscriber, persistent subscriber
 *
 * A walk probes only what the flags say exists. Node 0 is the root and has no
 * record of its own but its flags. A node without bits, groups and children is
 * removed with its last use.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "shm/live/live.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TRIE_GROUPS_MAX = 256, /* shared groups that one topic can reach */
    TRIE_PROBES_MAX = 4096 /* probes that one match may cost, besides one per level */
};

/* One shared group that matches, and the worker picked for it. */
struct trie_group {
    struct hash128 id;
    uint64_t online; /* bit per worker with a member that is online */
    uint64_t any;    /* bit per worker with a member */
    uint16_t worker;
};

struct trie_match {
    uint64_t any;        /* bit per worker with a plain subscriber */
    uint64_t persistent; /* bit per worker with a persistent plain subscriber */
    unsigned group_count;
    bool cut; /* a limit above was hit: some matches are missing */
    struct trie_group groups[TRIE_GROUPS_MAX];
};

/* All that matches a valid topic name, in the snapshot of `live`. For each group
 * a worker is picked by weight: online members first, else offline ones; `turn`
 * (any rising number) spreads the picks. 0 or -errno. */
int trie_match(struct live *live, struct bytes topic, uint32_t turn, struct trie_match *ret_match);

/* -- store only, inside a transaction -- */
/* Sets or clears a worker's bits at a plain filter. *ret_changed says whether
 * routes changed. 0, -ENOSPC, or another -errno. */
int trie_set(struct live *live, struct bytes filter, unsigned worker, bool any, bool persistent,
             bool *ret_changed);
struct trie_weight {
    uint32_t online;
    uint32_t offline;
};
/* Sets a worker's member counts of a shared group; both 0 takes it out. */
int trie_set_group(struct live *live, struct bytes filter, const struct hash128 *id,
                   unsigned worker, struct trie_weight weight, bool *ret_changed);

/* Takes every bit and member of a worker out, when it starts anew: a walk over
 * the whole trie in steps, so that a transaction stays small. */
struct trie_clear;
/* NULL without memory. */
struct trie_clear *trie_clear_new(unsigned worker);
void trie_clear_free(struct trie_clear *clear);
/* Leaves what persistent sessions may want, and members of groups as offline ones: the
 * worker's sessions are on disk, and its successor says anew what it wants. */
void trie_clear_keep_persistent(struct trie_clear *clear);
/* Looks at up to `limit` nodes. 0 when all is done; -EAGAIN when there is more:
 * commit, and call again in another transaction; others may write between. On
 * another -errno abort the transaction and start over with a new walk. */
int trie_clear_step(struct live *live, struct trie_clear *clear, unsigned limit, bool *ret_changed);

#endif
