#include "master/store/rescue/rescue_mend.h"

#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"

#include <errno.h>
#include <stdlib.h>

enum {
    CHANGES_MAX = 4096, /* of a transaction */
    IDS_MIN = 1024,
    /* More runs than may have been begun since the rows were made that tell of them. */
    RUNS_AHEAD = 4096
};

static int note_change(struct rescue_mend *mend)
{
    if (++mend->pending < CHANGES_MAX)
        return 0;
    mend->pending = 0;
    int r = durable_env_commit(mend->env);
    return r < 0 ? r : durable_env_begin(mend->env);
}

static int drop(struct rescue_mend *mend, const struct durable_key *key)
{
    mend->dropped[durable_key_kind(key)]++;
    mend->rows[durable_key_kind(key)]--;
    int r = durable_env_delete(mend->env, key);
    return r < 0 ? r : note_change(mend);
}

/* -- ids -- */

static int add_id(struct rescue_ids *ids, uint64_t id)
{
    if (ids->count == ids->room) {
        size_t room = ids->room == 0 ? IDS_MIN : ids->room * 2;
        uint64_t *list = reallocarray(ids->list, room, sizeof *list);
        if (list == NULL)
            return -ENOMEM;
        ids->list = list;
        ids->room = room;
    }
    ids->list[ids->count++] = id;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void sort_ids(struct rescue_ids *ids)
{
    if (ids->count > 0)
        qsort(ids->list, ids->count, sizeof ids->list[0], compare_ids);
}

/* How often it is in the sorted list: a binary search for the first and the next. */
static uint64_t count_ids(const struct rescue_ids *ids, uint64_t id)
{
    size_t bounds[2];
    for (unsigned i = 0; i < 2; i++) {
        size_t low = 0;
        size_t high = ids->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            bool is_before = i == 0 ? ids->list[middle] < id : ids->list[middle] <= id;
            if (is_before)
                low = middle + 1;
            else
                high = middle;
        }
        bounds[i] = low;
    }
    return bounds[1] - bounds[0];
}

/* -- sessions and their rows -- */

/* One that came back by another way than the last commit's tree may have ended before. */
static int mend_session(struct rescue_mend *mend, const struct durable_key *key,
                        struct bytes content)
{
    struct durable_key ended = durable_key_number(DURABLE_ENDED, durable_key_first(key));
    (void)content;
    return durable_env_has(mend->env, &ended) ? drop(mend, key) : 0;
}

/* Its rows are gone when this comes. */
static int mend_ended(struct rescue_mend *mend, const struct durable_key *key, struct bytes content)
{
    (void)content;
    return drop(mend, key);
}

static bool has_session(struct rescue_mend *mend, const struct durable_key *key)
{
    struct durable_key session = durable_key_number(DURABLE_SESSION, durable_key_first(key));
    return durable_env_has(mend->env, &session);
}

/* Has the delivery its body? *ret_id: of that, or 0. */
static bool is_whole_delivery(struct rescue_mend *mend, const struct durable_key *key,
                              struct bytes content, uint64_t *ret_id)
{
    const struct durable_clock clock = {0};
    struct record_journal journal;
    if (!durable_row_decode(&clock, key, content, &journal))
        return false;
    *ret_id = journal.message_id;
    struct durable_key body = durable_key_body(journal.message_id);
    return journal.message_id == 0 || durable_env_has(mend->env, &body);
}

static int mend_own(struct rescue_mend *mend, const struct durable_key *key, struct bytes content)
{
    uint64_t id = 0;
    if (key->size < DURABLE_NUMBER_PREFIX || !has_session(mend, key))
        return drop(mend, key);
    if (durable_key_kind(key) == DURABLE_QUEUE && !is_whole_delivery(mend, key, content, &id))
        return drop(mend, key);
    return id == 0 ? 0 : add_id(&mend->needed, id);
}

/* -- bodies -- */

/* The rows of a message: its body, which is kept or goes, and the count, as it must be. */
static int mend_message(struct rescue_mend *mend, const struct durable_key *key,
                        struct bytes content)
{
    uint64_t old = 0;
    (void)content;
    if (key->size <= DURABLE_NUMBER_PREFIX)
        return drop(mend, key);
    uint64_t id = durable_key_first(key);
    struct durable_key count_key = durable_key_count(id);
    struct durable_key body_key = durable_key_body(id);
    uint64_t count = count_ids(&mend->needed, id);
    if (count == 0 || !durable_env_has(mend->env, &body_key))
        return drop(mend, key);
    int r = durable_row_get_number(mend->env, &count_key, &old);
    if (r < 0 || old == count)
        return r;
    mend->rows[DURABLE_MESSAGE] += !durable_env_has(mend->env, &count_key);
    r = durable_row_put_number(mend->env, &count_key, count);
    return r < 0 ? r : note_change(mend);
}

/* -- messages that may be repeated -- */

static int note_unsure(struct rescue_mend *mend, uint64_t id)
{
    struct durable_key key = durable_key_pair(DURABLE_UNSURE, id, 0);
    int r = add_id(&mend->unsure, id);
    if (r < 0 || durable_env_has(mend->env, &key))
        return r;
    r = durable_row_put_number(mend->env, &key, 1);
    return r < 0 ? r : note_change(mend);
}

static int mend_received(struct rescue_mend *mend, const struct durable_key *key,
                         struct bytes content)
{
    const struct durable_clock clock = {0};
    struct record_journal journal;
    if (key->size < DURABLE_NUMBER_PREFIX || !has_session(mend, key) ||
        !durable_row_decode(&clock, key, content, &journal))
        return drop(mend, key);
    return journal.message_id == 0 ? 0 : note_unsure(mend, journal.message_id);
}

/* The publication of a will has the number after its own. */
static int mend_will(struct rescue_mend *mend, const struct durable_key *key, struct bytes content)
{
    const struct durable_clock clock = {0};
    struct record_message message;
    if (!durable_message_decode(&clock, content, &message))
        return drop(mend, key);
    return note_unsure(mend, message.message_id + 1);
}

/* The one that stands for the message says how many may repeat it. */
static int mend_unsure(struct rescue_mend *mend, const struct durable_key *key,
                       struct bytes content)
{
    uint64_t old = 0;
    (void)content;
    if (key->size <= DURABLE_NUMBER_PREFIX)
        return drop(mend, key);
    uint64_t count = count_ids(&mend->unsure, durable_key_first(key));
    if (count == 0)
        return drop(mend, key);
    if (durable_key_second(key) != 0)
        return 0;
    int r = durable_row_get_number(mend->env, key, &old);
    if (r < 0 || old == count)
        return r;
    r = durable_row_put_number(mend->env, key, count);
    return r < 0 ? r : note_change(mend);
}

/* -- all -- */

typedef int (*mend_fn)(struct rescue_mend *mend, const struct durable_key *key,
                       struct bytes content);

static int mend_nothing(struct rescue_mend *mend, const struct durable_key *key,
                        struct bytes content)
{
    (void)mend;
    (void)key;
    (void)content;
    return 0;
}

static int mend_kind(struct rescue_mend *mend, enum durable_kind kind, mend_fn one)
{
    struct durable_key key = durable_key_of(kind);
    struct bytes content;
    int r = 0;
    while (r == 0) {
        r = durable_env_next(mend->env, &key, DURABLE_KIND_PREFIX, &content);
        if (r < 0)
            break;
        mend->rows[kind]++;
        r = one(mend, &key, content);
    }
    return r == -ENOENT ? 0 : r;
}

static int mend_numbers(struct rescue_mend *mend)
{
    struct durable_key run_key = durable_key_of(DURABLE_RUN);
    struct durable_key totals_key = durable_key_of(DURABLE_TOTALS);
    uint64_t run;
    int r = durable_row_get_number(mend->env, &run_key, &run);
    if (r < 0)
        return r;
    if (run < mend->run_max)
        run = mend->run_max;
    r = durable_row_put_number(mend->env, &run_key, run + RUNS_AHEAD);
    if (r == 0)
        r = durable_env_delete(mend->env, &totals_key); /* they are counted anew */
    return r == -ENOENT ? 0 : r;
}

static int mend_all(struct rescue_mend *mend)
{
    int r = mend_kind(mend, DURABLE_SESSION, mend_session);
    if (r == 0)
        r = mend_kind(mend, DURABLE_SUBSCRIPTION, mend_own);
    if (r == 0)
        r = mend_kind(mend, DURABLE_RECEIVED, mend_received);
    if (r == 0)
        r = mend_kind(mend, DURABLE_QUEUE, mend_own);
    sort_ids(&mend->needed);
    if (r == 0)
        r = mend_kind(mend, DURABLE_MESSAGE, mend_message);
    if (r == 0)
        r = mend_kind(mend, DURABLE_RETAINED, mend_nothing);
    if (r == 0)
        r = mend_kind(mend, DURABLE_WILL, mend_will);
    sort_ids(&mend->unsure);
    if (r == 0)
        r = mend_kind(mend, DURABLE_UNSURE, mend_unsure);
    if (r == 0)
        r = mend_kind(mend, DURABLE_ENDED, mend_ended);
    return r == 0 ? mend_numbers(mend) : r;
}

int rescue_mend(struct rescue_mend *ret_mend, struct durable_env *env, uint32_t run_max)
{
    *ret_mend = (struct rescue_mend){.env = env, .run_max = run_max};
    int r = durable_env_begin(env);
    if (r < 0)
        return r;
    r = mend_all(ret_mend);
    free(ret_mend->needed.list);
    free(ret_mend->unsure.list);
    ret_mend->needed = (struct rescue_ids){0};
    ret_mend->unsure = (struct rescue_ids){0};
    if (r == 0)
        return durable_env_commit(env);
    durable_env_abort(env);
    return r;
}
