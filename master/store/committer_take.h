#ifndef COURTIER_MASTER_STORE_COMMITTER_TAKE_H
#define COURTIER_MASTER_STORE_COMMITTER_TAKE_H

/*
 * What the committer makes of one record from a worker's ring.
 */

#include "master/store/committer_work.h"

/* Takes it into the batch, or notes what is asked; what can't be done is refused, and what
 * can't be understood set aside. */
void committer_take_record(struct committer_work *work, struct committer_peer *peer,
                           const struct ring_record *record);

#endif
