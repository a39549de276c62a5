#include "common/mqtt/topic.h"
#include "shm/live/retain.h"
#include "shm/live/retain_message.h"
#include "shm/live/tree.h"
#include "shm/live/tree_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct retain_walk {
    struct tree_path path;
    size_t filter_size;
    uint8_t filter[]; /* the frames' levels point into it */
};

int retain_get(struct live *live, struct bytes topic, struct retained *ret_retained)
{
    struct tree_found found;
    int r = tree_find(live, LIVE_RETAIN, topic, &found);
    if (r != 0)
        return r;
    if ((found.place.node.flags & TREE_MESSAGE) == 0)
        return -ENOENT;
    return retain_message_get(live, tree_id(&found.place.node), ret_retained);
}

struct retain_walk *retain_walk_new(struct bytes filter)
{
    struct retain_walk *walk = calloc(1, sizeof *walk + filter.size);
    if (walk == NULL)
        return NULL;
    if (tree_path_init(&walk->path) != 0) {
        free(walk);
        return NULL;
    }
    walk->filter_size = filter.size;
    memcpy(walk->filter, filter.data, filter.size);
    struct bytes copy = {walk->filter, walk->filter_size};
    tree_path_top(&walk->path)->rest = topic_levels(copy);
    return walk;
}

void retain_walk_free(struct retain_walk *walk)
{
    if (walk == NULL)
        return;
    tree_path_done(&walk->path);
    free(walk);
}

/* Goes down to the child of this name, once. */
static int enter_literal(struct live *live, struct tree_path *path, struct bytes name,
                         struct tree_node *ret_node)
{
    struct tree_frame *frame = tree_path_top(path);
    if (frame->begun)
        return -ENOENT;
    frame->begun = true;
    struct tree_node node;
    int r = tree_get(live, LIVE_RETAIN, frame->id, name, &node);
    if (r != 0)
        return r;
    r = tree_path_enter(path, name, tree_id(&node));
    if (r != 0)
        return r;
    *ret_node = node;
    return 0;
}

static const struct topic_levels no_levels = {NULL, NULL};

/* Does a node match when these levels of the filter are left? "a/#" matches "a". */
static bool is_match(struct topic_levels rest)
{
    struct bytes level;
    return !topic_next_level(&rest, &level) || topic_level_is_hash(level);
}

/* Goes down to the next node that the filter reaches, or up. 0 with a node;
 * -ENOENT when it went up; or -errno. *ret_matches: the filter matches it. */
static int advance(struct live *live, struct tree_path *path, struct tree_node *ret_node,
                   bool *ret_matches)
{
    struct topic_levels rest = tree_path_top(path)->rest;
    struct topic_levels deeper = rest;
    struct bytes level;
    int r = -ENOENT;
    bool wild = false;
    if (topic_next_level(&deeper, &level)) {
        if (topic_level_is_hash(level))
            deeper = rest;
        wild = topic_level_is_hash(level) || topic_level_is_plus(level);
        r = wild ? tree_path_next(path, live, LIVE_RETAIN, ret_node)
                 : enter_literal(live, path, level, ret_node);
    }
    if (r == -ENOENT)
        tree_path_leave(path);
    if (r != 0)
        return r;
    /* No leading wildcard matches a topic that begins with "$" [MQTT-4.7.2-1]. */
    bool hidden = wild && path->depth == 2 && topic_is_dollar(tree_path_text(path));
    bool is_leaf = ret_node->literals == 0;
    tree_path_top(path)->rest = hidden || is_leaf ? no_levels : deeper;
    *ret_matches = !hidden && is_match(deeper);
    return 0;
}

int retain_walk_next(struct live *live, struct retain_walk *walk, unsigned probes_max,
                     struct retained *ret_retained)
{
    for (unsigned probes = 0; probes < probes_max; probes++) {
        if (tree_path_top(&walk->path) == NULL)
            return -ENOENT;
        struct tree_node node;
        bool matches;
        int r = advance(live, &walk->path, &node, &matches);
        if (r == -ENOENT)
            continue;
        if (r != 0)
            return r;
        if (matches && (node.flags & TREE_MESSAGE) != 0) {
            return retain_message_get(live, tree_id(&node), ret_retained);
        }
    }
    return -EAGAIN;
}
