#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_UNSURE_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_UNSURE_H

/*
 * QoS 2 messages that may come once more: their publisher may have to repeat them after
 * everything died, because not all workers had them on disk; or they are on their way from
 * one member of a shared group to another. While that is so, it is noted which sessions had
 * such a message and are done with it, so that none gets it twice.
 */

#include "master/store/durable/durable.h"

enum { DURABLE_UNSURE_QOS = 2 }; /* of the deliveries that it is about */

/* All inside a transaction for writing; 0 or -errno. */

/* From now on this message may come once more; also for somebody else's sake. */
int durable_unsure_begin(struct durable *durable, uint64_t message_id);
/* It does not any more, for one of those: the last one's end forgets who had it. */
int durable_unsure_end(struct durable *durable, uint64_t message_id);
/* The session had this message, and does not keep it any more; or nobody else of a shared
 * group is to have it. */
int durable_unsure_had(struct durable *durable, uint64_t message_id, uint64_t session);

/* May it come once more? Inside any transaction. */
bool durable_unsure_is(struct durable *durable, uint64_t message_id);

#endif
