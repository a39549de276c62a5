#include "master/store/durable/durable_unsure.h"

#include "master/store/durable/durable_row.h"

#include <errno.h>

/* The row that stands for the message itself, and says how many may repeat it: no session has
 * this number. */
enum { NO_SESSION = 0 };

static int get_count(struct durable *durable, uint64_t message_id, uint64_t *ret_count)
{
    struct durable_key key = durable_key_pair(DURABLE_UNSURE, message_id, NO_SESSION);
    return durable_row_get_number(durable->env, &key, ret_count);
}

static int put_count(struct durable *durable, uint64_t message_id, uint64_t count)
{
    struct durable_key key = durable_key_pair(DURABLE_UNSURE, message_id, NO_SESSION);
    return durable_row_put_number(durable->env, &key, count);
}

int durable_unsure_begin(struct durable *durable, uint64_t message_id)
{
    uint64_t count;
    int r = get_count(durable, message_id, &count);
    return r < 0 ? r : put_count(durable, message_id, count + 1);
}

int durable_unsure_end(struct durable *durable, uint64_t message_id)
{
    struct durable_key key = durable_key_number(DURABLE_UNSURE, message_id);
    struct bytes content;
    uint64_t count;
    int r = get_count(durable, message_id, &count);
    if (r == 0 && count > 1)
        return put_count(durable, message_id, count - 1);
    while (r == 0) {
        r = durable_env_next(durable->env, &key, DURABLE_NUMBER_PREFIX, &content);
        if (r == 0 || r == -EBADMSG)
            r = durable_env_delete(durable->env, &key);
    }
    return r == -ENOENT ? 0 : r;
}

int durable_unsure_had(struct durable *durable, uint64_t message_id, uint64_t session)
{
    struct durable_key key = durable_key_pair(DURABLE_UNSURE, message_id, session);
    if (!durable_unsure_is(durable, message_id))
        return 0;
    return durable_row_put_number(durable->env, &key, message_id);
}

bool durable_unsure_is(struct durable *durable, uint64_t message_id)
{
    struct durable_key key = durable_key_pair(DURABLE_UNSURE, message_id, NO_SESSION);
    return durable_env_has(durable->env, &key);
}
