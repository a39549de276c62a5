#ifndef COURTIER_MASTER_STORE_COMMITTER_WORK_H
#define COURTIER_MASTER_STORE_COMMITTER_WORK_H

/* What the committer does, without the thread that does it. */

#include "common/base/log.h"
#include "master/store/committer_copy.h"
#include "master/store/committer_peer.h"
#include "master/store/durable/durable.h"
#include "master/store/durable/durable_batch.h"
#include "shm/inherit.h"
#include "shm/mesh.h"
#include "shm/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct committer_work {
    const struct inherit *inherit;
    struct mesh mesh;
    struct durable durable;
    struct durable_batch batch;
    struct committer_copy copy;
    struct stats stats;
    enum record_journal_state state;
    bool is_relaxed;
    bool has_margin;    /* relaxed: whatever the rings hold, there is room for it */
    bool commit_wanted; /* in this turn, whatever commit_interval says */
    uint64_t oldest_ms; /* when the batch got its first record; 0: none */
    uint64_t retry_at_ms;
    uint64_t backoff_ms;
    uint64_t probe_at_ms;
    uint64_t damaged_counted; /* damaged rows that the counters know of */
    struct log_rate error_rate;
    struct log_rate broken_rate;
    unsigned peer_count;
    struct committer_peer peers[CONF_WORKERS_MAX];
    uint32_t cut[MESH_PEERS_MAX]; /* positions that the rings are taken up to */
};

/* Opens the environment under inherit->durable_path, and our ends of the rings. 0 or
 * -errno as durable_open(), and then there is nothing to close. */
int committer_work_open(struct committer_work *ret_work, const struct inherit *inherit);
void committer_work_close(struct committer_work *work);
/* One pass: take, commit what is due, answer. */
void committer_work_turn(struct committer_work *work);
/* Is there nothing to do before a bell rings or the deadline below comes? */
bool committer_work_is_idle(struct committer_work *work);
/* Milliseconds to that deadline; -1: there is none. */
int committer_work_wait_ms(const struct committer_work *work);
/* The workers are gone: puts what they left in the rings on disk; gives up after a second
 * in vain (relaxed: after five). */
void committer_work_finish(struct committer_work *work);

#endif
