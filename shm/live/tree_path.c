#include "shm/live/tree_path.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_START = 128, FRAMES_START = 8 };

/* Makes room for one more frame, and for a text of this size. */
static int grow(struct tree_path *path, size_t text_size)
{
    if (path->depth == path->frames_capacity) {
        size_t capacity = path->frames_capacity == 0 ? FRAMES_START : 2 * path->frames_capacity;
        struct tree_frame *frames = realloc(path->frames, capacity * sizeof *frames);
        if (frames == NULL)
            return -ENOMEM;
        path->frames = frames;
        path->frames_capacity = capacity;
    }
    if (text_size > path->text_capacity) {
        size_t capacity = 2 * text_size + TEXT_START;
        uint8_t *text = realloc(path->text, capacity);
        if (text == NULL)
            return -ENOMEM;
        path->text = text;
        path->text_capacity = capacity;
    }
    return 0;
}

int tree_path_init(struct tree_path *path)
{
    *path = (struct tree_path){.depth = 0};
    int r = grow(path, 0);
    if (r != 0)
        return r;
    path->frames[path->depth++] = (struct tree_frame){.id = 0};
    return 0;
}

void tree_path_done(struct tree_path *path)
{
    free(path->text);
    free(path->frames);
    *path = (struct tree_path){.depth = 0};
}

struct tree_frame *tree_path_top(struct tree_path *path)
{
    return path->depth > 0 ? &path->frames[path->depth - 1] : NULL;
}

struct bytes tree_path_text(const struct tree_path *path)
{
    return (struct bytes){path->text, path->text_size};
}

/* Where the name of a child of the last frame begins. */
static size_t name_offset(const struct tree_path *path)
{
    size_t separator = path->depth > 1 ? 1 : 0;
    return path->frames[path->depth - 1].text_size + separator;
}

int tree_path_enter(struct tree_path *path, struct bytes name, uint64_t id)
{
    check(path->depth > 0);
    size_t offset = name_offset(path);
    int r = grow(path, offset + name.size);
    if (r != 0)
        return r;
    if (offset > path->frames[path->depth - 1].text_size)
        path->text[offset - 1] = '/';
    if (name.size > 0)
        memcpy(path->text + offset, name.data, name.size);
    path->text_size = offset + name.size;
    path->frames[path->depth++] = (struct tree_frame){.id = id, .text_size = path->text_size};
    return 0;
}

/* The text keeps the name of the child that is left, so that tree_path_next()
 * finds the one after it. */
void tree_path_leave(struct tree_path *path)
{
    check(path->depth > 0);
    path->depth--;
    path->text_size = path->frames[path->depth].text_size;
    if (path->depth > 0)
        path->frames[path->depth - 1].begun = true;
}

int tree_path_next(struct tree_path *path, struct live *live, enum live_kind tree,
                   struct tree_node *ret_node)
{
    struct tree_frame *frame = tree_path_top(path);
    check(frame != NULL);
    size_t offset = name_offset(path);
    struct bytes last = {NULL, 0};
    if (frame->begun)
        last = bytes_from(tree_path_text(path), offset);
    struct bytes name;
    struct tree_node node;
    int r = tree_next(live, tree, frame->id, frame->begun ? &last : NULL, &name, &node);
    if (r != 0)
        return r;
    r = tree_path_enter(path, name, tree_id(&node));
    if (r != 0)
        return r;
    *ret_node = node;
    return 0;
}
