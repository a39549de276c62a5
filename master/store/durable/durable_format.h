#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_FORMAT_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_FORMAT_H

/*
 * The row FORMAT is what a version of any age must understand before all else: a
 * magic word, the number of the format, and its complement in place of a checksum.
 * Formats below ours would be brought up to date here; there is none yet.
 */

#include "common/base/bytes.h"

enum { DURABLE_FORMAT_SIZE = 12 };

/* Our format, as the value of its row. */
void durable_format_write(uint8_t memory[DURABLE_FORMAT_SIZE]);
/* 0: ours; -EPROTO: of another version; -ENOENT: that is no format, or a damaged one. */
int durable_format_judge(struct bytes value);

#endif
