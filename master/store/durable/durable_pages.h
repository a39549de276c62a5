#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_PAGES_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_PAGES_H

/*
 * How many pages of the file are in use, and how many a commit wrote: what wears an
 * SD card. LMDB copies each page that it changes and notes with the commit which old
 * ones that set free; so what it wrote is what it freed, what the trees grew by, and
 * the meta page. (What the kernel counts depends on the file system, and it may be
 * asked only by those who may trace the process.)
 */

#include <lmdb.h>
#include <stdint.h>

struct durable_pages {
    uint64_t in_use; /* of both trees, LMDB's list of free pages being the other one */
};

/* Looks at the last commit through `reader`, which is at rest before and after, and
 * returns how many pages it wrote if the last look was at the one before. */
uint64_t durable_pages_look(struct durable_pages *pages, MDB_txn *reader, MDB_dbi dbi);

#endif
