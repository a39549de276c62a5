#ifndef COURTIER_SHM_LIVE_TREE_PATH_H
#define COURTIER_SHM_LIVE_TREE_PATH_H

/*
 * A place in a walk through a tree that outlives snapshots and changes: the
 * names from the root to here and the ids of the nodes, no pages. A node that
 * was removed meanwhile has no children, so the walk goes on above it; ids are
 * never used twice.
 */

#include "common/base/bytes.h"
#include "common/mqtt/topic.h"
#include "shm/live/live.h"
#include "shm/live/live_internal.h"
#include "shm/live/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_frame {
    uint64_t id;
    size_t text_size;         /* of the names up to this node */
    struct topic_levels rest; /* the walker's own: filter levels below this node */
    bool begun;               /* its children are being looked at */
};

struct tree_path {
    uint8_t *text; /* the names, with "/" between */
    size_t text_size;
    size_t text_capacity;
    struct tree_frame *frames; /* frames[0] is the root */
    size_t depth;
    size_t frames_capacity;
};

/* A path that stands at the root. 0 or -ENOMEM. */
int tree_path_init(struct tree_path *path);
void tree_path_done(struct tree_path *path);
/* The last frame; NULL when the walk has left the root. Valid until the next
 * descent. */
struct tree_frame *tree_path_top(struct tree_path *path);
/* The names as a topic or filter. */
struct bytes tree_path_text(const struct tree_path *path);
/* Goes down to a child; its frame is zero but for id and text. 0 or -ENOMEM. */
int tree_path_enter(struct tree_path *path, struct bytes name, uint64_t id);
void tree_path_leave(struct tree_path *path);
/* Goes down to the next child of the last frame in key order. 0, -ENOENT when
 * there is none, or -errno. */
int tree_path_next(struct tree_path *path, struct live *live, enum live_kind tree,
                   struct tree_node *ret_node);

#endif
