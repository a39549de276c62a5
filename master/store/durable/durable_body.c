#include "master/store/durable/durable_body.h"

#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"

#include <errno.h>

/* Stands for a number that was damaged: the body stays as long as the file does. */
#define COUNT_UNKNOWN (UINT64_C(1) << 40)

static int look_up(struct durable *durable, struct durable_batch *batch, uint64_t message_id,
                   struct durable_body **ret_body)
{
    struct durable_key key = durable_key_count(message_id);
    struct durable_body *body = durable_batch_body(batch, message_id);
    *ret_body = body;
    if (list_is_linked(&body->node)) {
        body->holders--;
        return 0;
    }
    list_push_back(&batch->looked_up, &body->node); /* which holds it */
    body->change = 0;
    body->has_room = false;
    int r = durable_row_get_number(durable->env, &key, &body->count);
    if (r == 0 && body->count == 0 && durable_env_has(durable->env, &key))
        body->count = COUNT_UNKNOWN;
    return r;
}

int durable_body_use(struct durable *durable, struct durable_batch *batch, uint64_t message_id)
{
    struct durable_body *body;
    int r = look_up(durable, batch, message_id, &body);
    if (r < 0)
        return r;
    if (body->count == 0 && !body->is_known)
        return -ENOENT;
    if (body->count == 0 && !body->has_room) {
        r = durable_env_room(durable->env, durable_message_size(&body->message));
        if (r < 0)
            return r;
        body->has_room = true;
    }
    body->change++;
    return 0;
}

int durable_body_leave(struct durable *durable, struct durable_batch *batch, uint64_t message_id)
{
    struct durable_body *body;
    int r = look_up(durable, batch, message_id, &body);
    if (r == 0)
        body->change--;
    return r;
}

static int write_body(struct durable *durable, const struct durable_body *body)
{
    struct durable_key count_key = durable_key_count(body->message_id);
    struct durable_key key = durable_key_body(body->message_id);
    int64_t count = (int64_t)body->count + body->change;
    int r = 0;
    if (body->change == 0)
        return 0;
    if (count > 0) {
        if (body->count == 0)
            r = durable_message_put(durable->env, &durable->clock, &key, &body->message);
        return r < 0 ? r : durable_row_put_number(durable->env, &count_key, (uint64_t)count);
    }
    r = durable_env_delete(durable->env, &count_key);
    if (r == 0 || r == -ENOENT)
        r = durable_env_delete(durable->env, &key);
    return r == -ENOENT ? 0 : r;
}

int durable_body_write(struct durable *durable, struct durable_batch *batch)
{
    int r = 0;
    list_for_each(node, &batch->looked_up)
        if (r == 0)
            r = write_body(durable, list_owner(node, struct durable_body, node));
    return r;
}

void durable_body_forget(struct durable_batch *batch)
{
    list_for_each(node, &batch->looked_up) {
        list_remove(node);
        durable_batch_put_body(batch, list_owner(node, struct durable_body, node));
    }
}
