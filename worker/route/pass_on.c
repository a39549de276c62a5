#include "worker/route/pass_on.h"

#include "common/base/check.h"
#include "worker/route/forward.h"
#include "worker/route/hold.h"

#include <stdlib.h>
#include <string.h>

/* Two workers that keep each other's ring full while each waits for room in the
 * other's would wait for ever. So no more than half of a ring is held back. */
enum { HELD_SHARE = 2 };

static void settle(struct router *router, unsigned peer)
{
    ring_settle(&router->mesh.in[peer]);
    mesh_release(&router->mesh, peer);
}

/* Gives back what is before `position`, if that was not done; wakes the producer, which
 * may wait for something to be settled. */
static void release_to(struct router *router, unsigned peer, uint32_t position)
{
    const struct ring *ring = &router->mesh.in[peer];
    uint32_t released = ring_taken(ring) - ring_held(ring);
    bool is_new = (int32_t)(position - released) > 0;
    mesh_release_to(&router->mesh, peer, is_new ? position : released);
}

/* All that was taken so far waits for the journal's record `serial`. */
static void add_unsettled(struct router *router, unsigned peer, uint64_t serial)
{
    struct passing *passing = &router->passing[peer];
    unsigned count = passing->unsettled_count;
    bool is_known = count > 0 && passing->unsettled[count - 1].serial == serial;
    if (!is_known && count < PASS_ON_UNSETTLED_MAX)
        passing->unsettled_count = ++count;
    passing->unsettled[count - 1].serial = serial;
    passing->unsettled[count - 1].position = ring_taken(&router->mesh.in[peer]);
    router->unsettled |= 1ULL << peer;
}

/* Nothing that was taken waits for a ring to another worker. */
static void passed(struct router *router, unsigned peer)
{
    struct passing *passing = &router->passing[peer];
    uint64_t serial = passing->kept;
    passing->kept = 0;
    if (serial == 0 && passing->unsettled_count == 0) {
        settle(router, peer);
        return;
    }
    if (serial == 0) /* only what was before must be waited for */
        serial = passing->unsettled[passing->unsettled_count - 1].serial;
    add_unsettled(router, peer, serial);
    ring_put_down(&router->mesh.in[peer]);
}

/* What had to wait is in the ring to `worker`. */
static void waited(void *owner, unsigned worker, const struct outbound_message *with)
{
    struct router *router = owner;
    struct passing *passing = &router->passing[with->source];
    mesh_publish_to(&router->mesh, worker);
    check(passing->waiting > 0);
    if (--passing->waiting == 0)
        passed(router, with->source);
}

void pass_on_message(struct router *router, struct publication *publication, unsigned worker,
                     const struct hash128 *id)
{
    struct forward_target to = {
        .worker = worker,
        .groups = {id->bytes, sizeof(id->bytes)},
        .hops = (uint8_t)(publication->hops + 1),
        .then = publication->is_arrival ? waited : NULL,
    };
    bool is_in_ring = forward_message(router, publication, &to);
    if (!publication->is_arrival)
        return;
    if (is_in_ring) {
        router->passing[publication->source].unshown |= 1ULL << worker;
    } else {
        router->passing[publication->source].waiting++;
        hold_briefly(router, publication->origin, publication->publisher);
    }
}

/* -- what was too much -- */

/* An OVERFLOW that waits for a full ring. */
struct overflow {
    struct outbound_item item;
    unsigned peer;
    uint32_t position;
};

static bool put_overflow(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    return record_put_overflow(mesh, peer, list_owner(item, struct overflow, item)->position);
}

static void overflow_done(struct outbound_item *item, void *owner)
{
    struct overflow *o = list_owner(item, struct overflow, item);
    struct router *router = owner;
    if (router != NULL) {
        struct passing *passing = &router->passing[o->peer];
        mesh_publish_to(&router->mesh, o->peer);
        if (--passing->waiting == 0)
            passed(router, o->peer);
    }
    free(o);
}

void pass_on_overflow(struct router *router, unsigned peer)
{
    uint32_t position = ring_taken(&router->mesh.in[peer]);
    if (!outbound_is_blocked(&router->outbound, peer) &&
        record_put_overflow(&router->mesh, peer, position)) {
        router->passing[peer].unshown |= UINT64_C(1) << peer;
        return;
    }
    struct overflow *o = malloc(sizeof(*o));
    if (o == NULL)
        fatal("no memory to refuse a message");
    *o = (struct overflow){
        .item = {.put = put_overflow, .done = overflow_done},
        .peer = peer,
        .position = position,
    };
    router->passing[peer].waiting++;
    outbound_send(&router->outbound, peer, &o->item);
}

/* -- settling -- */

void pass_on_settle(struct router *router, unsigned peer, uint64_t serial)
{
    struct passing *passing = &router->passing[peer];
    struct ring *ring = &router->mesh.in[peer];
    bool is_worker = peer < router->region->worker_count;
    for (; passing->unshown != 0; passing->unshown &= passing->unshown - 1)
        mesh_publish_to(&router->mesh, (unsigned)__builtin_ctzll(passing->unshown));
    if (is_worker && router->journal.serial != serial)
        passing->kept = router->journal.serial;
    if (ring_held(ring) > ring->size / HELD_SHARE)
        journal_put_delayed(&router->journal);
    if (passing->waiting == 0) {
        passed(router, peer);
        return;
    }
    ring_put_down(ring); /* it is not the last one that we die of from here on */
    if (ring_held(ring) > ring->size / HELD_SHARE)
        mesh_release(&router->mesh, peer);
}

/* How many of those that wait are there before one that waits for a later record? */
static unsigned count_up_to(const struct passing *passing, uint64_t serial)
{
    unsigned count = 0;
    while (count < passing->unsettled_count && passing->unsettled[count].serial <= serial)
        count++;
    return count;
}

static void settle_kept(struct router *router, unsigned peer)
{
    struct passing *passing = &router->passing[peer];
    unsigned count = count_up_to(passing, journal_kept(&router->journal));
    if (count == 0)
        return;
    uint32_t position = passing->unsettled[count - 1].position;
    ring_settle_to(&router->mesh.in[peer], position);
    release_to(router, peer, position);
    passing->unsettled_count -= count;
    memmove(passing->unsettled, passing->unsettled + count,
            passing->unsettled_count * sizeof(passing->unsettled[0]));
    if (passing->unsettled_count == 0)
        router->unsettled &= ~(1ULL << peer);
}

void pass_on_step(struct router *router)
{
    for (uint64_t left = router->unsettled; left != 0; left &= left - 1)
        settle_kept(router, (unsigned)__builtin_ctzll(left));
}

void pass_on_release(struct router *router)
{
    for (uint64_t left = router->unsettled; left != 0; left &= left - 1) {
        unsigned peer = (unsigned)__builtin_ctzll(left);
        const struct passing *passing = &router->passing[peer];
        unsigned count = count_up_to(passing, router->journal.sent);
        if (count > 0)
            release_to(router, peer, passing->unsettled[count - 1].position);
    }
}

void pass_on_start(struct router *router)
{
    for (unsigned i = 0; i < router->region->worker_count; i++) {
        if (!mesh_is_peer(&router->mesh, i))
            continue;
        router->passing[i].has_old = true;
        router->passing[i].old_end = ring_published(&router->mesh.in[i]);
        settle(router, i);
    }
}

bool pass_on_is_old(struct router *router, unsigned peer)
{
    struct passing *passing = &router->passing[peer];
    if (passing->has_old)
        passing->has_old = (int32_t)(passing->old_end - ring_taken(&router->mesh.in[peer])) >= 0;
    return passing->has_old;
}
