#ifndef COURTIER_WORKER_ROUTE_FORWARD_H
#define COURTIER_WORKER_ROUTE_FORWARD_H

/*
 * Handing a publication over to other processes: one record each.
 */

#include "shm/record.h"
#include "worker/route/lookup.h"
#include "worker/route/publication.h"
#include "worker/route/router.h"

#include <stdbool.h>

struct forward_target {
    unsigned worker;
    bool plain;          /* to its plain subscribers */
    uint8_t hops;        /* times that it has been passed on, this one included */
    struct bytes groups; /* and to a member of each of these shared groups: struct hash128 */
    /* As in struct outbound_message. */
    void (*then)(void *owner, unsigned worker, const struct outbound_message *with);
};

/* The record of a publication. */
struct record_message forward_record(const struct publication *publication,
                                     enum record_purpose purpose);
/* True when it is in the ring; false when it waits for room there, and its
 * publisher, if connected here, is paused. */
bool forward_message(struct router *router, struct publication *publication,
                     const struct forward_target *to);
/* To all other workers that `found` says. */
void forward_all(struct router *router, struct publication *publication,
                 const struct lookup *found);
/* A bit per worker that wants it, our own included. */
uint64_t forward_workers(const struct lookup *found);
/* Groups of `found` whose member is to be picked on `worker`, as a run of ids. */
struct bytes forward_groups(const struct lookup *found, unsigned worker,
                            struct hash128 memory[TRIE_GROUPS_MAX]);

#endif
