#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_WALK_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_WALK_H

/*
 * Through the trees of a file, whatever state it is in: bounded by their depth and by
 * the number of pages, because none is entered twice. What is wrong is told, and the
 * walk goes on behind it.
 */

#include "master/store/rescue/rescue_file.h"

/* Keys from `from` on and before `to`; each may be empty: there is no bound. */
struct rescue_span {
    struct bytes from;
    struct bytes to;
};

struct rescue_visitor {
    /* A row; its checksum was not looked at. All is borrowed. What is not 0 ends the
     * walk. */
    int (*on_row)(void *context, struct bytes key, struct bytes value);
    /* What is wrong with a page, and where rows may be missing for that (NULL: nowhere). */
    void (*on_damage)(void *context, uint64_t page, const char *what,
                      const struct rescue_span *span);
    void *context;
};

/* The tree of rows. Is it whole, as the meta page tells of it? 0 or -errno, or what
 * on_row returned. */
int rescue_walk_rows(struct rescue_file *file, const struct rescue_meta *meta,
                     const struct rescue_visitor *visitor, bool *ret_is_whole);
/* The tree of free pages: notes them as such. Its damage has no span, and it no rows.
 * 0 or -errno. */
int rescue_walk_free(struct rescue_file *file, const struct rescue_meta *meta,
                     const struct rescue_visitor *visitor, bool *ret_is_whole);
/* After both: rows in leaves that neither led to. Of damage nothing is told. 0 or -errno, or what
 * on_row returned. */
int rescue_walk_orphans(struct rescue_file *file, const struct rescue_visitor *visitor);

#endif
