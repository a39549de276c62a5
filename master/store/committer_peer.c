#include "master/store/committer_peer.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "shm/home.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFUSALS_MAX = 4096, /* before the worker is not read any more */
    GAP_MAX = 16384      /* serials that a worker leaves out at once, at most */
};

void committer_peer_init(struct committer_peer *peer, unsigned worker, uint64_t kept,
                         bool is_successor)
{
    *peer = (struct committer_peer){.worker = worker,
                                    .kept = kept,
                                    .taken = kept,
                                    .due = kept,
                                    .is_known = is_successor && kept > 0,
                                    .told_state = -1};
}

static void drop_body(struct committer_peer *peer, struct durable_batch *batch)
{
    durable_batch_put_body(batch, peer->body);
    peer->body = NULL;
    peer->body_is_unused = false;
}

void committer_peer_done(struct committer_peer *peer, struct durable_batch *batch)
{
    drop_body(peer, batch);
    record_assembly_done(&peer->assembly);
    free(peer->refusals);
    peer->refusals = NULL;
}

void committer_peer_reset(struct committer_peer *peer, struct durable_batch *batch, uint64_t epoch)
{
    drop_body(peer, batch);
    record_assembly_done(&peer->assembly);
    peer->refusal_count = 0;
    peer->has_gap = false;
    peer->fetches.count = 0;
    peer->restore = (struct committer_restore){.is_wanted = true, .epoch = epoch};
    peer->told_state = -1;
}

void committer_peer_take_body(struct committer_peer *peer, struct durable_batch *batch,
                              const struct record_message *message, uint8_t *memory)
{
    drop_body(peer, batch);
    peer->body = durable_batch_body(batch, message->message_id);
    peer->body_is_unused = true;
    durable_batch_set_body(peer->body, message, memory);
}

/* -- answers -- */

static void add_refusal(struct committer_peer *peer, const struct committer_refusal *refusal)
{
    if (peer->refusal_count == peer->refusal_room) {
        unsigned room = peer->refusal_room == 0 ? 64 : peer->refusal_room * 2;
        void *memory = realloc(peer->refusals, room * sizeof peer->refusals[0]);
        if (memory == NULL)
            fatal("no memory for the journal");
        peer->refusals = memory;
        peer->refusal_room = room;
    }
    peer->refusals[peer->refusal_count++] = *refusal;
}

void committer_peer_refuse(struct committer_peer *peer, uint64_t serial, enum mqtt_reason reason)
{
    add_refusal(peer, &(struct committer_refusal){.serial = serial, .reason = reason});
}

void committer_peer_refuse_enqueue(struct committer_peer *peer,
                                   const struct record_journal *enqueue, enum mqtt_reason reason)
{
    add_refusal(peer, &(struct committer_refusal){
                          .serial = reason == REASON_SUCCESS ? 0 : enqueue->serial,
                          .reason = reason,
                          .session = enqueue->session,
                          .seq = enqueue->seq,
                          .bytes = enqueue->bytes,
                      });
}

bool committer_peer_take(struct committer_peer *peer, uint64_t serial)
{
    bool is_new = serial > peer->kept;
    uint64_t s = peer->taken + 1;
    if (serial > GAP_MAX && s < serial - GAP_MAX)
        s = serial - GAP_MAX;
    /* Serials that were left out are refused along: nobody waits for them. */
    for (; is_new && peer->has_gap && s < serial; s++)
        committer_peer_refuse(peer, s, REASON_UNSPECIFIED_ERROR);
    peer->has_gap = false;
    if (serial > peer->taken)
        peer->taken = serial;
    return is_new;
}

uint64_t committer_peer_kept(const struct committer_peer *peer)
{
    uint64_t kept = peer->taken;
    for (unsigned i = 0; i < peer->refusal_count; i++) {
        uint64_t refused = peer->refusals[i].serial;
        if (refused != 0 && refused <= kept)
            kept = refused - 1;
    }
    return kept;
}

/* False when there is no room. */
static bool put_refusal(const struct committer_peer *peer, struct committer_refusal *refusal,
                        struct mesh *mesh)
{
    const struct record_journal record = {
        .kind = RECORD_NOT_QUEUED,
        .session = refusal->session,
        .seq = refusal->seq,
        .bytes = refusal->bytes,
    };
    bool must_tell = refusal->session != 0 && !refusal->is_told;
    if (must_tell && !record_put_journal(mesh, peer->worker, &record))
        return false;
    refusal->is_told = true;
    return refusal->serial == 0 ||
           record_put_refuse(mesh, peer->worker, refusal->serial, refusal->reason);
}

static void put_refusals(struct committer_peer *peer, struct mesh *mesh)
{
    unsigned put = 0;
    while (put < peer->refusal_count && put_refusal(peer, &peer->refusals[put], mesh))
        put++;
    peer->refusal_count -= put;
    if (peer->refusal_count > 0)
        memmove(peer->refusals, peer->refusals + put,
                peer->refusal_count * sizeof peer->refusals[0]);
}

void committer_peer_answer(struct committer_peer *peer, struct mesh *mesh,
                           enum record_journal_state state)
{
    const struct record_journal record = {.kind = RECORD_JOURNAL_STATE, .state = (uint8_t)state};
    if (peer->restore.is_wanted || !peer->is_known || committer_fetch_is_inside(&peer->fetches))
        return; /* nothing may come between the fragments of a body */
    if (peer->told_state != (int)state && record_put_journal(mesh, peer->worker, &record))
        peer->told_state = (int)state;
    put_refusals(peer, mesh);
    if (peer->refusal_count == 0 && peer->due > peer->confirmed &&
        record_put_confirm(mesh, peer->worker, peer->due))
        peer->confirmed = peer->due;
}

bool committer_peer_is_waiting(const struct committer_peer *peer, enum record_journal_state state)
{
    if (!peer->is_known)
        return false;
    return peer->restore.is_wanted || peer->refusal_count > 0 || peer->due > peer->confirmed ||
           peer->told_state != (int)state || peer->fetches.count > 0;
}

bool committer_peer_is_stalled(const struct committer_peer *peer)
{
    return peer->restore.is_wanted || peer->refusal_count > REFUSALS_MAX ||
           peer->fetches.count == RECORD_FETCHES_MAX;
}

uint32_t committer_peer_release_end(const struct committer_peer *peer, uint32_t taken,
                                    uint32_t ring_size)
{
    if (peer->restore.is_wanted || peer->refusal_count > 0 || peer->due > peer->confirmed)
        return peer->released;
    bool has_parts = peer->assembly.memory != NULL || peer->body_is_unused;
    return has_parts && taken - peer->body_at < ring_size / 2 ? peer->body_at : taken;
}

void committer_peer_keep_body(struct committer_peer *peer, struct durable_batch *batch)
{
    if (peer->body_is_unused)
        durable_batch_own_body(peer->body);
    else
        drop_body(peer, batch);
}

int committer_peer_fetch(struct committer_peer *peer, struct durable *durable,
                         struct durable_batch *batch, struct mesh *mesh)
{
    if (peer->restore.is_wanted || peer->refusal_count > 0)
        return 0; /* a NOT_QUEUED must be known before an answer that tells the same */
    return committer_fetch_answer(&peer->fetches, peer->worker, durable, batch, mesh);
}

/* -- restore -- */

struct home {
    const struct region *region;
    unsigned worker;
};

static bool is_home(struct bytes client_id, void *context)
{
    const struct home *home = context;
    return client_id.size > 0 && home_of(home->region, client_id) == home->worker;
}

/* True when the item is sent. */
static bool send_item(struct committer_peer *peer, struct mesh *mesh,
                      const struct durable_item *item)
{
    struct committer_restore *restore = &peer->restore;
    if (item->has_message && !restore->body_is_sent &&
        !record_put_message(mesh, peer->worker, &item->message, &restore->sender))
        return false;
    restore->body_is_sent = true;
    if (!record_put_journal(mesh, peer->worker, &item->journal))
        return false;
    restore->body_is_sent = false;
    restore->sender = (struct record_sender){0};
    return true;
}

/* 0 at the end; -EAGAIN: the ring is full; or -errno. */
static int send_items(struct committer_peer *peer, struct durable *durable,
                      struct durable_batch *batch, struct mesh *mesh, struct home *home)
{
    struct durable_item item;
    int r;
    while ((r = durable_restore_next(&peer->restore.walk, durable, is_home, home, &item)) == 0) {
        if (item.is_damaged) {
            durable_batch_delete(batch, &item.key);
            durable->damaged++;
        } else if (!send_item(peer, mesh, &item)) {
            return -EAGAIN;
        }
        durable_restore_advance(&peer->restore.walk, &item);
        kill_point("restore-part");
    }
    return r == -ENOENT ? 0 : r;
}

static int begin_restore(struct committer_peer *peer, struct durable *durable, struct mesh *mesh)
{
    struct record_journal begin = {
        .kind = RECORD_RESTORE_BEGIN, .serial = peer->taken, .epoch = peer->restore.epoch};
    if (mesh_reserve(mesh, peer->worker, ring_record_max(&mesh->out[peer->worker])) == NULL)
        return -EAGAIN; /* before a number is taken */
    int r = durable_take_run(durable, &begin.run);
    if (r < 0)
        return r;
    check(record_put_journal(mesh, peer->worker, &begin));
    durable_restore_start(&peer->restore.walk);
    peer->restore.is_begun = true;
    return 0;
}

int committer_peer_restore(struct committer_peer *peer, struct durable *durable,
                           struct durable_batch *batch, struct mesh *mesh,
                           const struct region *region)
{
    struct home home = {region, peer->worker};
    const struct record_journal end = {.kind = RECORD_RESTORE_END, .epoch = peer->restore.epoch};
    int r = peer->restore.is_begun ? 0 : begin_restore(peer, durable, mesh);
    if (r == 0)
        r = durable_env_begin_read(durable->env);
    if (r < 0)
        return r;
    r = send_items(peer, durable, batch, mesh, &home);
    durable_env_abort(durable->env);
    if (r == 0 && !record_put_journal(mesh, peer->worker, &end))
        r = -EAGAIN;
    if (r < 0)
        return r;
    peer->restore = (struct committer_restore){0};
    peer->refusal_count = 0; /* they were for its predecessor */
    peer->due = peer->taken; /* RESTORE_BEGIN told it */
    peer->confirmed = peer->taken;
    return 0;
}
