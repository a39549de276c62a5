#include "common/base/check.h"
#include "shm/live/tree.h"
#include "shm/live/tree_path.h"
#include "shm/live/trie.h"
#include "shm/live/trie_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 64 };

static uint64_t with_bit(uint64_t bits, unsigned worker, bool on)
{
    uint64_t bit = UINT64_C(1) << worker;
    return on ? bits | bit : bits & ~bit;
}

/* Both return whether that changed anything. */
static bool set_bits(struct tree_node *node, unsigned worker, bool any, bool persistent)
{
    uint64_t old_any = node->any;
    uint64_t old_persistent = node->persistent;
    node->any = with_bit(old_any, worker, any);
    node->persistent = with_bit(old_persistent, worker, persistent);
    return node->any != old_any || node->persistent != old_persistent;
}

static bool set_member(struct trie_members *members, const struct trie_member *member)
{
    unsigned index = trie_group_index(members, member->worker);
    struct trie_member *at = &members->each[index];
    bool exists = index < members->count && at->worker == member->worker;
    if (exists && at->online == member->online && at->offline == member->offline)
        return false;
    if (!exists) {
        memmove(at + 1, at, (members->count - index) * sizeof *at);
        members->count++;
    }
    *at = *member;
    return true;
}

static bool take_member(struct trie_members *members, unsigned worker)
{
    unsigned index = trie_group_index(members, worker);
    struct trie_member *at = &members->each[index];
    if (index == members->count || at->worker != worker)
        return false;
    members->count--;
    memmove(at, at + 1, (members->count - index) * sizeof *at);
    return true;
}

static int clear_bits(struct live *live, struct bytes filter, unsigned worker, bool *ret_changed)
{
    *ret_changed = false;
    struct tree_found found;
    int r = tree_find(live, LIVE_TRIE, filter, &found);
    if (r == -ENOENT)
        return 0;
    if (r != 0)
        return r;
    if (!set_bits(&found.place.node, worker, false, false))
        return 0;
    r = tree_settle(live, LIVE_TRIE, &found);
    if (r != 0)
        return r;
    *ret_changed = true;
    return 0;
}

int trie_set(struct live *live, struct bytes filter, unsigned worker, bool any, bool persistent,
             bool *ret_changed)
{
    check(worker < WORKERS_MAX);
    if (!any && !persistent)
        return clear_bits(live, filter, worker, ret_changed);
    struct tree_place place;
    int r = tree_make(live, LIVE_TRIE, filter, &place);
    if (r != 0)
        return r;
    bool changed = set_bits(&place.node, worker, any, persistent);
    if (changed)
        r = tree_store(live, LIVE_TRIE, &place);
    if (r != 0)
        return r;
    *ret_changed = changed;
    return 0;
}

static int clear_member(struct live *live, struct bytes filter, const struct hash128 *id,
                        unsigned worker, bool *ret_changed)
{
    *ret_changed = false;
    struct tree_found found;
    int r = tree_find(live, LIVE_TRIE, filter, &found);
    if (r == -ENOENT)
        return 0;
    if (r != 0)
        return r;
    uint64_t node = tree_id(&found.place.node);
    struct trie_members members;
    r = trie_group_get(live, node, id, &members);
    if (r == -ENOENT)
        return 0;
    if (r != 0)
        return r;
    if (!take_member(&members, worker))
        return 0;
    r = trie_group_put(live, node, id, &members);
    if (r == 0 && members.count == 0) {
        found.place.node.groups--;
        r = tree_settle(live, LIVE_TRIE, &found);
    }
    if (r != 0)
        return r;
    *ret_changed = true;
    return 0;
}

/* Changes the counts of a member that exists, which needs no room. 0, -ENOENT
 * or -errno. */
static int update_member(struct live *live, struct bytes filter, const struct hash128 *id,
                         const struct trie_member *member, bool *ret_changed)
{
    struct tree_found found;
    int r = tree_find(live, LIVE_TRIE, filter, &found);
    if (r != 0)
        return r;
    uint64_t node = tree_id(&found.place.node);
    struct trie_members members;
    r = trie_group_get(live, node, id, &members);
    if (r != 0)
        return r;
    unsigned count = members.count;
    bool changed = set_member(&members, member);
    if (members.count > count)
        return -ENOENT;
    r = changed ? trie_group_put(live, node, id, &members) : 0;
    if (r != 0)
        return r;
    *ret_changed = changed;
    return 0;
}

static int add_member(struct live *live, struct bytes filter, const struct hash128 *id,
                      const struct trie_member *member)
{
    int r = live_room(live, sizeof(struct trie_members));
    if (r != 0)
        return r;
    struct tree_place place;
    r = tree_make(live, LIVE_TRIE, filter, &place);
    if (r != 0)
        return r;
    uint64_t node = tree_id(&place.node);
    struct trie_members members = {.count = 0};
    r = trie_group_get(live, node, id, &members);
    if (r != 0 && r != -ENOENT)
        return r;
    bool is_new_group = r == -ENOENT;
    (void)set_member(&members, member);
    r = trie_group_put(live, node, id, &members);
    if (r != 0 || !is_new_group)
        return r;
    place.node.groups++;
    return tree_store(live, LIVE_TRIE, &place);
}

int trie_set_group(struct live *live, struct bytes filter, const struct hash128 *id,
                   unsigned worker, struct trie_weight weight, bool *ret_changed)
{
    check(worker < WORKERS_MAX);
    if (weight.online == 0 && weight.offline == 0)
        return clear_member(live, filter, id, worker, ret_changed);
    struct trie_member member = {
        .online = weight.online, .offline = weight.offline, .worker = worker};
    int r = update_member(live, filter, id, &member, ret_changed);
    if (r != -ENOENT)
        return r;
    r = add_member(live, filter, id, &member);
    if (r != 0)
        return r;
    *ret_changed = true;
    return 0;
}

/* -- all of one worker -- */

struct trie_clear {
    unsigned worker;
    bool keeps_persistent;
    struct tree_path path;
};

struct trie_clear *trie_clear_new(unsigned worker)
{
    check(worker < WORKERS_MAX);
    struct trie_clear *clear = calloc(1, sizeof *clear);
    if (clear == NULL)
        return NULL;
    clear->worker = worker;
    if (tree_path_init(&clear->path) == 0)
        return clear;
    free(clear);
    return NULL;
}

void trie_clear_keep_persistent(struct trie_clear *clear)
{
    clear->keeps_persistent = true;
}

void trie_clear_free(struct trie_clear *clear)
{
    if (clear == NULL)
        return;
    tree_path_done(&clear->path);
    free(clear);
}

/* Takes the worker's members out of a group, or makes them offline ones. */
static int clear_group(struct live *live, const struct trie_clear *clear, const struct hash128 *id,
                       const struct trie_members *members, bool *ret_changed)
{
    unsigned index = trie_group_index(members, clear->worker);
    const struct trie_member *member = &members->each[index];
    struct trie_weight weight = {0, 0};
    *ret_changed = false;
    if (index == members->count || member->worker != clear->worker)
        return 0;
    if (clear->keeps_persistent)
        weight.offline = member->online + member->offline;
    return trie_set_group(live, tree_path_text(&clear->path), id, clear->worker, weight,
                          ret_changed);
}

static int clear_groups(struct live *live, const struct trie_clear *clear, uint64_t node,
                        bool *changed)
{
    struct hash128 id;
    for (bool begin = true;; begin = false) {
        struct trie_members members;
        int r = trie_group_next(live, node, begin, &id, &members);
        if (r == -ENOENT)
            return 0;
        bool cleared = false;
        if (r == 0)
            r = clear_group(live, clear, &id, &members, &cleared);
        if (r != 0)
            return r;
        *changed = *changed || cleared;
    }
}

/* Takes the worker out of the node at which the path stands. */
static int clear_node(struct live *live, const struct trie_clear *clear,
                      const struct tree_node *node, bool *changed)
{
    if (node->groups > 0) {
        int r = clear_groups(live, clear, tree_id(node), changed);
        if (r != 0)
            return r;
    }
    if (((node->any | node->persistent) >> clear->worker & 1) == 0)
        return 0;
    if (clear->keeps_persistent && (node->persistent >> clear->worker & 1) != 0)
        return 0;
    bool cleared;
    int r = clear_bits(live, tree_path_text(&clear->path), clear->worker, &cleared);
    *changed = true;
    return r;
}

int trie_clear_step(struct live *live, struct trie_clear *clear, unsigned limit, bool *ret_changed)
{
    bool changed = false;
    int r = -EAGAIN;
    for (unsigned i = 0; i < limit && r == -EAGAIN; i++) {
        if (tree_path_top(&clear->path) == NULL) {
            r = 0;
            break;
        }
        struct tree_node node;
        int step = tree_path_next(&clear->path, live, LIVE_TRIE, &node);
        if (step == -ENOENT) {
            tree_path_leave(&clear->path);
        } else {
            if (step == 0)
                step = clear_node(live, clear, &node, &changed);
            if (step != 0)
                r = step;
        }
    }
    *ret_changed = changed;
    return r;
}
