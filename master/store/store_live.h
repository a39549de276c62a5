#ifndef COURTIER_MASTER_STORE_STORE_LIVE_H
#define COURTIER_MASTER_STORE_STORE_LIVE_H

/*
 * What workers ask for, done to the live data: one function per kind of record,
 * many records per commit. A batch that fails is done again record by record, so
 * that only the culprit is refused.
 */

#include "master/store/store_op.h"
#include "shm/live/live.h"
#include "shm/region.h"
#include "shm/stats.h"

#include <stdbool.h>
#include <stdint.h>

/* A record could not be done: there is no room, or worse. */
typedef void (*store_live_refused_fn)(const struct store_op *op, int error, void *context);

struct store_live {
    struct live *live;
    const struct region *region;
    store_live_refused_fn on_refused;
    void *context; /* of on_refused */
    struct stats stats;
    uint32_t retained_max;   /* retained messages at most, without $SYS */
    int64_t sys_messages;    /* retained ones below $SYS */
    uint64_t next_expiry_ms; /* when a retained message may expire; UINT64_MAX: never */
};

/* Opens the environment for writing, makes it if there is none, and counts what
 * is in it. 0 or -errno. */
int store_live_open(struct store_live *ret_store, const struct region *region, unsigned slot,
                    const char *folder, uint64_t size_max);
void store_live_close(struct store_live *store);

/* Does and commits `count` records (no RESET) in their order, and raises the generations of
 * what changed. on_refused is called for each that could not be done; the others
 * are done when this returns. `keep_serials`: the last serial of each worker is
 * committed along, if none is refused. Returns whether it was. */
bool store_live_apply(struct store_live *store, struct store_op *ops, unsigned count,
                      bool keep_serials);

/* Takes all that a worker wanted out of the trie, in several transactions; with
 * `keep_persistent` but for what its sessions on disk may want. 0 or -errno; what is
 * left then costs needless records to that worker, no more. */
int store_live_clear_worker(struct store_live *store, unsigned worker, bool keep_persistent);

/* Commits the serial up to which a worker's records are done. 0 or -errno. */
int store_live_keep_serial(struct store_live *store, unsigned worker, uint64_t serial);
/* The one that was committed last; 0: none. 0 or -errno. */
int store_live_read_serial(struct store_live *store, unsigned worker, uint64_t *ret_serial);

/* Removes retained messages that expired, a bounded number; next_expiry_ms says
 * when to call again. 0 or -errno. */
int store_live_expire(struct store_live *store, uint64_t now_ms);

#endif
