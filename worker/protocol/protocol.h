#ifndef COURTIER_WORKER_PROTOCOL_PROTOCOL_H
#define COURTIER_WORKER_PROTOCOL_PROTOCOL_H

/*
 * What the packet handlers share: one per worker. A connection finds it through
 * its context's owner.
 */

#include "common/conf/conf.h"
#include "worker/net/conn.h"
#include "worker/net/handoff.h"
#include "worker/route/router.h"
#include "worker/session/session.h"

#include <stdbool.h>

struct protocol {
    struct router *router;
    const struct conf *conf; /* for what a reload can't change */
    const struct conf_tunable *tunable;
    const struct region *region;
    struct stats stats;
    struct handoff *handoff;
    struct session_table sessions;
    struct list_node pending;            /* SUBSCRIBEs that wait for the store, by serial */
    struct settle_queue unsettled_wills; /* published ones, which are kept till then; */
    struct list_node published_wills;    /* whose they are, in the same order */
};

static inline struct protocol *protocol_of(const struct conn *conn)
{
    return conn->context->owner;
}

#endif
