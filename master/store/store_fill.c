#include "master/store/store_fill.h"

#include "common/base/check.h"

#include <stdlib.h>

enum { FILL_BATCH = 64 };

struct fill {
    struct store_live *live;
    unsigned count;
    struct store_op ops[FILL_BATCH]; /* borrowed from the walk's transaction */
};

static void flush(struct fill *fill)
{
    store_live_apply(fill->live, fill->ops, fill->count, false);
    fill->count = 0;
}

static int take(const struct record_message *message, void *context)
{
    struct fill *fill = context;
    if (message->payload.size == 0)
        return 0;
    fill->ops[fill->count] = (struct store_op){.kind = STORE_OP_RETAIN, .as.message = *message};
    if (++fill->count == FILL_BATCH)
        flush(fill);
    return 0;
}

int store_fill(struct store_live *live, struct durable *durable)
{
    /* Kept with the live data, as if it were a worker's serial: it is filled. */
    unsigned mark = region_committer_slot(live->region);
    uint64_t filled;
    int r = store_live_read_serial(live, mark, &filled);
    if (r < 0 || filled != 0)
        return r;
    struct fill *fill = calloc(1, sizeof *fill);
    if (fill == NULL)
        fatal("no memory at start");
    fill->live = live;
    r = durable_walk_retained(durable, take, fill);
    flush(fill);
    free(fill);
    return r < 0 ? r : store_live_keep_serial(live, mark, 1);
}
