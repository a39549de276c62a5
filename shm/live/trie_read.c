#include "shm/live/trie.h"

#include "common/mqtt/topic.h"
#include "shm/live/tree.h"
#include "shm/live/trie_group.h"

#include <errno.h>

enum {
    BRANCHES_MAX = 512 /* levels at which the walk may have a "+" left to look at */
};

/* A "+" that the walk has yet to look at: the parent, and the levels after it. */
struct branch {
    uint64_t parent;
    struct topic_levels rest;
};

/* A depth-first walk: it goes on with the literal child and leaves the "+" for
 * later, so at most one branch per level is waiting. */
struct walk {
    struct live *live;
    struct trie_match *match;
    uint32_t turn;
    unsigned probes_left;
    unsigned branch_count;
    struct branch branches[BRANCHES_MAX];
};

/* Counts a probe; false when there were too many. */
static bool may_probe(struct walk *walk)
{
    if (walk->probes_left == 0) {
        walk->match->cut = true;
        return false;
    }
    walk->probes_left--;
    return true;
}

/* -ENOENT when the child does not exist or may not be looked for. */
static int probe(struct walk *walk, uint64_t parent, struct bytes name, struct tree_node *ret_node)
{
    if (!may_probe(walk))
        return -ENOENT;
    return tree_get(walk->live, LIVE_TRIE, parent, name, ret_node);
}

static uint64_t weight(const struct trie_member *member, bool online)
{
    return online ? member->online : member->offline;
}

static uint64_t total_weight(const struct trie_members *members, bool online)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < members->count; i++) {
        total += weight(&members->each[i], online);
    }
    return total;
}

/* Multiples of the golden ratio spread evenly over the weights for turns that
 * follow each other, whatever their number. `total` is below 2^38. */
static unsigned pick(const struct trie_members *members, uint32_t turn)
{
    bool online = total_weight(members, true) > 0;
    uint64_t total = total_weight(members, online);
    uint32_t fraction = turn * UINT32_C(2654435769);
    uint64_t place = (total >> 32) * fraction + (((total & UINT32_MAX) * fraction) >> 32);
    for (unsigned i = 0; i < members->count; i++) {
        uint64_t w = weight(&members->each[i], online);
        if (place < w)
            return members->each[i].worker;
        place -= w;
    }
    return members->each[members->count - 1].worker;
}

static struct trie_group describe(const struct hash128 *id, const struct trie_members *members,
                                  uint32_t turn)
{
    struct trie_group group = {.id = *id, .worker = (uint16_t)pick(members, turn)};
    for (unsigned i = 0; i < members->count; i++) {
        uint64_t bit = UINT64_C(1) << members->each[i].worker;
        group.any |= bit;
        if (members->each[i].online > 0)
            group.online |= bit;
    }
    return group;
}

static int collect_groups(struct walk *walk, uint64_t node)
{
    struct trie_match *match = walk->match;
    struct hash128 id;
    for (bool begin = true; may_probe(walk); begin = false) {
        struct trie_members members;
        int r = trie_group_next(walk->live, node, begin, &id, &members);
        if (r == -ENOENT)
            return 0;
        if (r != 0)
            return r;
        if (match->group_count == TRIE_GROUPS_MAX) {
            match->cut = true;
            return 0;
        }
        match->groups[match->group_count++] = describe(&id, &members, walk->turn);
    }
    return 0;
}

static int collect(struct walk *walk, const struct tree_node *node)
{
    walk->match->any |= node->any;
    walk->match->persistent |= node->persistent;
    return node->groups > 0 ? collect_groups(walk, tree_id(node)) : 0;
}

/* Collects the "#" below a node: it matches the node itself and all below. */
static int collect_hash(struct walk *walk, const struct tree_node *node)
{
    if ((node->flags & TREE_HASH) == 0)
        return 0;
    struct tree_node child;
    int r = probe(walk, tree_id(node), bytes_of("#"), &child);
    if (r == -ENOENT)
        return 0;
    return r != 0 ? r : collect(walk, &child);
}

/* Leaves the "+" of a node for later. */
static void leave_plus(struct walk *walk, const struct tree_node *node, struct topic_levels rest)
{
    if ((node->flags & TREE_PLUS) == 0)
        return;
    if (walk->branch_count == BRANCHES_MAX) {
        walk->match->cut = true;
        return;
    }
    walk->branches[walk->branch_count++] = (struct branch){.parent = tree_id(node), .rest = rest};
}

/* Follows the literal levels from a node. `wild`: its wildcards match. */
static int follow(struct walk *walk, struct tree_node node, struct topic_levels rest, bool wild)
{
    for (;;) {
        int r = wild ? collect_hash(walk, &node) : 0;
        if (r != 0)
            return r;
        struct bytes level;
        if (!topic_next_level(&rest, &level))
            return collect(walk, &node);
        if (wild)
            leave_plus(walk, &node, rest);
        if (node.literals == 0)
            return 0;
        struct tree_node child;
        r = probe(walk, tree_id(&node), level, &child);
        if (r == -ENOENT)
            return 0;
        if (r != 0)
            return r;
        node = child;
        wild = true;
    }
}

static int follow_plus(struct walk *walk, const struct branch *branch)
{
    struct tree_node node;
    int r = probe(walk, branch->parent, bytes_of("+"), &node);
    if (r == -ENOENT)
        return 0;
    return r != 0 ? r : follow(walk, node, branch->rest, true);
}

static unsigned count_levels(struct bytes topic)
{
    unsigned count = 0;
    struct topic_levels levels = topic_levels(topic);
    struct bytes level;
    while (topic_next_level(&levels, &level)) {
        count++;
    }
    return count;
}

int trie_match(struct live *live, struct bytes topic, uint32_t turn, struct trie_match *ret_match)
{
    ret_match->any = 0;
    ret_match->persistent = 0;
    ret_match->group_count = 0;
    ret_match->cut = false;
    struct walk walk;
    walk.live = live;
    walk.match = ret_match;
    walk.turn = turn;
    walk.probes_left = TRIE_PROBES_MAX + count_levels(topic);
    walk.branch_count = 0;

    struct tree_node root;
    int r = tree_get_root(live, LIVE_TRIE, &root);
    if (r == -ENOENT)
        return 0;
    if (r != 0)
        return r;
    /* No leading wildcard matches a topic that begins with "$" [MQTT-4.7.2-1]. */
    r = follow(&walk, root, topic_levels(topic), !topic_is_dollar(topic));
    while (r == 0 && walk.branch_count > 0) {
        struct branch branch = walk.branches[--walk.branch_count];
        r = follow_plus(&walk, &branch);
    }
    return r;
}
