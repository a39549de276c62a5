#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_TELL_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_TELL_H

/* What the log says of a rescue; a few lines, however much was lost. */

#include "master/store/rescue/rescue_mend.h"
#include "master/store/rescue/rescue_salvage.h"

/* Clients of whose sessions something may be lost: whose rows would lie in the spans,
 * as far as their sessions are there. */
void rescue_tell_sessions(struct durable_env *env, const struct rescue_spans *lost);
/* How many rows there are of each kind, and what became of the others. */
void rescue_tell_outcome(const struct rescue_salvage *salvage, const struct rescue_mend *mend,
                         uint64_t lost);

#endif
