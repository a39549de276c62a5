#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_SUM_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_SUM_H

/*
 * The checksum at the end of each value, over content and key: a row in the place of
 * another one is damage too.
 */

#include "common/base/bytes.h"

#include <stddef.h>

enum { DURABLE_SUM_SIZE = 8 };

/* Writes the sum behind the `size` bytes of content in `memory`. */
void durable_sum_seal(struct bytes key, uint8_t *memory, size_t size);
/* The content of a value, borrowed. 0 or -EBADMSG. */
int durable_sum_open(struct bytes key, struct bytes value, struct bytes *ret_content);

#endif
