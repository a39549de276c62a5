#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_EXAMINE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_EXAMINE_H

/*
 * Is a file sound, that is: can LMDB be trusted with it, and is every row what was
 * written? It is read once, in full, and not changed.
 */

#include "master/store/durable/durable_key.h"
#include "master/store/rescue/rescue_walk.h"

enum { RESCUE_KINDS = DURABLE_ENDED + 1 };

enum rescue_verdict {
    RESCUE_SOUND,
    RESCUE_NEWER, /* made by a later version: not ours to judge */
    RESCUE_DAMAGED
};

struct rescue_findings {
    enum rescue_verdict verdict;
    const struct rescue_meta *meta;  /* of the last commit, in the file; NULL: there is none */
    const struct rescue_meta *older; /* of the one before; NULL */
    bool rows_are_whole;             /* their tree is, whatever the free pages are */
    uint64_t rows[RESCUE_KINDS];     /* sound ones, by kind */
    uint64_t rows_damaged;           /* by their checksums */
};

/* Takes one finding, a sentence for people. */
typedef void (*rescue_say_fn)(void *context, const char *text);

/* The checksums of bodies, which are most of a file, are looked at only if asked for:
 * each is when it is read. 0 or -errno (-ENOMEM). */
int rescue_examine(struct rescue_file *file, bool with_bodies, rescue_say_fn say, void *context,
                   struct rescue_findings *ret_findings);

#endif
