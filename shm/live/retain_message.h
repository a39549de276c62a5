#ifndef COURTIER_SHM_LIVE_RETAIN_MESSAGE_H
#define COURTIER_SHM_LIVE_RETAIN_MESSAGE_H

/* The record of one retained message, under the id of its topic's node. */

#include "shm/live/live.h"
#include "shm/live/retain.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the record. */
size_t retain_message_size(const struct retained *message);
/* 0, -ENOENT or -errno. */
int retain_message_get(struct live *live, uint64_t node, struct retained *ret_message);

/* Writer: the record and its place in the index of those that expire. `old` is
 * the message that the node has, or NULL; it may be borrowed. */
int retain_message_put(struct live *live, uint64_t node, const struct retained *message,
                       const struct retained *old);
int retain_message_delete(struct live *live, uint64_t node, const struct retained *old);
/* The message that expires first: its time and node. 0, -ENOENT or -errno. */
int retain_message_first(struct live *live, uint64_t *ret_at_ms, uint64_t *ret_node);

#endif
