#include "worker/route/router.h"

#include "common/base/log.h"
#include "shm/generation.h"

#include <string.h>

bool router_renew(struct router *router)
{
    /* Read before the snapshot is taken: a commit in between makes the next call
     * renew once more, never once too little. */
    uint32_t generation = generation_live(router->region);
    if (!router->live_is_resting && generation == router->live_seen)
        return true;
    int error = live_renew(router->live);
    if (error != 0) {
        static struct log_rate rate;
        unsigned suppressed;
        if (log_rate_allows(&rate, 5, &suppressed))
            log_error("The live store can't be read: %s", strerror(-error));
        return false;
    }
    router->live_seen = generation;
    router->live_is_resting = false;
    return true;
}

void router_rest(struct router *router)
{
    if (router->live_is_resting)
        return;
    live_rest(router->live);
    router->live_is_resting = true;
}

void router_use_run(struct router *router, uint32_t run)
{
    router->message_id_base = (uint64_t)run << 40;
}

uint64_t router_next_message_id(struct router *router)
{
    return router->message_id_base + ++router->message_count;
}
