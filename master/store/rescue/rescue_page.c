#include "master/store/rescue/rescue_page.h"

#include <string.h>

enum {
    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_RUN = 0x04,
    FLAG_META = 0x08,
    NODE_RUN = 0x01,
    NODE_HEADER = 8,
    VERSION = 1,
    FREE_FLAGS = 0x08, /* keys of the tree of free pages are numbers */
    OFFSET_SIZE = sizeof(uint16_t)
};

#define MAGIC 0xBEEFC0DEU

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nodes are laid out by it");

struct header {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower;
    uint16_t upper;
};
_Static_assert(sizeof(struct header) == RESCUE_PAGE_HEADER, "as LMDB's");

struct tree {
    uint32_t pad; /* of the first one: size of a page */
    uint16_t flags;
    uint16_t depth;
    size_t branch_pages;
    size_t leaf_pages;
    size_t run_pages;
    size_t rows;
    size_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    struct tree free;
    struct tree rows;
    size_t last_page;
    size_t commit;
};

struct node {
    uint16_t low;
    uint16_t high;
    uint16_t flags;
    uint16_t key_size;
};

static struct header header_of(struct bytes page)
{
    struct header header;
    memcpy(&header, page.data, sizeof header);
    return header;
}

/* -- meta pages -- */

static struct rescue_tree tree_of(const struct tree *tree)
{
    return (struct rescue_tree){
        .depth = tree->depth,
        .branch_pages = tree->branch_pages,
        .leaf_pages = tree->leaf_pages,
        .run_pages = tree->run_pages,
        .rows = tree->rows,
        .root = tree->root == SIZE_MAX ? RESCUE_PAGE_NONE : tree->root,
    };
}

static bool is_page_size(size_t size)
{
    return size >= RESCUE_PAGE_SIZE_MIN && size <= RESCUE_PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

bool rescue_page_meta(struct bytes page, unsigned number, struct rescue_meta *ret_meta)
{
    struct header header = header_of(page);
    struct meta meta;
    memcpy(&meta, page.data + sizeof header, sizeof meta);
    if (header.number != number || header.flags != FLAG_META || meta.magic != MAGIC ||
        meta.version != VERSION)
        return false;
    if (!is_page_size(meta.free.pad) || meta.free.flags != FREE_FLAGS || meta.rows.flags != 0 ||
        meta.address != NULL)
        return false;
    if (meta.free.depth > RESCUE_PAGE_DEPTH_MAX || meta.rows.depth > RESCUE_PAGE_DEPTH_MAX)
        return false;
    *ret_meta = (struct rescue_meta){
        .page_size = meta.free.pad,
        .last_page = meta.last_page,
        .commit = meta.commit,
        .free = tree_of(&meta.free),
        .rows = tree_of(&meta.rows),
    };
    /* They take turns; in a file that was just made, both are of no commit. */
    return meta.commit == 0 || (meta.commit & 1) == number;
}

/* -- branches and leaves -- */

enum rescue_page_kind rescue_page_kind(struct bytes page, uint64_t number)
{
    struct header header = header_of(page);
    if (header.number != number || header.lower < RESCUE_PAGE_HEADER + OFFSET_SIZE ||
        header.lower > header.upper || header.upper > page.size || header.lower % OFFSET_SIZE != 0)
        return RESCUE_PAGE_BAD;
    if (header.flags == FLAG_BRANCH)
        return RESCUE_PAGE_BRANCH;
    return header.flags == FLAG_LEAF ? RESCUE_PAGE_LEAF : RESCUE_PAGE_BAD;
}

unsigned rescue_page_count(struct bytes page)
{
    return (header_of(page).lower - (unsigned)RESCUE_PAGE_HEADER) / OFFSET_SIZE;
}

/* What a node takes of the page, which is even. */
static size_t node_size(const struct rescue_node *node)
{
    size_t size = NODE_HEADER + node->key.size + (node->is_run ? sizeof(size_t) : node->data.size);
    return size + size % 2;
}

static bool get_data(struct reader *r, const struct node *node, struct rescue_node *ret_node)
{
    size_t size = node->low | (size_t)node->high << 16;
    size_t number = 0;
    ret_node->data_size = size;
    ret_node->is_run = node->flags == NODE_RUN;
    if (ret_node->is_run) {
        struct bytes word = reader_bytes(r, sizeof number);
        if (!r->bad)
            memcpy(&number, word.data, sizeof number);
        ret_node->page = number;
    } else {
        ret_node->data = reader_bytes(r, size);
    }
    return node->flags == 0 || ret_node->is_run;
}

bool rescue_page_node(struct bytes page, unsigned index, struct rescue_node *ret_node)
{
    struct header header = header_of(page);
    struct node node;
    uint16_t offset;
    memcpy(&offset, page.data + RESCUE_PAGE_HEADER + index * sizeof offset, sizeof offset);
    if (offset < header.upper || offset % 2 != 0 || offset + (size_t)NODE_HEADER > page.size)
        return false;
    struct reader r = reader_of(bytes_from(page, offset));
    memcpy(&node, reader_bytes(&r, NODE_HEADER).data, sizeof node);
    *ret_node = (struct rescue_node){.key = reader_bytes(&r, node.key_size)};
    if (header.flags == FLAG_LEAF)
        return get_data(&r, &node, ret_node) && !r.bad;
    ret_node->page = node.low | (uint64_t)node.high << 16 |
                     (sizeof(size_t) == 8 ? (uint64_t)node.flags << 32 : 0);
    return !r.bad;
}

bool rescue_page_is_whole(struct bytes page)
{
    struct rescue_node node;
    size_t used = 0;
    for (unsigned i = 0; i < rescue_page_count(page); i++) {
        if (!rescue_page_node(page, i, &node))
            return false;
        used += node_size(&node);
    }
    return used == page.size - header_of(page).upper;
}

/* -- runs -- */

uint64_t rescue_page_run_length(size_t page_size, size_t size)
{
    return (RESCUE_PAGE_HEADER - 1 + (uint64_t)size) / page_size + 1;
}

uint64_t rescue_page_run(struct bytes begin, uint64_t number)
{
    struct header header = header_of(begin);
    bool is_run = header.number == number && header.flags == FLAG_RUN;
    return is_run ? header.lower | (uint64_t)header.upper << 16 : 0;
}
