#ifndef COURTIER_SHM_MESH_H
#define COURTIER_SHM_MESH_H

/*
 * All rings and bells of one process (or of the committer): an outgoing and an
 * incoming ring for each peer. Everybody is a worker's peer; store and committer
 * have the workers alone.
 */

#include "shm/bell.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <stdbool.h>

enum { MESH_PEERS_MAX = 64 };

struct mesh {
    unsigned self;
    unsigned peer_count; /* slots 0 to peer_count-1: workers, store, perhaps committer */
    uint64_t peers;      /* bit per slot that rings lead to and from */
    struct ring out[MESH_PEERS_MAX];
    struct ring in[MESH_PEERS_MAX];
    struct bell bells[MESH_PEERS_MAX];
    uint64_t unpublished;            /* bit per peer: committed, not yet published */
    uint64_t unrung;                 /* bit per peer: published, bell to be rung */
    uint64_t refused;                /* bit per peer: its ring had no room for a record */
    uint32_t wanted[MESH_PEERS_MAX]; /* ... of this size */
};

/* Attaches slot `self` (not the master's) as producer and consumer of all its rings.
 * `bell_fds[slot]` are the eventfds. */
void mesh_open(struct mesh *ret_mesh, const struct region *region, unsigned self,
               const int *bell_fds);
bool mesh_is_peer(const struct mesh *mesh, unsigned slot);
/* Room for a record to `peer`, or NULL when that ring is full; mesh_has_next()
 * then tells when there is room again. */
uint8_t *mesh_reserve(struct mesh *mesh, unsigned peer, uint32_t size);
void mesh_commit(struct mesh *mesh, unsigned peer, uint32_t size, uint16_t kind);
/* Publishes what was committed to `peer` and rings its bell. A full fence lies
 * between the publication and whatever the caller reads next. */
void mesh_publish_to(struct mesh *mesh, unsigned peer);
/* The same for all peers that have something; end of turn. All becomes visible before the
 * first bell: whom it wakes may take our processor, and what was put together should not be
 * seen in part for long. */
void mesh_publish(struct mesh *mesh);
/* Publishes to all peers what was committed; bells ring at the next publication. What is
 * committed from now on is seen later by all of them. */
void mesh_show(struct mesh *mesh);
/* How far each incoming ring was published at one moment, into `positions[slot]`; what is there
 * before is taken for an earlier look. A record that somebody published after it had seen
 * another one is in no such picture without that. False when they changed too fast: then each
 * position is one of its own moment. */
bool mesh_look(struct mesh *mesh, uint32_t *positions);
/* Gives back the room of what was taken from `peer`, and wakes a producer that
 * waits for it. */
void mesh_release(struct mesh *mesh, unsigned peer);
/* The same with ring_release_to(). */
void mesh_release_to(struct mesh *mesh, unsigned peer, uint32_t position);
/* Is there anything to take from any peer, or room where mesh_reserve() found
 * none? The look between bell_sleep() and sleep: after a false one, peers ring
 * for either. Tells of room once; another refusal asks anew. */
bool mesh_has_next(struct mesh *mesh);

#endif
