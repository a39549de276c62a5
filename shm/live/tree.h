#ifndef COURTIER_SHM_LIVE_TREE_H
#define COURTIER_SHM_LIVE_TREE_H

/*
 * A tree of level names, kept as one record per node under the key of the edge
 * that leads to it (trie_key.h). The subscription trie and the retained topics
 * are two such trees, told apart by their kind. The root is node 0; it has a
 * record only while it has children.
 */

#include "common/base/bytes.h"
#include "common/mqtt/topic.h"
#include "shm/live/live.h"
#include "shm/live/live_internal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TREE_PLUS = 1,   /* has a child "+" */
    TREE_HASH = 2,   /* has a child "#" */
    TREE_LONG = 4,   /* the name follows the node in the value */
    TREE_MESSAGE = 8 /* retained: there is a message */
};

/* What a record holds. An id has 48 bits: a million new nodes a second would
 * take nine years to use them up. */
struct tree_node {
    uint64_t any;        /* trie: workers with a subscriber */
    uint64_t persistent; /* trie: workers with a persistent one */
    uint32_t id_low;
    uint16_t id_high;
    uint16_t flags;
    uint32_t literals; /* children other than "+" and "#" */
    uint32_t groups;   /* trie: shared groups */
};
static_assert(sizeof(struct tree_node) == 32, "a node has no padding");

static inline uint64_t tree_id(const struct tree_node *node)
{
    return (uint64_t)node->id_high << 32 | node->id_low;
}

/* Where a node's record stands, and a copy of it. The name is borrowed from
 * the caller's path. */
struct tree_place {
    uint64_t parent;
    struct bytes name;
    struct tree_node node;
    bool fresh; /* not stored yet */
};

/* A node found, with what its removal needs: the nearest ancestor that has
 * another use, and the levels below that one. */
struct tree_found {
    struct tree_place place;
    struct tree_place keep;
    struct topic_levels below;
};

/* The child of a parent. 0, -ENOENT, or -errno (-EEXIST: two names of one hash). */
int tree_get(struct live *live, enum live_kind tree, uint64_t parent, struct bytes name,
             struct tree_node *ret_node);
int tree_get_root(struct live *live, enum live_kind tree, struct tree_node *ret_node);
/* The first child of a parent whose key comes after that of the child `after`,
 * which need not exist any more; NULL: the first of all. 0, -ENOENT or -errno.
 * The name is borrowed as by live_get(). */
int tree_next(struct live *live, enum live_kind tree, uint64_t parent, const struct bytes *after,
              struct bytes *ret_name, struct tree_node *ret_node);

/* The node of a path. 0, -ENOENT or -errno. */
int tree_find(struct live *live, enum live_kind tree, struct bytes path,
              struct tree_found *ret_found);

/* -- writer -- */
/* Finds the node of a path or makes it and its ancestors; the caller gives it
 * its use and then stores it. -ENOSPC comes before anything is written. */
int tree_make(struct live *live, enum live_kind tree, struct bytes path,
              struct tree_place *ret_place);
int tree_store(struct live *live, enum live_kind tree, const struct tree_place *place);
/* Stores the node found; if nothing uses it any more, removes it and those
 * ancestors that had no other use. */
int tree_settle(struct live *live, enum live_kind tree, const struct tree_found *found);

#endif
