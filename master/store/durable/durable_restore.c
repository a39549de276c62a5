#include "master/store/durable/durable_restore.h"

#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_queue.h"
#include "master/store/durable/durable_row.h"
#include "master/store/durable/durable_unsure.h"

#include <errno.h>

static void enter(struct durable_restore *restore, enum durable_restore_phase phase,
                  struct durable_key at)
{
    restore->phase = phase;
    restore->at = at;
}

void durable_restore_start(struct durable_restore *ret_restore)
{
    *ret_restore = (struct durable_restore){.session = durable_key_of(DURABLE_SESSION)};
    enter(ret_restore, DURABLE_RESTORE_SESSIONS, ret_restore->session);
}

/* The phase after this one, once its rows are through. */
static void enter_next(struct durable_restore *restore)
{
    uint64_t session;
    switch (restore->phase) {
    case DURABLE_RESTORE_SESSIONS: /* there are no more */
        enter(restore, DURABLE_RESTORE_HAD, durable_key_of(DURABLE_UNSURE));
        break;
    case DURABLE_RESTORE_HAD:
        enter(restore, DURABLE_RESTORE_WILLS, durable_key_of(DURABLE_WILL));
        break;
    case DURABLE_RESTORE_SUBSCRIPTIONS:
        session = durable_key_first(&restore->session);
        enter(restore, DURABLE_RESTORE_RECEIVED, durable_key_number(DURABLE_RECEIVED, session));
        break;
    case DURABLE_RESTORE_RECEIVED:
        session = durable_key_first(&restore->session);
        enter(restore, DURABLE_RESTORE_DELIVERIES, durable_key_number(DURABLE_QUEUE, session));
        break;
    case DURABLE_RESTORE_DELIVERIES:
        enter(restore, DURABLE_RESTORE_SESSIONS, restore->session);
        break;
    case DURABLE_RESTORE_WILLS:
        break;
    }
}

void durable_restore_advance(struct durable_restore *restore, const struct durable_item *item)
{
    restore->at = item->key;
    if (restore->phase != DURABLE_RESTORE_SESSIONS)
        return;
    restore->session = item->key;
    if (!item->is_damaged)
        enter(restore, DURABLE_RESTORE_SUBSCRIPTIONS,
              durable_key_number(DURABLE_SUBSCRIPTION, durable_key_first(&item->key)));
}

/* What is in flight comes with its body. */
static int take_delivery(struct durable *durable, struct durable_item *item)
{
    if (item->journal.packet_id == 0)
        return durable_queue_sum(durable, item);
    return durable_queue_take_body(durable, item);
}

/* Who had it: false for the row of the message itself. */
static bool take_had(struct durable_item *item)
{
    item->journal = (struct record_journal){
        .kind = RECORD_HAD,
        .session = durable_key_second(&item->key),
        .message_id = durable_key_first(&item->key),
    };
    return item->journal.session != 0;
}

/* Makes the item of a row. 0; -ENOENT for one that is not wanted; or -errno. */
static int take_row(struct durable *durable, struct bytes content, durable_restore_fn is_wanted,
                    void *context, struct durable_item *item)
{
    struct record_journal *journal = &item->journal;
    if (item->is_damaged)
        return 0;
    if (durable_key_kind(&item->key) == DURABLE_UNSURE)
        return take_had(item) ? 0 : -ENOENT;
    if (durable_key_kind(&item->key) == DURABLE_WILL) {
        item->is_damaged = !durable_message_decode(&durable->clock, content, &item->message);
        item->has_message = !item->is_damaged;
        *journal = (struct record_journal){.kind = RECORD_KEEP_WILL,
                                           .message_id = item->message.message_id};
        bool is_taken = item->is_damaged || is_wanted(item->message.client_id, context);
        return is_taken ? 0 : -ENOENT;
    }
    item->is_damaged = !durable_row_decode(&durable->clock, &item->key, content, journal);
    if (item->is_damaged)
        return 0;
    if (journal->kind == RECORD_SESSION)
        return is_wanted(journal->name, context) ? 0 : -ENOENT;
    return journal->kind == RECORD_ENQUEUE ? take_delivery(durable, item) : 0;
}

int durable_restore_next(struct durable_restore *restore, struct durable *durable,
                         durable_restore_fn is_wanted, void *context, struct durable_item *ret_item)
{
    for (;;) {
        bool is_own = restore->phase >= DURABLE_RESTORE_SUBSCRIPTIONS &&
                      restore->phase <= DURABLE_RESTORE_DELIVERIES;
        struct bytes content;
        *ret_item = (struct durable_item){.key = restore->at};
        int r = durable_env_next(durable->env, &ret_item->key,
                                 is_own ? DURABLE_NUMBER_PREFIX : DURABLE_KIND_PREFIX, &content);
        if (r == -ENOENT && restore->phase != DURABLE_RESTORE_WILLS) {
            enter_next(restore);
            continue;
        }
        if (r < 0 && r != -EBADMSG)
            return r;
        ret_item->is_damaged = r == -EBADMSG;
        r = take_row(durable, content, is_wanted, context, ret_item);
        if (r != -ENOENT)
            return r;
        restore->at = ret_item->key;
        if (restore->phase == DURABLE_RESTORE_SESSIONS)
            restore->session = ret_item->key;
    }
}
