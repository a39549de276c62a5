#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_H

/*
 * Before LMDB maps the database, it is looked through; if it is not sound, a new one
 * is made of what is left of it, and takes its place. So whatever an accident did to the
 * file, the broker starts, and nothing wrong is served.
 *
 *   data.mdb         the database
 *   data.mdb.bad-N   a damaged one, kept aside; the last RESCUE_BAD_MAX of them
 *   copy             the older copy (rescue_copy.h)
 *   salvage/         the new one in the making
 */

#include "master/store/rescue/rescue_examine.h"

#include <stdbool.h>
#include <stdint.h>

enum { RESCUE_BAD_MAX = 2 };

struct rescue_outcome {
    bool was_damaged;
    uint64_t rows_lost;   /* as far as they could be counted */
    uint64_t rows_copied; /* from the older copy */
};

/* In the folder of the durable store. With `is_careful` the database is made anew even
 * if nothing is wrong with it that we can see. What was found and lost is logged. 0 or
 * -errno: -EBUSY: another broker uses it; -EPROTO: another version made it. */
int rescue_folder(const char *folder, uint64_t size_max, bool is_careful,
                  struct rescue_outcome *ret_outcome);

#endif
