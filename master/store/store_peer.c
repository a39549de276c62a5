#include "master/store/store_peer.h"

#include "common/base/check.h"

#include <errno.h>
#include <string.h>

void store_peer_init(struct store_peer *peer, unsigned worker, uint64_t kept)
{
    *peer = (struct store_peer){.worker = worker, .applied = kept, .kept = kept};
}

void store_peer_done(struct store_peer *peer)
{
    record_assembly_done(&peer->assembly);
    store_will_done(&peer->handing);
}

void store_peer_reset(struct store_peer *peer)
{
    record_assembly_done(&peer->assembly);
    store_will_start(&peer->handing);
    peer->is_reset = true;
}

void store_peer_refuse(struct store_peer *peer, uint64_t serial)
{
    check(peer->refusal_count < STORE_PEER_REFUSALS_MAX);
    peer->refusals[peer->refusal_count++] = serial;
}

bool store_peer_may_release(const struct store_peer *peer, uint32_t ring_size)
{
    if (peer->handing.active || peer->refusal_count > 0)
        return false;
    return peer->assembly.memory == NULL || peer->unreleased >= ring_size / 2;
}

bool store_peer_is_stalled(const struct store_peer *peer)
{
    return peer->is_reset || peer->refusal_count > STORE_PEER_REFUSALS_MAX - STORE_BATCH_MAX;
}

bool store_peer_is_waiting(const struct store_peer *peer)
{
    return peer->handing.active || peer->refusal_count > 0 || peer->due > peer->confirmed;
}

static void put_refusals(struct store_peer *peer, struct mesh *mesh)
{
    unsigned put = 0;
    while (put < peer->refusal_count &&
           record_put_refuse(mesh, peer->worker, peer->refusals[put], REASON_QUOTA_EXCEEDED))
        put++;
    peer->refusal_count -= put;
    memmove(peer->refusals, peer->refusals + put, peer->refusal_count * sizeof peer->refusals[0]);
}

int store_peer_answer(struct store_peer *peer, struct live *live, struct mesh *mesh)
{
    /* Nothing may come between the fragments of a will. */
    if (peer->handing.active) {
        int r = store_will_continue(&peer->handing, live, mesh, peer->worker);
        if (r < 0)
            return r == -EAGAIN ? 0 : r;
    }
    put_refusals(peer, mesh);
    if (peer->refusal_count == 0 && peer->due > peer->confirmed)
        if (record_put_confirm(mesh, peer->worker, peer->due))
            peer->confirmed = peer->due;
    return 0;
}
