#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_SALVAGE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_SALVAGE_H

/*
 * A fresh environment out of what is left of a damaged one. Each row is taken from the
 * best source that has it whole:
 *
 *   1. the tree of the last commit, where it can be followed;
 *   2. leaves that it no longer leads to and that are not free: they hang below a
 *      damaged branch (only if the list of free pages is whole: old leaves look the same);
 *   3. the tree of the commit before;
 *   4. the copy (rescue_copy.h), which is older.
 *
 * 2 to 4 may only fill the spans in which the first has lost rows: elsewhere what is
 * not there was deleted.
 */

#include "master/store/durable/durable_env.h"
#include "master/store/rescue/rescue_examine.h"
#include "master/store/rescue/rescue_spans.h"

struct rescue_salvage {
    struct durable_env *env;
    struct rescue_spans lost;
    bool is_filling;  /* only what is missing is taken */
    bool is_copy;     /* ... and only what may be old */
    unsigned pending; /* rows of the open transaction */
    uint64_t taken;   /* rows of the last commit's tree, */
    uint64_t filled;  /* ... of it and the one before it by other ways, */
    uint64_t copied;  /* ... and of the copy */
    uint32_t run_max; /* the highest run number in a key */
};

/* Makes the environment in `folder`, which is empty. 0 or -errno. */
int rescue_salvage_begin(struct rescue_salvage *ret_salvage, const char *folder, uint64_t size_max);
/* Sources 1 to 3. 0 or -errno. */
int rescue_salvage_file(struct rescue_salvage *salvage, struct rescue_file *file,
                        const struct rescue_findings *findings);
/* There is no file: anything may be missing. */
void rescue_salvage_nothing(struct rescue_salvage *salvage);
/* Source 4, from a descriptor. 0 or -errno. */
int rescue_salvage_copy(struct rescue_salvage *salvage, int fd);
/* Commits what was taken; the environment stays open. 0 or -errno. */
int rescue_salvage_commit(struct rescue_salvage *salvage);
/* Closes it, whole or not. */
void rescue_salvage_done(struct rescue_salvage *salvage);

#endif
