#include "master/store/committer_work.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/kill_point.h"
#include "master/store/committer_refuse.h"
#include "master/store/committer_take.h"
#include "master/store/durable/durable_apply.h"
#include "master/store/rescue/rescue.h"
#include "shm/times.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/*
 * A turn: take what is in the rings into the batch; commit it, if something is left
 * after what cancels out; only then answer, and only then give back the room in the
 * rings. While a commit syncs, records pile up in the rings: they are the next group.
 *
 *   strict   every turn commits; CONFIRM means: on disk
 *   relaxed  CONFIRM means: taken. The rings outlive any process of ours, so only a
 *            power cut loses what waits, at most commit_interval, for the commit.
 *
 * A commit that fails is tried again with the same batch, which goes on merging what
 * comes, as far as the rings reach.
 *
 * Death: what was committed but not confirmed is confirmed by the successor, from the
 * serials that are committed along; all else is read again from the rings.
 */

enum {
    CAREFUL_DEATHS = 3, /* of this process in a row, before the database is suspected */
    ERROR_BURST = 1,    /* it goes on for as long as the disk is bad */
    BATCH_MAX = 16384,  /* rows of a batch; more only from what is in the rings already */
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    PROBE_MS = 1000,            /* between looks whether there is room again */
    STOP_MAX_MS = 1000,         /* of trying in vain; */
    STOP_RELAXED_MAX_MS = 5000, /* ... when acknowledged data depend on it */
    SWEEP_ROWS = 16,            /* retained messages looked at per commit: are they expired? */
    SCARCE_MIN = 1 << 19,       /* a lack of room begins when less is free than this and a copy */
    SCARCE_MAX = 1 << 22,       /* of all that is used; or than this, */
    SCARCE_PART = 32,           /* ... or this part of persistence_size_max */
    MESSAGE_SIZE_MAX = (256 << 20) + 2 * UINT16_MAX
};

/* -- take -- */

static void take_from(struct committer_work *c, struct committer_peer *peer)
{
    struct ring *ring = &c->mesh.in[peer->worker];
    struct ring_record record;
    uint32_t position = ring_taken(ring);
    while (position != c->cut[peer->worker] && !committer_peer_is_stalled(peer) &&
           ring_next(ring, &record)) {
        if (record.kind == RECORD_MESSAGE)
            peer->body_at = position;
        committer_take_record(c, peer, &record);
        position = ring_taken(ring);
    }
    ring_put_down(ring);
    if (position - peer->released >= c->inherit->region->header->ring_size / 2)
        c->commit_wanted = true;
}

/* Up to one moment in all rings, so that no commit has what came of a record (a delivery by
 * another worker) without that record (the packet id of its publisher). */
static void take_all(struct committer_work *c)
{
    if (c->batch.count < BATCH_MAX)
        (void)mesh_look(&c->mesh, c->cut);
    for (unsigned i = 0; i < c->peer_count; i++) {
        take_from(c, &c->peers[i]);
        if (c->is_relaxed && c->has_margin && c->state == RECORD_JOURNAL_OK)
            c->peers[i].due = c->peers[i].taken;
    }
    if (c->oldest_ms == 0 && c->batch.count > 0)
        c->oldest_ms = clock_now_ms();
}

/* -- commit -- */

/* As $SYS tells it. */
enum { ALL_IS_WELL, NO_ROOM, NO_WRITES };

static bool is_short(const struct committer_work *c)
{
    return c->state == RECORD_JOURNAL_SCARCE || c->state == RECORD_JOURNAL_FULL;
}

static void set_state(struct committer_work *c, enum record_journal_state state)
{
    bool was_short = is_short(c);
    if (state == c->state)
        return;
    c->state = state;
    if (state == RECORD_JOURNAL_OK)
        log_notice("The disk takes persistent data again.");
    else if (is_short(c) && !was_short)
        log_error("There is no room for persistent data in %s: make room on the disk, or raise "
                  "persistence_size_max. What needs it is refused meanwhile.",
                  c->inherit->durable_path);
    c->probe_at_ms = clock_now_ms() + PROBE_MS;
    stats_set(c->stats, STAT_durable_state,
              is_short(c)                       ? NO_ROOM
              : state == RECORD_JOURNAL_FAILING ? NO_WRITES
                                                : ALL_IS_WELL);
}

/* One error may be the only one: nobody is told before the second. */
static void on_failure(struct committer_work *c, int error)
{
    bool is_full = error == -ENOSPC || error == -EDQUOT;
    const char *cure = is_full           ? "make room on the disk"
                       : error == -EROFS ? "remount the file system for writing"
                                         : "the kernel's log (dmesg) may tell why";
    unsigned suppressed;
    if (error == -EUCLEAN)
        fatal("LMDB found the database damaged"); /* our successor looks through it */
    if (c->backoff_ms != 0) {
        set_state(c, RECORD_JOURNAL_FAILING);
        stats_set(c->stats, STAT_durable_state, is_full ? NO_ROOM : NO_WRITES);
    }
    if (log_rate_allows(&c->error_rate, ERROR_BURST, &suppressed))
        log_error("Persistent data can't be written to %s: %s; %s. It is tried again; what needs "
                  "it is refused meanwhile. (%u more like this.)",
                  c->inherit->durable_path, strerror(-error), cure, suppressed);
    c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_MIN_MS : c->backoff_ms * 2;
    if (c->backoff_ms > BACKOFF_MAX_MS)
        c->backoff_ms = BACKOFF_MAX_MS;
    c->retry_at_ms = clock_now_ms() + c->backoff_ms;
}

static bool probe_room(struct committer_work *c, size_t size)
{
    if (durable_env_begin(c->durable.env) < 0)
        return false;
    bool has_room = durable_env_room(c->durable.env, size) == 0;
    durable_env_abort(c->durable.env);
    return has_room;
}

/* What a commit of all that is under way may take: LMDB copies each page that it changes. */
static size_t scarce_size(const struct committer_work *c)
{
    uint64_t size = durable_env_used(c->durable.env) + SCARCE_MIN;
    uint64_t part = c->inherit->conf->persistence_size_max / SCARCE_PART;
    size = size < SCARCE_MAX ? size : SCARCE_MAX;
    return (size_t)(size < part ? size : part);
}

/* Workers refuse before they begin what grows; only what is on its way then still comes, and
 * finds room. Refused later, a QoS 2 message would be routed again when its publisher repeats
 * it, and come twice to who was done with it. */
static enum record_journal_state state_of_room(struct committer_work *c, bool is_full)
{
    if (is_full || c->state == RECORD_JOURNAL_FULL)
        return RECORD_JOURNAL_FULL;
    if (c->state == RECORD_JOURNAL_SCARCE || !probe_room(c, scarce_size(c)))
        return RECORD_JOURNAL_SCARCE;
    return RECORD_JOURNAL_OK;
}

static void on_committed(struct committer_work *c)
{
    bool is_full = committer_refuse_failed(c->peers, &c->batch);
    durable_batch_clear(&c->batch);
    for (unsigned i = 0; i < c->peer_count; i++)
        c->peers[i].due = c->peers[i].taken;
    c->oldest_ms = 0;
    c->backoff_ms = 0;
    c->retry_at_ms = 0;
    c->commit_wanted = false;
    set_state(c, state_of_room(c, is_full));
    if (c->is_relaxed)
        c->has_margin =
            probe_room(c, (size_t)2 * c->inherit->region->header->ring_size * c->peer_count);
}

static void count_commit(struct committer_work *c, uint64_t begin_ns, uint64_t written)
{
    uint64_t after = durable_env_written(c->durable.env);
    if (after == written)
        return; /* all cancelled out */
    uint64_t us = (clock_now_ns() - begin_ns) / 1000;
    times_add(c->stats, us);
    stats_add(c->stats, STAT_durable_commits, 1);
    stats_add(c->stats, STAT_durable_commit_us, us);
    stats_add(c->stats, STAT_durable_bytes, after - written);
}

static void set_gauges(struct committer_work *c)
{
    stats_set(c->stats, STAT_durable_sessions, c->durable.sessions);
    stats_set(c->stats, STAT_durable_messages, c->durable.deliveries);
    stats_set(c->stats, STAT_durable_used, durable_env_used(c->durable.env));
    stats_set(c->stats, STAT_durable_queued_bytes, c->durable.bytes);
    stats_add(c->stats, STAT_durable_damaged, c->durable.damaged - c->damaged_counted);
    c->damaged_counted = c->durable.damaged;
}

static void commit(struct committer_work *c)
{
    uint64_t serials[CONF_WORKERS_MAX];
    uint64_t begin_ns = clock_now_ns();
    uint64_t written = durable_env_written(c->durable.env);
    for (unsigned i = 0; i < c->peer_count; i++)
        serials[i] = committer_peer_kept(&c->peers[i]);
    if (c->batch.count > 0)
        durable_sweep(&c->durable, &c->batch, SWEEP_ROWS);
    kill_point("commit-due");
    /* What is left may need no write, and would tell nothing about the disk. */
    int r = c->state == RECORD_JOURNAL_FAILING ? durable_probe(&c->durable) : 0;
    if (r == 0)
        r = durable_apply(&c->durable, &c->batch, serials, c->peer_count);
    if (r < 0) {
        on_failure(c, r);
        return;
    }
    kill_point("commit-done");
    on_committed(c);
    count_commit(c, begin_ns, written);
    set_gauges(c);
}

/* When the batch has to be committed; UINT64_MAX: there is no need. */
static uint64_t commit_at_ms(const struct committer_work *c)
{
    bool is_due = c->commit_wanted || !c->is_relaxed || c->batch.count >= BATCH_MAX;
    uint64_t at_ms = is_due ? 0 : c->oldest_ms + c->inherit->conf->commit_interval_s * 1000;
    if (c->batch.count == 0 && !c->commit_wanted && !c->durable.has_ended)
        return c->state == RECORD_JOURNAL_FAILING ? c->retry_at_ms : UINT64_MAX;
    return at_ms < c->retry_at_ms ? c->retry_at_ms : at_ms;
}

/* -- answer -- */

static void release(struct committer_work *c, struct committer_peer *peer)
{
    uint32_t end = committer_peer_release_end(peer, ring_taken(&c->mesh.in[peer->worker]),
                                              c->inherit->region->header->ring_size);
    if (end == peer->released)
        return;
    committer_peer_keep_body(peer, &c->batch);
    mesh_release_to(&c->mesh, peer->worker, end);
    peer->released = end;
}

static void restore(struct committer_work *c, struct committer_peer *peer)
{
    int r = committer_peer_restore(peer, &c->durable, &c->batch, &c->mesh, c->inherit->region);
    if (r < 0 && r != -EAGAIN)
        on_failure(c, r);
    else if (c->backoff_ms != 0)
        on_committed(c); /* the batch is empty: nothing fails any more */
    set_gauges(c);
}

static void fetch(struct committer_work *c, struct committer_peer *peer)
{
    int r = committer_peer_fetch(peer, &c->durable, &c->batch, &c->mesh);
    if (r == -EINPROGRESS)
        c->commit_wanted = true;
    else if (r < 0 && r != -EAGAIN)
        on_failure(c, r);
}

/* Before the commit, which may take long: what is on disk need not wait for it. */
static void fetch_all(struct committer_work *c)
{
    for (unsigned i = 0; i < c->peer_count && clock_now_ms() >= c->retry_at_ms; i++)
        fetch(c, &c->peers[i]);
    mesh_publish(&c->mesh);
}

/* Answers are published before the room is given back that a successor would need to
 * give them once more. */
static void answer_all(struct committer_work *c)
{
    uint64_t now_ms = clock_now_ms();
    for (unsigned i = 0; i < c->peer_count; i++) {
        struct committer_peer *peer = &c->peers[i];
        if (peer->restore.is_wanted && c->batch.count == 0 && now_ms >= c->retry_at_ms)
            restore(c, peer);
        committer_peer_answer(peer, &c->mesh, c->state);
        if (now_ms >= c->retry_at_ms)
            fetch(c, peer);
    }
    kill_point("confirm-put");
    mesh_publish(&c->mesh);
    kill_point("confirm-shown");
    for (unsigned i = 0; i < c->peer_count && c->batch.count == 0; i++)
        release(c, &c->peers[i]);
}

void committer_work_turn(struct committer_work *c)
{
    take_all(c);
    fetch_all(c);
    if (clock_now_ms() >= commit_at_ms(c))
        commit(c);
    if (is_short(c) && clock_now_ms() >= c->probe_at_ms) {
        c->probe_at_ms = clock_now_ms() + PROBE_MS;
        /* What the last commit freed is free to the one after the next: so there must be one,
         * though all that wants to grow is refused. */
        bool has_room = durable_probe(&c->durable) == 0 &&
                        probe_room(c, scarce_size(c) + scarce_size(c) / 4);
        if (has_room)
            set_state(c, RECORD_JOURNAL_OK);
    }
    answer_all(c);
    if (c->state == RECORD_JOURNAL_OK)
        committer_copy_turn(&c->copy, &c->durable);
}

/* -- sleep -- */

static bool peer_is_idle(struct committer_work *c, const struct committer_peer *peer)
{
    if (committer_peer_is_waiting(peer, c->state) &&
        (c->mesh.refused & UINT64_C(1) << peer->worker) == 0 && clock_now_ms() >= c->retry_at_ms)
        return false;
    bool can_take = !committer_peer_is_stalled(peer) && c->batch.count < BATCH_MAX;
    return !can_take || !ring_has_next(&c->mesh.in[peer->worker]);
}

/* Has a ring room again, where an answer had none? */
static bool has_room(struct committer_work *c)
{
    for (unsigned i = 0; i < c->peer_count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if ((c->mesh.refused & bit) == 0 || !ring_want_room(&c->mesh.out[i], c->mesh.wanted[i]))
            continue;
        c->mesh.refused &= ~bit;
        return true;
    }
    return false;
}

bool committer_work_is_idle(struct committer_work *c)
{
    if (clock_now_ms() >= commit_at_ms(c))
        return false;
    for (unsigned i = 0; i < c->peer_count; i++)
        if (!peer_is_idle(c, &c->peers[i]))
            return false;
    return !has_room(c);
}

int committer_work_wait_ms(const struct committer_work *c)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t at_ms = commit_at_ms(c);
    if (is_short(c) && c->probe_at_ms < at_ms)
        at_ms = c->probe_at_ms;
    if (c->retry_at_ms > now_ms && c->retry_at_ms < at_ms)
        at_ms = c->retry_at_ms;
    if (c->state == RECORD_JOURNAL_OK && c->copy.at_ms < at_ms)
        at_ms = c->copy.at_ms;
    if (at_ms == UINT64_MAX)
        return -1;
    return at_ms <= now_ms ? 0 : (int)(at_ms - now_ms);
}

static bool is_empty(struct committer_work *c)
{
    for (unsigned i = 0; i < c->peer_count; i++)
        if (!committer_peer_is_stalled(&c->peers[i]) && ring_has_next(&c->mesh.in[i]))
            return false;
    return c->batch.count == 0;
}

/* The workers are gone: what they left in the rings comes to the disk, however long that
 * takes, while it goes on. A disk that fails may be but a moment away; when nothing
 * acknowledged depends on it, it is not worth waiting for. */
void committer_work_finish(struct committer_work *c)
{
    uint64_t patience_ms = c->is_relaxed ? STOP_RELAXED_MAX_MS : STOP_MAX_MS;
    uint64_t give_up_ms = clock_now_ms() + patience_ms;
    c->retry_at_ms = 0; /* the disk may be back since the last try */
    c->backoff_ms = 0;
    do {
        c->commit_wanted = true;
        committer_work_turn(c);
        if (c->retry_at_ms != 0)
            poll(NULL, 0, BACKOFF_MIN_MS);
        else
            give_up_ms = clock_now_ms() + patience_ms;
    } while (!is_empty(c) && clock_now_ms() < give_up_ms);
    if (!is_empty(c))
        log_error("What waited for the disk could not be written before the end: it is lost. %s",
                  c->is_relaxed ? "Some of it was acknowledged." : "None of it was acknowledged.");
}

static int open_peers(struct committer_work *c)
{
    int r = 0;
    c->peer_count = c->inherit->region->worker_count;
    for (unsigned i = 0; i < c->peer_count && r == 0; i++) {
        uint64_t kept;
        r = durable_read_serial(&c->durable, i, &kept);
        if (r == 0)
            committer_peer_init(&c->peers[i], i, kept, c->inherit->is_successor);
    }
    return r;
}

/* What a predecessor, or the power, left of the database is looked at before use. */
static int look_through(struct committer_work *c, const struct inherit *inherit)
{
    struct rescue_outcome outcome;
    bool is_careful = inherit->deaths >= CAREFUL_DEATHS;
    int r = rescue_folder(inherit->durable_path, inherit->conf->persistence_size_max, is_careful,
                          &outcome);
    stats_add(c->stats, STAT_durable_salvages, outcome.was_damaged);
    stats_add(c->stats, STAT_durable_damaged, outcome.rows_lost);
    return r;
}

int committer_work_open(struct committer_work *ret_work, const struct inherit *inherit)
{
    struct committer_work *c = ret_work;
    const struct hash_key *key = region_key(inherit->region);
    unsigned slot = region_committer_slot(inherit->region);
    *c = (struct committer_work){.inherit = inherit, .copy = {.copy = {.fd = -1}, .folder_fd = -1}};
    c->stats = stats_of(inherit->region, slot);
    c->is_relaxed = inherit->conf->durability == CONF_DURABILITY_RELAXED;
    durable_batch_init(&c->batch, key);
    int r = look_through(c, inherit);
    if (r == 0)
        r = durable_open(&c->durable, inherit->durable_path, inherit->conf->persistence_size_max,
                         key, inherit->is_successor);
    if (r == 0)
        r = open_peers(c);
    if (r < 0) {
        committer_work_close(c);
        return r;
    }
    mesh_open(&c->mesh, inherit->region, slot, inherit->bell_fds);
    for (unsigned i = 0; i < c->peer_count; i++)
        c->cut[i] = c->peers[i].released = ring_taken(&c->mesh.in[i]);
    committer_copy_open(&c->copy, inherit->durable_path, inherit->conf->persistence_copy_interval_s,
                        c->stats, &c->durable);
    on_committed(c);
    stats_set(c->stats, STAT_durable_state, is_short(c) ? NO_ROOM : ALL_IS_WELL);
    set_gauges(c);
    return 0;
}

void committer_work_close(struct committer_work *c)
{
    durable_batch_clear(&c->batch);
    for (unsigned i = 0; i < c->peer_count; i++)
        committer_peer_done(&c->peers[i], &c->batch);
    durable_batch_done(&c->batch);
    committer_copy_close(&c->copy);
    durable_close(&c->durable);
}
