#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_H

/*
 * What is kept on disk, as one thing: the environment, its time, and what is known
 * about its content. durable_apply.h changes it, durable_restore.h reads it.
 */

#include "common/base/hash.h"
#include "master/store/durable/durable_clock.h"
#include "master/store/durable/durable_env.h"
#include "shm/record.h"

#include <stdbool.h>
#include <stdint.h>

struct durable_batch;

struct durable {
    struct durable_env *env;
    struct durable_clock clock;
    const struct hash_key *key; /* of maps */
    uint64_t sessions;          /* on disk */
    uint64_t deliveries;        /* ... and waiting or in flight for them */
    uint64_t bytes;             /* of their messages, each as often as it is needed */
    bool has_ended;             /* rows of ended sessions are left: durable_apply() goes on */
    uint64_t damaged;           /* rows that were dropped */
    uint32_t next_run;
    uint32_t run_limit;       /* run numbers from here on are not taken yet, on disk */
    struct durable_key swept; /* retained messages up to here were looked at */
};

/* Opens, or makes, the environment in `folder` and looks through it: damaged rows are
 * dropped, and sessions and retained messages that expired. Not so for a successor of
 * a store process that died: the broker went on serving them, and live data wait for
 * us. Errors as durable_env_open(). */
int durable_open(struct durable *ret_durable, const char *folder, uint64_t size_max,
                 const struct hash_key *key, bool is_successor);
/* Notes the time, for those that expire while nobody runs. NULL env is allowed. */
void durable_close(struct durable *durable);

/* A number that was never given out before. 0 or -errno. */
int durable_take_run(struct durable *durable, uint32_t *ret_run);
/* Can anything be written now? Commits a row that is there always. 0 or -errno. */
int durable_probe(struct durable *durable);
/* Serial of a worker's last record on disk; 0: none. 0 or -errno. */
int durable_read_serial(struct durable *durable, unsigned worker, uint64_t *ret_serial);

/* Shows all retained messages, borrowed until the walk ends; it ends early with what
 * `show` returns if that is not 0. 0 or -errno. */
typedef int (*durable_retained_fn)(const struct record_message *message, void *context);
int durable_walk_retained(struct durable *durable, durable_retained_fn show, void *context);

/* Looks at the next `rows_max` retained messages, round and round: those that expired
 * come into the batch, to be deleted. */
void durable_sweep(struct durable *durable, struct durable_batch *batch, unsigned rows_max);

#endif
