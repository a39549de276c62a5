#ifndef COURTIER_WORKER_ROUTE_LOOKUP_H
#define COURTIER_WORKER_ROUTE_LOOKUP_H

/*
 * Who wants a topic: the other workers by the shared trie, our own subscribers by
 * the private one, both through the route cache where it holds.
 */

#include "shm/live/trie.h"
#include "worker/route/router.h"

/* Points into the cache or the scratch: good until the next look-up, of any kind. */
struct lookup {
    uint64_t any;        /* bit per worker with plain subscribers */
    uint64_t persistent; /* ... with such whose session is persistent */
    struct filter **own;
    unsigned own_count;
    unsigned group_count;
    struct trie_group *groups;
};

/* Room for the look-ups of one worker; aborts without memory. */
struct lookup_scratch *lookup_scratch_new(void);
void lookup_scratch_free(struct lookup_scratch *scratch);

/* For a publication that enters here: everything. */
void lookup_all(struct router *router, struct bytes topic, struct lookup *ret);
/* For a message from another worker: our own filters, whoever else wants it. */
void lookup_own(struct router *router, struct bytes topic, struct lookup *ret);

enum lookup_group {
    LOOKUP_GROUP_FOUND,
    LOOKUP_GROUP_NONE,   /* it has no member in any worker, as far as is known now */
    LOOKUP_GROUP_UNKNOWN /* the trie can't be read */
};
/* Where the members of one shared group are that this topic reaches. */
enum lookup_group lookup_group(struct router *router, struct bytes topic, const struct hash128 *id,
                               struct trie_group *ret_group);

#endif
