#ifndef COURTIER_WORKER_ROUTE_LATELY_H
#define COURTIER_WORKER_ROUTE_LATELY_H

/*
 * QoS 2 messages that sessions of this process were done with lately. Who is done with one
 * does not get it again when it is repeated: by the successor of another worker, which can't
 * know how far its predecessor came, or by a publisher that heard of no PUBREC because the
 * disk was full. As many as there is room for; the next in the same place takes it.
 */

#include <stdbool.h>
#include <stdint.h>

enum { LATELY_SLOTS = 8192 };

struct lately {
    struct lately_message *slots; /* LATELY_SLOTS of them; NULL: nothing was noted */
};

void lately_done(struct lately *lately);
/* `session` stands for itself, and is not looked into. */
void lately_note(struct lately *lately, const void *session, uint64_t message_id);
bool lately_has(const struct lately *lately, const void *session, uint64_t message_id);

#endif
