#ifndef COURTIER_SHM_LIVE_LIVE_H
#define COURTIER_SHM_LIVE_LIVE_H

/*
 * The live store: LMDB on a memory file system. The store process writes it;
 * workers map it read-only. Rules of LMDB that bind us: an environment is never
 * used across a fork (each process opens it after); never opened twice in one
 * process; one reusable read transaction per worker; no transaction is held
 * while a process sleeps, because a reader that stands still keeps pages from
 * being reused until the map is full.
 *
 * Both trie and retained messages are read in the reader's snapshot, or, by the
 * store, in its open transaction.
 *
 * No WRITEMAP: a stray pointer can't hurt it, and a full tmpfs is an error code
 * and not a SIGBUS.
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live;

/* `folder` exists and is private; `size_max` is the map size in bytes.
 * Store: opens, or makes, the environment for writing. 0 or -errno (-ENOTSUP:
 * this LMDB is not sound with pages of this size; -EINVAL: fewer than 64 pages;
 * -EPROTO: another version made what is there). */
int live_open_writer(struct live **ret_live, const char *folder, size_t size_max);
/* Worker: opens for reading; the store has made it. 0, or -errno (-ENOENT: not
 * there yet). */
int live_open_reader(struct live **ret_live, const char *folder);
void live_close(struct live *live);

/* Reader: a snapshot at least as new as every commit before the call. Guarded
 * against LMDB's renewal race. Keeps the snapshot until the next call. 0 or
 * -errno, and then there is none (-EAGAIN: commits came between all tries). */
int live_renew(struct live *live);
/* Reader: lets go of the snapshot, before the process sleeps. */
void live_rest(struct live *live);

/* Writer: one transaction at a time; all write functions need one.
 *
 * A write that grows the data is refused with -ENOSPC while too few pages are
 * left; it has then changed nothing and the transaction is as good as before.
 * Any other error, and the -ENOSPC of a map too fragmented for a large value,
 * spoils the transaction: all further writes and the commit return it. LMDB can't
 * undo one record inside a batch, so the store commits a failed batch again
 * record by record. What clears or shrinks is never refused, as long as a
 * transaction changes some hundred records at most. */
int live_begin(struct live *live);
/* 0 or -errno (-ENOSPC when the map or the file system is full); on error
 * nothing of the transaction has happened. */
int live_commit(struct live *live);
void live_abort(struct live *live);

/* Writer: frees the slots of readers that died. */
void live_reap_readers(struct live *live);
/* Commits that the oldest reader is behind; 0 without readers. */
uint64_t live_reader_lag(struct live *live);
/* Bytes in use and the limit, for $SYS. */
void live_usage(struct live *live, uint64_t *ret_used, uint64_t *ret_size_max);

#endif
