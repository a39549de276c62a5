#ifndef COURTIER_WORKER_ROUTE_HAD_H
#define COURTIER_WORKER_ROUTE_HAD_H

/*
 * Which sessions had a QoS 2 message before everything died whose publisher may repeat it
 * (struct receiving): they must not get it again, though it is not in their queue any
 * more, or, through a shared group, waits on disk alone. As many as publishers had open
 * then; they stay as long as the process.
 */

#include <stdbool.h>
#include <stdint.h>

struct had_message {
    uint64_t session; /* number */
    uint64_t message_id;
};

struct had {
    struct had_message *list;
    unsigned count;
    unsigned room;
    bool is_sorted;
};

void had_done(struct had *had);
/* False without memory. */
bool had_add(struct had *had, uint64_t session, uint64_t message_id);
bool had_contains(struct had *had, uint64_t session, uint64_t message_id);

#endif
