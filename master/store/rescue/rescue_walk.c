#include "master/store/rescue/rescue_walk.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of one walk through one tree. */
struct walk {
    struct rescue_file *file;
    const struct rescue_visitor *visitor;
    bool is_free; /* the tree of free pages */
    uint64_t commit;
    unsigned depth;  /* of the leaves */
    uint8_t *memory; /* a page per level */
    struct rescue_tree seen;
    bool is_whole;
    int error;
};

static void damage(struct walk *walk, uint64_t page, const char *what,
                   const struct rescue_span *span)
{
    walk->is_whole = false;
    walk->visitor->on_damage(walk->visitor->context, page, what, walk->is_free ? NULL : span);
}

/* -- keys -- */

static size_t number_of(struct bytes key)
{
    size_t number;
    memcpy(&number, key.data, sizeof number);
    return number;
}

static bool is_key(const struct walk *walk, struct bytes key)
{
    return walk->is_free ? key.size == sizeof(size_t) : key.size > 0;
}

static bool is_before(const struct walk *walk, struct bytes a, struct bytes b)
{
    return walk->is_free ? number_of(a) < number_of(b) : bytes_compare(a, b) < 0;
}

/* Does the key come after the one before it (empty: there is none), within the span? */
static bool is_in_order(const struct walk *walk, struct bytes previous, struct bytes key,
                        struct rescue_span span)
{
    if (!is_key(walk, key))
        return false;
    if (previous.size > 0 && !is_before(walk, previous, key))
        return false;
    if (span.from.size > 0 && is_before(walk, key, span.from))
        return false;
    return span.to.size == 0 || is_before(walk, key, span.to);
}

/* -- leaves -- */

/* A list of pages: their number, then they, from the last to the first. */
static bool take_free(struct walk *walk, struct bytes key, struct bytes value)
{
    size_t count;
    size_t before = SIZE_MAX;
    if (!is_key(walk, key) || number_of(key) > walk->commit || value.size < sizeof count)
        return false;
    memcpy(&count, value.data, sizeof count);
    if (count > value.size / sizeof count - 1)
        return false;
    for (size_t i = 1; i <= count; i++) {
        size_t page;
        memcpy(&page, value.data + i * sizeof page, sizeof page);
        if (page >= before || !rescue_file_take(walk->file, page, 1, RESCUE_FREE))
            return false;
        before = page;
    }
    return true;
}

/* False if the row is not whole; walk->error ends the walk. */
static bool take_row(struct walk *walk, const struct rescue_node *node)
{
    struct bytes value = node->data;
    if (node->is_run) {
        walk->seen.run_pages += rescue_page_run_length(walk->file->page_size, node->data_size);
        if (!rescue_file_read_run(walk->file, node->page, node->data_size, &value, &walk->error))
            return false;
    }
    if (walk->is_free)
        return take_free(walk, node->key, value);
    walk->error = walk->visitor->on_row(walk->visitor->context, node->key, value);
    return true;
}

/* Rows are taken from a leaf that is not whole, too: each has a checksum. */
static void walk_leaf(struct walk *walk, struct bytes page, uint64_t number,
                      struct rescue_span span)
{
    struct bytes previous = {NULL, 0};
    bool is_whole = rescue_page_is_whole(page);
    unsigned count = rescue_page_count(page);
    walk->seen.leaf_pages++;
    walk->seen.rows += count;
    for (unsigned i = 0; i < count && walk->error == 0; i++) {
        struct rescue_node node;
        if (!rescue_page_node(page, i, &node) || !is_key(walk, node.key)) {
            is_whole = false;
            continue;
        }
        if (!is_in_order(walk, previous, node.key, span))
            is_whole = false;
        previous = node.key;
        if (!take_row(walk, &node))
            is_whole = false;
    }
    if (!is_whole && walk->error == 0)
        damage(walk, number, "rows in it are damaged", &span);
}

/* -- branches -- */

static void walk_page(struct walk *walk, uint64_t number, unsigned level, struct rescue_span span);

/* The span of child `index`. False if the separators are no keys in order. */
static bool child_span(const struct walk *walk, struct bytes page, unsigned index,
                       struct rescue_span *span)
{
    struct rescue_node node;
    const struct rescue_span all = *span;
    if (index > 0) {
        if (!rescue_page_node(page, index, &node) ||
            !is_in_order(walk, (struct bytes){NULL, 0}, node.key, all))
            return false;
        span->from = node.key;
    }
    if (index + 1 < rescue_page_count(page)) {
        if (!rescue_page_node(page, index + 1, &node) ||
            !is_in_order(walk, span->from, node.key, all))
            return false;
        span->to = node.key;
    }
    return true;
}

static void walk_branch(struct walk *walk, struct bytes page, uint64_t number, unsigned level,
                        struct rescue_span span)
{
    unsigned count = rescue_page_count(page);
    bool is_whole = rescue_page_is_whole(page) && (count > 1 || walk->is_free);
    walk->seen.branch_pages++;
    for (unsigned i = 0; i < count && walk->error == 0; i++) {
        struct rescue_node node;
        struct rescue_span part = span;
        if (!rescue_page_node(page, i, &node)) {
            is_whole = false;
            continue;
        }
        if (!child_span(walk, page, i, &part)) {
            is_whole = false;
            part = span; /* the widest that it can be */
        }
        walk_page(walk, node.page, level + 1, part);
    }
    if (!is_whole && walk->error == 0)
        damage(walk, number, "it is a branch, and damaged", &span);
}

/* -- all -- */

static void walk_page(struct walk *walk, uint64_t number, unsigned level, struct rescue_span span)
{
    uint8_t *memory = walk->memory + (size_t)(level - 1) * walk->file->page_size;
    const struct bytes page = {memory, walk->file->page_size};
    if (!rescue_file_take(walk->file, number, 1, RESCUE_USED)) {
        damage(walk, number, "it is led to, but is no page, or another thing's", &span);
        return;
    }
    if (!rescue_file_read(walk->file, number, memory)) {
        damage(walk, number, "it can't be read", &span);
        return;
    }
    enum rescue_page_kind kind = rescue_page_kind(page, number);
    if (kind == RESCUE_PAGE_LEAF && level == walk->depth)
        walk_leaf(walk, page, number, span);
    else if (kind == RESCUE_PAGE_BRANCH && level < walk->depth)
        walk_branch(walk, page, number, level, span);
    else
        damage(walk, number, "it is not what leads to it says", &span);
}

static bool is_as_told(const struct rescue_tree *seen, const struct rescue_tree *told)
{
    return seen->branch_pages == told->branch_pages && seen->leaf_pages == told->leaf_pages &&
           seen->run_pages == told->run_pages && seen->rows == told->rows;
}

static int walk_tree(struct walk *walk, const struct rescue_tree *tree, bool *ret_is_whole)
{
    const struct rescue_span all = {{NULL, 0}, {NULL, 0}};
    walk->is_whole = true;
    walk->depth = tree->depth;
    if (tree->root != RESCUE_PAGE_NONE && tree->depth > 0) {
        walk->memory = malloc(tree->depth * walk->file->page_size);
        if (walk->memory == NULL)
            return -ENOMEM;
        walk_page(walk, tree->root, 1, all);
        free(walk->memory);
    }
    if (walk->is_whole && walk->error == 0 && !is_as_told(&walk->seen, tree))
        damage(walk, tree->root, "there is less or more below it than was counted", NULL);
    *ret_is_whole = walk->is_whole;
    return walk->error;
}

int rescue_walk_rows(struct rescue_file *file, const struct rescue_meta *meta,
                     const struct rescue_visitor *visitor, bool *ret_is_whole)
{
    struct walk walk = {.file = file, .visitor = visitor, .commit = meta->commit};
    return walk_tree(&walk, &meta->rows, ret_is_whole);
}

int rescue_walk_free(struct rescue_file *file, const struct rescue_meta *meta,
                     const struct rescue_visitor *visitor, bool *ret_is_whole)
{
    struct walk walk = {.file = file, .visitor = visitor, .is_free = true, .commit = meta->commit};
    return walk_tree(&walk, &meta->free, ret_is_whole);
}

/* -- orphans -- */

static int take_orphan(struct rescue_file *file, const struct rescue_visitor *visitor,
                       const struct rescue_node *node)
{
    struct bytes value = node->data;
    int error = 0;
    if (node->is_run && !rescue_file_read_run(file, node->page, node->data_size, &value, &error))
        return error;
    return visitor->on_row(visitor->context, node->key, value);
}

/* Pages of a run behind its first: clients' data, which may look like anything. */
static uint64_t run_rest(struct bytes page, uint64_t number)
{
    uint64_t length = rescue_page_run(page, number);
    return length > 0 ? length - 1 : 0;
}

int rescue_walk_orphans(struct rescue_file *file, const struct rescue_visitor *visitor)
{
    uint8_t *memory = malloc(file->page_size);
    const struct bytes page = {memory, file->page_size};
    int r = memory == NULL ? -ENOMEM : 0;
    for (uint64_t number = 2; number < file->end && r == 0; number++) {
        if (file->uses[number] != RESCUE_UNUSED || !rescue_file_read(file, number, memory))
            continue;
        number += run_rest(page, number);
        if (rescue_page_kind(page, number) != RESCUE_PAGE_LEAF)
            continue;
        for (unsigned i = 0; i < rescue_page_count(page) && r == 0; i++) {
            struct rescue_node node;
            if (rescue_page_node(page, i, &node))
                r = take_orphan(file, visitor, &node);
        }
    }
    free(memory);
    return r;
}
