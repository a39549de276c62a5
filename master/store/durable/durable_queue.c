#include "master/store/durable/durable_queue.h"

#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"
#include "master/store/durable/durable_unsure.h"

#include <errno.h>

/* Rows looked at for a message that may have been enqueued before a crash: more than fit
 * into the rings that it is read from again. */
enum { HAS_ROWS_MAX = 1 << 16 };

int durable_queue_take_body(struct durable *durable, struct durable_item *item)
{
    struct durable_key key = durable_key_body(item->journal.message_id);
    struct bytes content;
    if (item->journal.message_id == 0)
        return 0;
    int r = durable_env_get(durable->env, &key, &content);
    if (r < 0 && r != -ENOENT && r != -EBADMSG)
        return r;
    item->has_message = r == 0 && durable_message_decode(&durable->clock, content, &item->message);
    item->is_damaged = !item->has_message;
    item->journal.unsure = item->journal.qos == DURABLE_UNSURE_QOS &&
                           durable_unsure_is(durable, item->journal.message_id);
    return 0;
}

int durable_queue_next(struct durable *durable, struct durable_key *key,
                       struct durable_item *ret_item)
{
    struct bytes content;
    *ret_item = (struct durable_item){.key = *key};
    int r = durable_env_next(durable->env, key, DURABLE_NUMBER_PREFIX, &content);
    if (r < 0 && r != -EBADMSG)
        return r;
    ret_item->key = *key;
    ret_item->is_damaged = r == -EBADMSG ||
                           !durable_row_decode(&durable->clock, key, content, &ret_item->journal);
    return ret_item->is_damaged ? 0 : durable_queue_take_body(durable, ret_item);
}

/* -- all of it -- */

struct sum {
    const struct durable *durable;
    struct record_journal *queued;
};

static bool add_row(const struct durable_key *key, const struct bytes *content, void *context)
{
    struct sum *sum = context;
    struct record_journal row;
    sum->queued->seq = durable_key_second(key);
    if (content == NULL || !durable_row_decode(&sum->durable->clock, key, *content, &row))
        return true; /* it is dropped when it is fetched */
    sum->queued->count++;
    sum->queued->bytes += row.bytes;
    sum->queued->shared |= row.shared;
    return true;
}

int durable_queue_sum(struct durable *durable, struct durable_item *item)
{
    struct sum sum = {.durable = durable, .queued = &item->journal};
    const struct durable_walk walk = {
        .prefix = DURABLE_NUMBER_PREFIX, .show = add_row, .context = &sum};
    item->journal = (struct record_journal){
        .kind = RECORD_QUEUED,
        .session = item->journal.session,
        .seq = item->journal.seq,
        .shared = item->journal.shared,
        .count = 1,
        .bytes = item->journal.bytes,
    };
    return durable_env_walk(durable->env, &item->key, &walk);
}

/* -- one message of it -- */

struct search {
    const struct durable *durable;
    uint64_t message_id;
    unsigned rows;
    bool is_found;
};

static bool look_at_row(const struct durable_key *key, const struct bytes *content, void *context)
{
    struct search *search = context;
    struct record_journal row;
    search->is_found = content != NULL &&
                       durable_row_decode(&search->durable->clock, key, *content, &row) &&
                       row.message_id == search->message_id;
    return !search->is_found && ++search->rows < HAS_ROWS_MAX;
}

bool durable_queue_has(struct durable *durable, uint64_t session, uint64_t message_id)
{
    struct search search = {.durable = durable, .message_id = message_id};
    const struct durable_walk walk = {.prefix = DURABLE_NUMBER_PREFIX,
                                      .is_backward = true,
                                      .show = look_at_row,
                                      .context = &search};
    struct durable_key key = durable_key_pair(DURABLE_QUEUE, session, UINT64_MAX);
    struct durable_key count_key = durable_key_count(message_id);
    if (!durable_env_has(durable->env, &count_key)) /* nobody has it: it is mostly so */
        return false;
    return durable_env_walk(durable->env, &key, &walk) == 0 && search.is_found;
}
