#include "master/store/store.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "common/ipc/control.h"
#include "master/store/committer.h"
#include "master/store/store_fill.h"
#include "master/store/store_live.h"
#include "master/store/store_op.h"
#include "master/store/store_peer.h"
#include "shm/heartbeat.h"
#include "shm/mesh.h"
#include "shm/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/*
 * The order [DESIGN 4, point 2]: commit a subscription, raise its generation (full
 * fence), then make one full pass over all rings, and only then confirm it. A
 * publisher that matched without the subscription had published its retained
 * record before it read the old generation, so that pass finds the record.
 *
 * The passes are a pipeline: each confirms what was committed before it began.
 * A pass is full when it has taken from every ring what was there at its begin: the
 * ring ran empty, or as many bytes were taken as it holds.
 *
 * A ring's room is given back only after the commit, so a successor reads again
 * what we had not finished; records are absolute, reading one twice does no harm.
 */

enum {
    REAP_INTERVAL_MS = 5000,
    LOG_BURST = 5,
    /* Not the reloadable limit: what was sent under an old one still comes. */
    MESSAGE_SIZE_MAX = (256 << 20) + 2 * UINT16_MAX
};

struct store {
    const struct inherit *inherit;
    struct mesh mesh;
    struct store_live live;
    struct committer *committer; /* NULL: nothing is kept on disk */
    struct stats stats;
    uint64_t reap_at_ms;
    bool stopping;
    struct log_rate refused_rate;
    struct log_rate broken_rate;
    unsigned batch_max;
    unsigned op_count;
    struct store_op ops[STORE_BATCH_MAX];
    unsigned peer_count;
    struct store_peer peers[CONF_WORKERS_MAX];
};

/* -- one batch -- */

static void on_refused(const struct store_op *op, int error, void *context)
{
    static const char *const names[] = {"worker's reset",   "subscription", "shared subscription",
                                        "retained message", "will",         "will's removal"};
    struct store *store = context;
    unsigned suppressed;
    stats_add(store->stats, STAT_live_refused, 1);
    if (op->serial != 0)
        store_peer_refuse(&store->peers[op->worker], op->serial);
    if (!log_rate_allows(&store->refused_rate, LOG_BURST, &suppressed))
        return;
    const char *cause = error == -EDQUOT   ? "max_retained_messages is reached"
                        : error == -ENOSPC ? "the live store is full (live_size_max)"
                                           : strerror(-error);
    log_warning("A %s was refused: %s. (%u more like this.)", names[op->kind], cause, suppressed);
}

static void finish_op(struct store *store, const struct store_op *op, bool is_kept)
{
    struct store_peer *peer = &store->peers[op->worker];
    if (op->serial == 0)
        return;
    peer->applied = op->serial;
    if (is_kept)
        peer->kept = op->serial;
}

/* Gives back the room of what is done. Its serial is kept first: the records that
 * tell it are gone then. (Should that fail, the worker must not stand still.) */
static void release(struct store *store, struct store_peer *peer)
{
    uint32_t ring_size = store->inherit->region->header->ring_size;
    if (peer->unreleased == 0 || !store_peer_may_release(peer, ring_size))
        return;
    if (peer->kept != peer->applied &&
        store_live_keep_serial(&store->live, peer->worker, peer->applied) == 0)
        peer->kept = peer->applied;
    if (peer->assembly.memory == NULL)
        ring_settle(&store->mesh.in[peer->worker]);
    mesh_release(&store->mesh, peer->worker);
    peer->unreleased = 0;
    peer->is_reset = false;
}

/* A serial is kept in its record's own transaction, so that a successor passes
 * over the record; but not above one that it must do again, because its refusal
 * was not told. */
static bool may_keep_serials(const struct store *store)
{
    for (unsigned i = 0; i < store->peer_count; i++)
        if (store->peers[i].refusal_count > 0)
            return false;
    return true;
}

static void finish_batch(struct store *store)
{
    bool is_kept =
        store_live_apply(&store->live, store->ops, store->op_count, may_keep_serials(store));
    for (unsigned i = 0; i < store->op_count; i++)
        finish_op(store, &store->ops[i], is_kept);
    store->op_count = 0;
    for (unsigned i = 0; i < store->peer_count; i++)
        release(store, &store->peers[i]);
}

/* -- one pass -- */

static void set_aside(struct store *store, unsigned worker, const char *why)
{
    unsigned suppressed;
    stats_add(store->stats, STAT_quarantined, 1);
    if (log_rate_allows(&store->broken_rate, LOG_BURST, &suppressed))
        log_error("A record of worker %u was set aside: %s. (%u more like this.)", worker, why,
                  suppressed);
}

/* A worker starts with empty hands. What its predecessor's sessions on disk want is
 * still routed to it: nothing that is acknowledged meanwhile may miss them. Its ring is not
 * released before its predecessor's wills are handed over, so a successor of ours begins here
 * again. */
static void take_reset(struct store *store, struct store_peer *peer, struct store_op op)
{
    store_peer_reset(peer);
    finish_batch(store);
    int r = store_live_clear_worker(&store->live, peer->worker, store->committer != NULL);
    if (r < 0)
        on_refused(&op, r, store);
    peer->applied = op.serial;
    store->reap_at_ms = 0; /* a process died: its reader may hold pages */
}

static void take_record(struct store *store, struct store_peer *peer,
                        const struct ring_record *record)
{
    struct store_op *op = &store->ops[store->op_count];
    if (record->quarantined) {
        set_aside(store, peer->worker, "it ended this process twice");
        return;
    }
    enum store_op_progress progress =
        store_op_decode(&peer->assembly, MESSAGE_SIZE_MAX, peer->worker, record, op);
    if (op->serial != 0 && op->serial <= peer->kept)
        return; /* a predecessor of this process did it */
    switch (progress) {
    case STORE_OP_BROKEN:
        set_aside(store, peer->worker, "it is malformed");
        break;
    case STORE_OP_NONE:
        break;
    case STORE_OP_TAKEN:
        if (++store->op_count >= store->batch_max)
            finish_batch(store);
        break;
    case STORE_OP_LAST:
        if (op->kind == STORE_OP_RESET) {
            take_reset(store, peer, *op);
            break;
        }
        store->op_count++;
        finish_batch(store);
        break;
    }
}

/* True when all was taken that the ring held at the begin. */
static bool pass_ring(struct store *store, struct store_peer *peer)
{
    uint32_t ring_size = store->inherit->region->header->ring_size;
    uint32_t taken = 0;
    struct ring_record record;
    while (taken < ring_size) {
        if (store_peer_is_stalled(peer)) {
            ring_put_down(&store->mesh.in[peer->worker]);
            return false;
        }
        if (!ring_next(&store->mesh.in[peer->worker], &record))
            break;
        taken += RING_HEADER_SIZE + record.size;
        peer->unreleased += RING_HEADER_SIZE + record.size;
        take_record(store, peer, &record);
    }
    ring_put_down(&store->mesh.in[peer->worker]);
    return true;
}

static bool run_pass(struct store *store)
{
    bool is_full = true;
    for (unsigned i = 0; i < store->peer_count; i++)
        store->peers[i].awaiting = store->peers[i].applied;
    for (unsigned i = 0; i < store->peer_count; i++)
        if (!pass_ring(store, &store->peers[i]))
            is_full = false;
    finish_batch(store);
    return is_full;
}

static void answer(struct store *store, struct store_peer *peer)
{
    int r = store_peer_answer(peer, store->live.live, &store->mesh);
    if (r == 0)
        return;
    log_error("The wills of worker %u's predecessor are lost: %s.", peer->worker, strerror(-r));
    store_will_done(&peer->handing);
}

void store_turn(struct store *store)
{
    bool is_full = run_pass(store);
    kill_point("live-passed");
    for (unsigned i = 0; i < store->peer_count; i++) {
        if (is_full)
            store->peers[i].due = store->peers[i].awaiting;
        answer(store, &store->peers[i]);
    }
    mesh_publish(&store->mesh);
    for (unsigned i = 0; i < store->peer_count; i++)
        release(store, &store->peers[i]); /* what was held back for its answers */
    if (is_full)
        store->batch_max = STORE_BATCH_MAX;
}

/* -- sleep -- */

/* Is there something that this worker's answers, or its records, wait for? */
static bool peer_is_idle(struct store *store, const struct store_peer *peer, bool can_confirm)
{
    if (store_peer_is_waiting(peer) &&
        ring_want_room(&store->mesh.out[peer->worker], store->mesh.wanted[peer->worker]))
        return false;
    if (can_confirm && peer->applied > peer->due)
        return false;
    return store_peer_is_stalled(peer) || !ring_has_next(&store->mesh.in[peer->worker]);
}

bool store_is_idle(struct store *store)
{
    bool can_confirm = true;
    for (unsigned i = 0; i < store->peer_count; i++)
        if (store_peer_is_stalled(&store->peers[i]))
            can_confirm = false;
    for (unsigned i = 0; i < store->peer_count; i++)
        if (!peer_is_idle(store, &store->peers[i], can_confirm))
            return false;
    return true;
}

static int sleep_ms(const struct store *store, uint64_t now_ms)
{
    uint64_t at_ms = store->reap_at_ms;
    if (store->live.next_expiry_ms < at_ms)
        at_ms = store->live.next_expiry_ms;
    return at_ms <= now_ms ? 0 : (int)(at_ms - now_ms);
}

/* Waits for a bell, the master, or a deadline. */
static void wait_for_work(struct store *store)
{
    struct bell *bell = &store->mesh.bells[store->inherit->slot];
    struct pollfd fds[2] = {
        {.fd = bell->fd, .events = POLLIN},
        {.fd = store->inherit->control_fd, .events = POLLIN},
    };
    bell_sleep(bell);
    int timeout_ms = store_is_idle(store) ? sleep_ms(store, clock_now_ms()) : 0;
    int ready = poll(fds, 2, timeout_ms);
    bell_wake(bell);
    if (ready > 0 && fds[0].revents != 0)
        bell_drain(bell);
}

static void run_timers(struct store *store)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms >= store->live.next_expiry_ms) {
        int r = store_live_expire(&store->live, now_ms);
        if (r < 0)
            log_warning("Expired retained messages could not be removed: %s.", strerror(-r));
    }
    if (now_ms >= store->reap_at_ms) {
        live_reap_readers(store->live.live);
        store->reap_at_ms = now_ms + REAP_INTERVAL_MS;
    }
}

/* -- the master's word -- */

static void use_tunable(struct store *store, const struct conf_tunable *tunable)
{
    log_set_mask(tunable->log_mask);
    store->live.retained_max = tunable->retained_messages_max;
}

static void dump(const struct store *store)
{
    uint64_t used;
    uint64_t size_max;
    live_usage(store->live.live, &used, &size_max);
    log_notice("Store: live data %" PRIu64 " of %" PRIu64 " KiB, oldest reader %" PRIu64
               " commits behind, %" PRIu64 " retained messages, %" PRIu64 " records refused.",
               used >> 10, size_max >> 10, live_reader_lag(store->live.live),
               stats_get(store->stats, STAT_retained_messages),
               stats_get(store->stats, STAT_live_refused));
}

static void store_handle_master(struct store *store)
{
    struct control_message message;
    int r;
    while ((r = control_receive(store->inherit->control_fd, &message)) == 0) {
        switch (message.kind) {
        case CONTROL_CONF:
            use_tunable(store, &message.body.conf);
            break;
        case CONTROL_PING:
            heartbeat_answer(store->inherit->region, store->inherit->slot, message.body.ping);
            break;
        case CONTROL_STOP:
            store->stopping = true;
            break;
        case CONTROL_DUMP:
            dump(store);
            break;
        case CONTROL_SAVE:
            if (store->committer != NULL)
                committer_save(store->committer);
            break;
        }
    }
    check(r != -EPROTO);
    if (r == -EPIPE)
        store->stopping = true;
}

/* -- life -- */

static int open_live(struct store *store)
{
    const struct inherit *inherit = store->inherit;
    int r = store_live_open(&store->live, inherit->region, inherit->slot, inherit->live_path,
                            inherit->live_size_max);
    store->live.on_refused = on_refused;
    store->live.context = store;
    for (unsigned i = 0; i < store->peer_count && r == 0; i++) {
        uint64_t kept;
        r = store_live_read_serial(&store->live, i, &kept);
        if (r == 0)
            store_peer_init(&store->peers[i], i, kept);
    }
    return r;
}

/* Why the state on disk can't be opened. NULL cause: what the system calls it. */
static const struct open_error {
    int error;
    const char *cause;
    const char *cure;
} open_errors[] = {
    {-EBUSY, "another broker uses it", "give each a persistence_location of its own"},
    {-EPROTO, "another version of courtier made it", "use that one"},
    {-EUCLEAN, "it is damaged", "move the folder away to start without it"},
    {-EACCES, NULL, "it must belong to the user that courtier runs as (chown -R)"},
    {-EROFS, NULL, "remount the file system for writing"},
    {-ENOSPC, NULL, "make room on the disk, or raise persistence_size_max"},
    {0, NULL, "persistence_location may name another place"},
};

static void log_open_error(const char *path, int error)
{
    const struct open_error *e = open_errors;
    while (e->error != 0 && e->error != error)
        e++;
    log_error("The state on disk in %s can't be opened: %s; %s.", path,
              e->cause == NULL ? strerror(-error) : e->cause, e->cure);
}

/* All that there is on disk must be live before the first worker starts. */
static int open_committer(struct store *store)
{
    const struct inherit *inherit = store->inherit;
    int r;
    if (inherit->durable_path == NULL)
        return 0;
    store->committer = committer_open(inherit, &r);
    if (store->committer != NULL)
        r = store_fill(&store->live, committer_durable(store->committer));
    if (r == 0)
        r = committer_start(store->committer);
    if (r < 0)
        log_open_error(inherit->durable_path, r);
    return r;
}

struct store *store_open(const struct inherit *inherit, int *ret_error)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        fatal("no memory at start");
    store->inherit = inherit;
    store->stats = stats_of(inherit->region, inherit->slot);
    store->peer_count = inherit->region->worker_count;
    /* One record at a time over what a predecessor left: should one of them be
     * deadly, the ring then knows which. */
    store->batch_max = inherit->is_successor ? 1 : STORE_BATCH_MAX;
    *ret_error = open_live(store);
    if (*ret_error < 0)
        log_error("The live store under %s can't be opened: %s.", inherit->live_path,
                  strerror(-*ret_error));
    else
        *ret_error = open_committer(store);
    if (*ret_error < 0) {
        store_close(store);
        return NULL;
    }
    mesh_open(&store->mesh, inherit->region, inherit->slot, inherit->bell_fds);
    use_tunable(store, &inherit->conf->tunable);
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (unsigned i = 0; i < store->peer_count; i++)
        store_peer_done(&store->peers[i]);
    if (store->committer != NULL)
        committer_stop(store->committer);
    committer_close(store->committer);
    store_live_close(&store->live);
    free(store);
}

int store_run(const struct inherit *inherit)
{
    int error;
    struct store *store = store_open(inherit, &error);
    if (store == NULL)
        return inherit->is_successor ? EXIT_FAILURE : INHERIT_EXIT_IMPOSSIBLE;
    heartbeat_answer(inherit->region, inherit->slot, HEARTBEAT_READY);
    while (!store->stopping) {
        store_turn(store);
        run_timers(store);
        wait_for_work(store);
        store_handle_master(store);
    }
    store_turn(store); /* what the workers left behind */
    store_close(store);
    return INHERIT_EXIT_DONE;
}
