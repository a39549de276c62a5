#include "shm/live/tree.h"

#include "common/base/check.h"
#include "shm/live/trie_key.h"

#include <errno.h>
#include <string.h>

enum {
    NODE_COST = 96 /* bytes of a node besides its name, with its share of free space */
};

static struct tree_place root_place(void)
{
    return (struct tree_place){.parent = TRIE_KEY_NOWHERE};
}

/* Takes a record apart. The name is borrowed from it. */
static int parse(struct bytes key, struct bytes value, struct bytes *ret_name,
                 struct tree_node *ret_node)
{
    if (value.size < sizeof *ret_node)
        return -EBADMSG;
    memcpy(ret_node, value.data, sizeof *ret_node);
    bool is_long = (ret_node->flags & TREE_LONG) != 0;
    *ret_name = is_long ? bytes_from(value, sizeof *ret_node) : trie_key_name(key);
    return 0;
}

int tree_get(struct live *live, enum live_kind tree, uint64_t parent, struct bytes name,
             struct tree_node *ret_node)
{
    struct trie_key key;
    trie_key_edge(&key, tree, parent, name, live_hash_key(live));
    struct bytes value;
    int r = live_get(live, trie_key_bytes(&key), &value);
    if (r != 0)
        return r;
    struct tree_node node;
    struct bytes found;
    r = parse(trie_key_bytes(&key), value, &found, &node);
    if (r != 0)
        return r;
    if (!bytes_equal(found, name))
        return -EEXIST;
    *ret_node = node;
    return 0;
}

int tree_get_root(struct live *live, enum live_kind tree, struct tree_node *ret_node)
{
    struct tree_place root = root_place();
    return tree_get(live, tree, root.parent, root.name, ret_node);
}

int tree_next(struct live *live, enum live_kind tree, uint64_t parent, const struct bytes *after,
              struct bytes *ret_name, struct tree_node *ret_node)
{
    struct trie_key key;
    if (after != NULL) {
        trie_key_edge(&key, tree, parent, *after, live_hash_key(live));
        trie_key_step(&key);
    } else {
        trie_key_node(&key, tree, parent);
    }
    struct bytes found;
    struct bytes value;
    int r = live_seek(live, trie_key_bytes(&key), &found, &value);
    if (r != 0)
        return r;
    if (!trie_key_begins(found, &key, TRIE_KEY_PREFIX))
        return -ENOENT;
    return parse(found, value, ret_name, ret_node);
}

static uint32_t child_count(const struct tree_node *node)
{
    return node->literals + ((node->flags & TREE_PLUS) != 0) + ((node->flags & TREE_HASH) != 0);
}

/* Of any use but to lead to children. */
static bool has_own_use(const struct tree_node *node)
{
    return (node->any | node->persistent) != 0 || node->groups != 0 ||
           (node->flags & TREE_MESSAGE) != 0;
}

static void count_child(struct tree_node *parent, struct bytes name, bool added)
{
    unsigned flag = 0;
    if (topic_level_is_plus(name))
        flag = TREE_PLUS;
    if (topic_level_is_hash(name))
        flag = TREE_HASH;
    if (flag == 0) {
        parent->literals = added ? parent->literals + 1 : parent->literals - 1;
    } else {
        parent->flags = (uint16_t)(added ? parent->flags | flag : parent->flags & ~flag);
    }
}

int tree_find(struct live *live, enum live_kind tree, struct bytes path,
              struct tree_found *ret_found)
{
    struct tree_found found = {.place = root_place(), .keep = root_place()};
    int r = tree_get_root(live, tree, &found.place.node);
    if (r != 0)
        return r;
    found.keep = found.place;
    found.below = topic_levels(path);
    struct topic_levels levels = found.below;
    struct topic_levels before = levels;
    struct bytes name;
    while (topic_next_level(&levels, &name)) {
        const struct tree_node *parent = &found.place.node;
        if (has_own_use(parent) || child_count(parent) > 1) {
            found.keep = found.place;
            found.below = before;
        }
        struct tree_place child = {.parent = tree_id(parent), .name = name};
        r = tree_get(live, tree, child.parent, name, &child.node);
        if (r != 0)
            return r;
        found.place = child;
        before = levels;
    }
    *ret_found = found;
    return 0;
}

int tree_store(struct live *live, enum live_kind tree, const struct tree_place *place)
{
    struct trie_key key;
    trie_key_edge(&key, tree, place->parent, place->name, live_hash_key(live));
    if ((place->node.flags & TREE_LONG) == 0) {
        struct bytes value = {(const uint8_t *)&place->node, sizeof place->node};
        return live_put(live, trie_key_bytes(&key), value);
    }
    uint8_t *memory;
    size_t size = sizeof place->node + place->name.size;
    int r = live_reserve(live, trie_key_bytes(&key), size, &memory);
    if (r != 0)
        return r;
    memcpy(memory, &place->node, sizeof place->node);
    memcpy(memory + sizeof place->node, place->name.data, place->name.size);
    return 0;
}

/* Asks for room for all nodes that are missing: this one and those in `rest`. */
static int room_for_chain(struct live *live, struct bytes name, struct topic_levels rest)
{
    size_t cost = NODE_COST + name.size;
    while (topic_next_level(&rest, &name)) {
        cost += NODE_COST + name.size;
    }
    return live_room(live, cost);
}

/* Turns `place` from the parent into its new child of that name. */
static int add_child(struct live *live, enum live_kind tree, struct tree_place *place,
                     struct bytes name)
{
    uint64_t id;
    int r = live_new_id(live, &id);
    if (r != 0)
        return r;
    count_child(&place->node, name, true);
    r = tree_store(live, tree, place);
    if (r != 0)
        return r;
    struct tree_place child = {.parent = tree_id(&place->node), .name = name, .fresh = true};
    child.node.id_low = (uint32_t)id;
    child.node.id_high = (uint16_t)(id >> 32);
    child.node.flags = trie_key_name_is_long(name) ? TREE_LONG : 0;
    *place = child;
    return 0;
}

int tree_make(struct live *live, enum live_kind tree, struct bytes path,
              struct tree_place *ret_place)
{
    struct tree_place place = root_place();
    int r = tree_get_root(live, tree, &place.node);
    if (r != 0 && r != -ENOENT)
        return r;
    bool missing = false;
    struct topic_levels levels = topic_levels(path);
    struct bytes name;
    while (topic_next_level(&levels, &name)) {
        if (!missing) {
            struct tree_place child = {.parent = tree_id(&place.node), .name = name};
            r = tree_get(live, tree, child.parent, name, &child.node);
            if (r == 0) {
                place = child;
                continue;
            }
            if (r != -ENOENT)
                return r;
            r = room_for_chain(live, name, levels);
            if (r != 0)
                return r;
            missing = true;
        }
        r = add_child(live, tree, &place, name);
        if (r != 0)
            return r;
    }
    *ret_place = place;
    return 0;
}

static int delete_edge(struct live *live, enum live_kind tree, uint64_t parent, struct bytes name)
{
    struct trie_key key;
    trie_key_edge(&key, tree, parent, name, live_hash_key(live));
    return live_delete(live, trie_key_bytes(&key));
}

/* Removes a chain of nodes that lead only to each other. */
static int delete_chain(struct live *live, enum live_kind tree, uint64_t parent,
                        struct topic_levels chain)
{
    struct bytes name;
    while (topic_next_level(&chain, &name)) {
        struct tree_node node;
        int r = tree_get(live, tree, parent, name, &node);
        if (r != 0)
            return r;
        r = delete_edge(live, tree, parent, name);
        if (r != 0)
            return r;
        parent = tree_id(&node);
    }
    return 0;
}

int tree_settle(struct live *live, enum live_kind tree, const struct tree_found *found)
{
    const struct tree_node *node = &found->place.node;
    if (has_own_use(node) || child_count(node) > 0)
        return tree_store(live, tree, &found->place);
    struct tree_place keep = found->keep;
    struct topic_levels chain = found->below;
    struct bytes first;
    check(topic_next_level(&chain, &first));
    int r = delete_chain(live, tree, tree_id(&keep.node), found->below);
    if (r != 0)
        return r;
    count_child(&keep.node, first, false);
    bool is_root = keep.parent == TRIE_KEY_NOWHERE;
    if (is_root && child_count(&keep.node) == 0) {
        return delete_edge(live, tree, keep.parent, keep.name);
    }
    return tree_store(live, tree, &keep);
}
