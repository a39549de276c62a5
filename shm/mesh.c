#include "shm/mesh.h"

#include "common/base/check.h"

enum { LOOKS_MAX = 1000 };

static uint64_t bit_of(unsigned peer)
{
    return UINT64_C(1) << peer;
}

/* Removes the lowest bit of *mask, which is not 0, and returns its number. */
static unsigned take_bit(uint64_t *mask)
{
    unsigned bit = (unsigned)__builtin_ctzll(*mask);

    *mask &= *mask - 1;
    return bit;
}

bool mesh_is_peer(const struct mesh *mesh, unsigned slot)
{
    return slot < MESH_PEERS_MAX && (mesh->peers & bit_of(slot)) != 0;
}

static struct ring *out_ring(struct mesh *mesh, unsigned peer)
{
    check(mesh_is_peer(mesh, peer));
    return &mesh->out[peer];
}

static void open_rings(struct mesh *mesh, const struct region *region, unsigned peer)
{
    uint32_t size = region->header->ring_size;

    ring_open_producer(&mesh->out[peer], region_ring(region, mesh->self, peer), size);
    ring_open_consumer(&mesh->in[peer], region_ring(region, peer, mesh->self), size);
    mesh->peers |= bit_of(peer);
}

void mesh_open(struct mesh *ret_mesh, const struct region *region, unsigned self,
               const int *bell_fds)
{
    *ret_mesh = (struct mesh){.self = self, .peer_count = region_peer_count(region)};
    check(ret_mesh->peer_count <= MESH_PEERS_MAX);
    check(self < ret_mesh->peer_count);
    for (unsigned peer = 0; peer < ret_mesh->peer_count; peer++) {
        ret_mesh->bells[peer] = (struct bell){&region->slots[peer], bell_fds[peer]};
        if (region_has_ring(region, self, peer))
            open_rings(ret_mesh, region, peer);
    }
    /* A predecessor may have died asleep; or after it published or released, and
     * before it rang. */
    bell_wake(&ret_mesh->bells[self]);
    for (unsigned peer = 0; peer < ret_mesh->peer_count; peer++) {
        if (mesh_is_peer(ret_mesh, peer))
            bell_ring(&ret_mesh->bells[peer]);
    }
}

uint8_t *mesh_reserve(struct mesh *mesh, unsigned peer, uint32_t size)
{
    uint8_t *room = ring_reserve(out_ring(mesh, peer), size);

    if (room == NULL) {
        mesh->refused |= bit_of(peer);
        mesh->wanted[peer] = size;
    }
    return room;
}

void mesh_commit(struct mesh *mesh, unsigned peer, uint32_t size, uint16_t kind)
{
    ring_commit(out_ring(mesh, peer), size, kind);
    mesh->unpublished |= bit_of(peer);
}

void mesh_publish_to(struct mesh *mesh, unsigned peer)
{
    bool is_due = (mesh->unrung & bit_of(peer)) != 0;

    mesh->unpublished &= ~bit_of(peer);
    mesh->unrung &= ~bit_of(peer);
    /* With nothing to publish, the fence of the last time is the one. */
    if (ring_publish(out_ring(mesh, peer)) || is_due)
        bell_ring(&mesh->bells[peer]);
}

void mesh_show(struct mesh *mesh)
{
    uint64_t peers = mesh->unpublished;

    while (peers != 0) {
        unsigned peer = take_bit(&peers);
        if (ring_publish(out_ring(mesh, peer)))
            mesh->unrung |= bit_of(peer);
    }
    mesh->unpublished = 0;
}

void mesh_publish(struct mesh *mesh)
{
    mesh_show(mesh);
    uint64_t peers = mesh->unrung;
    mesh->unrung = 0;
    while (peers != 0)
        bell_ring(&mesh->bells[take_bit(&peers)]);
}

void mesh_release(struct mesh *mesh, unsigned peer)
{
    check(mesh_is_peer(mesh, peer));
    if (ring_release(&mesh->in[peer]))
        bell_ring(&mesh->bells[peer]);
}

void mesh_release_to(struct mesh *mesh, unsigned peer, uint32_t position)
{
    check(mesh_is_peer(mesh, peer));
    if (ring_release_to(&mesh->in[peer], position))
        bell_ring(&mesh->bells[peer]);
}

/* Has room come up where there was none? Tells it once per refusal, so that a
 * record that its owner gave up does not keep us awake. */
static bool has_room(struct mesh *mesh)
{
    uint64_t peers = mesh->refused;

    while (peers != 0) {
        unsigned peer = take_bit(&peers);

        if (ring_want_room(&mesh->out[peer], mesh->wanted[peer])) {
            mesh->refused &= ~bit_of(peer);
            return true;
        }
    }
    return false;
}

/* Two looks that see the same: so it was between them. */
bool mesh_look(struct mesh *mesh, uint32_t *positions)
{
    for (unsigned tries = 0; tries < LOOKS_MAX; tries++) {
        bool is_same = true;
        for (uint64_t peers = mesh->peers; peers != 0;) {
            unsigned peer = take_bit(&peers);
            uint32_t position = ring_published(&mesh->in[peer]);
            is_same = is_same && position == positions[peer];
            positions[peer] = position;
        }
        if (is_same)
            return true;
    }
    return false;
}

bool mesh_has_next(struct mesh *mesh)
{
    uint64_t peers = mesh->peers;

    while (peers != 0) {
        if (ring_has_next(&mesh->in[take_bit(&peers)]))
            return true;
    }
    return has_room(mesh);
}
