#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_RESTORE_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_RESTORE_H

/*
 * All that a worker has to know: its sessions one after the other, each with its
 * subscriptions, QoS 2 ids, deliveries that are in flight (by seq) and the sum of those
 * that wait; then who had what may come once more (durable_unsure.h, of all sessions), and
 * wills. A walk that
 * remembers keys and not pages, so it may go on in a later transaction; whatever
 * the walked sessions' own worker changes must wait until it is over.
 */

#include "master/store/durable/durable.h"
#include "shm/record_journal.h"

#include <stdbool.h>

enum durable_restore_phase {
    DURABLE_RESTORE_SESSIONS,
    DURABLE_RESTORE_SUBSCRIPTIONS,
    DURABLE_RESTORE_RECEIVED,
    DURABLE_RESTORE_DELIVERIES,
    DURABLE_RESTORE_HAD,
    DURABLE_RESTORE_WILLS
};

struct durable_restore {
    enum durable_restore_phase phase;
    struct durable_key session; /* the session in hand, or the one before the next */
    struct durable_key at;      /* the last row of this phase that is done */
};

/* What comes next; text is borrowed from the transaction. */
struct durable_item {
    struct durable_key key;
    struct record_journal journal;
    bool has_message; /* to be sent before: a delivery's, or the will */
    bool is_damaged;  /* the row, or its body: to be dropped */
    struct record_message message;
};

/* Is this session, or will, one that the walk is for? */
typedef bool (*durable_restore_fn)(struct bytes client_id, void *context);

void durable_restore_start(struct durable_restore *ret_restore);
/* Inside a transaction: the item after the last one that is done. 0, -ENOENT at the
 * end, or -errno. */
int durable_restore_next(struct durable_restore *restore, struct durable *durable,
                         durable_restore_fn is_wanted, void *context,
                         struct durable_item *ret_item);
/* The item is done with. */
void durable_restore_advance(struct durable_restore *restore, const struct durable_item *item);

#endif
