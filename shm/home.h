#ifndef COURTIER_SHM_HOME_H
#define COURTIER_SHM_HOME_H

/* Which worker a session lives on: keyed hash of the client id, so that clients
 * can't choose to crowd one worker. */

#include "common/base/bytes.h"
#include "shm/region.h"

/* Slot of the home worker. `client_id` is not empty. */
unsigned home_of(const struct region *region, struct bytes client_id);

#endif
