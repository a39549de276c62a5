#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_MESSAGE_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_MESSAGE_H

/* A message as the content of a row: a body, a retained message or a will. */

#include "common/base/bytes.h"
#include "master/store/durable/durable_clock.h"
#include "master/store/durable/durable_env.h"
#include "shm/record.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the content. */
size_t durable_message_size(const struct record_message *message);
/* Puts it. 0 or -errno, as durable_env_put(). */
int durable_message_put(struct durable_env *env, const struct durable_clock *clock,
                        const struct durable_key *key, const struct record_message *message);
/* The message of a content, borrowed from it; its purpose is RECORD_FOR_JOURNAL. False
 * for one that does not hold together. */
bool durable_message_decode(const struct durable_clock *clock, struct bytes content,
                            struct record_message *ret_message);

#endif
