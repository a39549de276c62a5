#include "worker/route/pass_on.h"

#include "common/base/check.h"
#include "worker/route/forward.h"
#include "worker/route/hold.h"

/* Two workers that keep each other's ring full while each waits for room in the
 * other's would wait for ever. So no more than half of a ring is held back. */
enum { HELD_SHARE = 2 };

static void settle(struct router *router, unsigned peer)
{
    ring_settle(&router->mesh.in[peer]);
    mesh_release(&router->mesh, peer);
}

/* What had to wait is in the ring to `worker`. */
static void waited(void *owner, unsigned worker, const struct outbound_message *with)
{
    struct router *router = owner;
    struct passing *passing = &router->passing[with->source];
    mesh_publish_to(&router->mesh, worker);
    check(passing->waiting > 0);
    if (--passing->waiting == 0)
        settle(router, with->source);
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

void pass_on_settle(struct router *router, unsigned peer)
{
    struct passing *passing = &router->passing[peer];
    struct ring *ring = &router->mesh.in[peer];
    for (; passing->unshown != 0; passing->unshown &= passing->unshown - 1)
        mesh_publish_to(&router->mesh, (unsigned)__builtin_ctzll(passing->unshown));
    if (passing->waiting == 0) {
        settle(router, peer);
        return;
    }
    ring_put_down(ring); /* it is not the last one that we die of from here on */
    if (ring_held(ring) > ring->size / HELD_SHARE)
        mesh_release(&router->mesh, peer);
}
