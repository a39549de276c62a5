#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_PAGE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_PAGE_H

/*
 * The pages of an LMDB 0.9 file, read as what they may be after an accident: any
 * bytes. LMDB itself trusts each offset in them, and crashes, loops or overwrites
 * memory where one is wrong; here nothing is followed before it was looked at.
 *
 *   page      number (a word), pad, flags, lower, upper (16 bits each); then either
 *             offsets of nodes from here to `lower`, and nodes from `upper` to the end,
 *             or, in a meta page, the roots;
 *             or, in the first page of a run, their count in place of lower and upper
 *   node      data size or child (48 bits, of which 16 are flags in a leaf), size of
 *             the key; key; data, or the number of the run's first page
 *
 * Words are the machine's: so is the file.
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RESCUE_PAGE_SIZE_MIN = 4096,
    RESCUE_PAGE_SIZE_MAX = 32768, /* LMDB's; offsets have 16 bits */
    RESCUE_PAGE_HEADER = sizeof(size_t) + 8,
    RESCUE_PAGE_DEPTH_MAX = 32 /* LMDB's */
};

enum rescue_page_kind { RESCUE_PAGE_BAD, RESCUE_PAGE_BRANCH, RESCUE_PAGE_LEAF };

/* One tree, as a meta page tells of it. */
struct rescue_tree {
    unsigned depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t run_pages;
    uint64_t rows;
    uint64_t root; /* RESCUE_PAGE_NONE: it is empty */
};

#define RESCUE_PAGE_NONE UINT64_MAX

struct rescue_meta {
    size_t page_size;
    uint64_t last_page;
    uint64_t commit;
    struct rescue_tree free; /* commit -> pages that it freed */
    struct rescue_tree rows;
};

struct rescue_node {
    struct bytes key;
    struct bytes data; /* in a leaf, unless it lies in a run */
    size_t data_size;
    uint64_t page; /* the child, or the first page of the run */
    bool is_run;
};

/* Does `page` hold a meta page of this number? */
bool rescue_page_meta(struct bytes page, unsigned number, struct rescue_meta *ret_meta);

/* What its header says, if that makes sense for a page of this number. */
enum rescue_page_kind rescue_page_kind(struct bytes page, uint64_t number);
/* How many nodes a page has that is not BAD. */
unsigned rescue_page_count(struct bytes page);
/* Borrows the node from the page. False if it does not lie well in it. */
bool rescue_page_node(struct bytes page, unsigned index, struct rescue_node *ret_node);
/* Do all nodes lie well in the page, and fill what it says is full? */
bool rescue_page_is_whole(struct bytes page);

/* How many pages a value of this size takes. */
uint64_t rescue_page_run_length(size_t page_size, size_t size);
/* How many pages the run has that begins here; 0: none does. */
uint64_t rescue_page_run(struct bytes begin, uint64_t number);

#endif
