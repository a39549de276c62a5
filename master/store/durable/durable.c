#include "master/store/durable/durable.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/store/durable/durable_apply.h"
#include "master/store/durable/durable_batch.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    RUN_BLOCK = 16,   /* run numbers taken per write */
    DOOMED_MAX = 1024 /* rows deleted per commit at start */
};

/* A look through everything at start. */
struct scan {
    struct durable *durable;
    struct durable_batch doomed;
    bool keeps_sessions;
    uint64_t now_ms;
    uint64_t ended;
};

static bool is_past(const struct scan *scan, uint64_t at_ms)
{
    return at_ms != 0 && at_ms <= scan->now_ms;
}

/* Is this row of no more use, by what it says? */
static bool is_over(struct scan *scan, const struct durable_key *key, struct bytes content)
{
    struct durable *durable = scan->durable;
    struct record_journal journal;
    struct record_message message;
    enum durable_kind kind = durable_key_kind(key);
    if (kind == DURABLE_RETAINED)
        return !durable_message_decode(&durable->clock, content, &message) ||
               is_past(scan, message.expiry_at_ms);
    if (kind == DURABLE_WILL)
        return !durable_message_decode(&durable->clock, content, &message);
    if (!durable_row_decode(&durable->clock, key, content, &journal))
        return true;
    if (kind != DURABLE_SESSION || scan->keeps_sessions || !is_past(scan, journal.end_at_ms))
        return false;
    scan->ended++;
    return true;
}

static void count_row(struct durable *durable, const struct durable_key *key,
                      const struct bytes *content)
{
    enum durable_kind kind = durable_key_kind(key);
    struct record_journal row;
    durable->damaged += content == NULL;
    durable->sessions += kind == DURABLE_SESSION;
    durable->deliveries += kind == DURABLE_QUEUE;
    if (kind == DURABLE_QUEUE && content != NULL &&
        durable_row_decode(&durable->clock, key, *content, &row))
        durable->bytes += row.bytes;
}

static bool scan_row(const struct durable_key *key, const struct bytes *content, void *context)
{
    struct scan *scan = context;
    count_row(scan->durable, key, content);
    if (content == NULL || is_over(scan, key, *content))
        durable_batch_delete(&scan->doomed, key);
    return scan->doomed.count < DOOMED_MAX;
}

/* Reads on from *key until the kind is through (-ENOENT) or enough has to go (0). */
static int scan_some(struct scan *scan, struct durable_key *key)
{
    const struct durable_walk walk = {
        .prefix = DURABLE_KIND_PREFIX, .show = scan_row, .context = scan};
    int r = durable_env_begin_read(scan->durable->env);
    if (r < 0)
        return r;
    r = durable_env_walk(scan->durable->env, key, &walk);
    durable_env_abort(scan->durable->env);
    return r == 0 && scan->doomed.count < DOOMED_MAX ? -ENOENT : r;
}

static int scan_kind(struct scan *scan, enum durable_kind kind)
{
    struct durable_key key = durable_key_of(kind);
    int r = 0;
    while (r == 0) {
        r = scan_some(scan, &key);
        if (r < 0 && r != -ENOENT)
            return r;
        int error = durable_apply(scan->durable, &scan->doomed, NULL, 0);
        durable_batch_clear(&scan->doomed);
        if (error < 0)
            log_warning("What expired can't be removed from the disk: %s.", strerror(-error));
    }
    return 0;
}

/* What the last commit noted. False when that is damaged, or there was none. */
static bool read_totals(struct durable *durable)
{
    struct durable_key key = durable_key_of(DURABLE_TOTALS);
    struct bytes content;
    if (durable_env_begin_read(durable->env) < 0)
        return false;
    bool is_there = durable_env_get(durable->env, &key, &content) == 0;
    struct reader r = reader_of(is_there ? content : (struct bytes){NULL, 0});
    uint64_t sessions = reader_u64(&r);
    uint64_t deliveries = reader_u64(&r);
    uint64_t bytes = reader_u64(&r);
    durable_env_abort(durable->env);
    if (r.bad)
        return false;
    durable->sessions = sessions;
    durable->deliveries = deliveries;
    durable->bytes = bytes;
    return true;
}

/* Deliveries before sessions: those of a session that goes are counted by then. */
static int scan_all(struct durable *durable, bool keeps_sessions)
{
    static const enum durable_kind kinds[] = {DURABLE_QUEUE,    DURABLE_SUBSCRIPTION,
                                              DURABLE_RECEIVED, DURABLE_SESSION,
                                              DURABLE_RETAINED, DURABLE_WILL};
    struct scan scan = {
        .durable = durable,
        .keeps_sessions = keeps_sessions,
        .now_ms = clock_now_ms(),
    };
    int r = 0;
    durable_batch_init(&scan.doomed, durable->key);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && r == 0; i++)
        r = scan_kind(&scan, kinds[i]);
    durable_batch_done(&scan.doomed);
    if (scan.ended > 0)
        log_info("%" PRIu64 " sessions expired while the broker was down.", scan.ended);
    if (durable->damaged > 0)
        log_error("%" PRIu64 " damaged records on disk were dropped.", durable->damaged);
    return r;
}

static int load(struct durable *durable)
{
    struct durable_key key = durable_key_of(DURABLE_RUN);
    struct bytes content;
    uint64_t run = 0;
    int r = durable_env_begin_read(durable->env);
    if (r < 0)
        return r;
    r = durable_clock_load(&durable->clock, durable->env);
    if (r == 0)
        r = durable_row_get_number(durable->env, &key, &run);
    key = durable_key_of(DURABLE_ENDED);
    durable->has_ended = durable_env_next(durable->env, &key, DURABLE_KIND_PREFIX, &content) == 0;
    durable_env_abort(durable->env);
    durable->next_run = run == 0 ? 1 : (uint32_t)run;
    durable->run_limit = durable->next_run;
    return r;
}

int durable_open(struct durable *ret_durable, const char *folder, uint64_t size_max,
                 const struct hash_key *key, bool is_successor)
{
    *ret_durable = (struct durable){.key = key, .swept = durable_key_of(DURABLE_RETAINED)};
    int r = durable_env_open(&ret_durable->env, folder, size_max);
    if (r < 0)
        return r;
    r = load(ret_durable);
    if (r == 0 && !(is_successor && read_totals(ret_durable)))
        r = scan_all(ret_durable, is_successor);
    if (r < 0) {
        durable_env_close(ret_durable->env);
        ret_durable->env = NULL;
    }
    return r;
}

int durable_probe(struct durable *durable)
{
    int r = durable_env_begin(durable->env);
    if (r < 0)
        return r;
    r = durable_clock_note(&durable->clock, durable->env);
    if (r == 0)
        return durable_env_commit(durable->env);
    durable_env_abort(durable->env);
    return r;
}

void durable_close(struct durable *durable)
{
    if (durable->env == NULL)
        return;
    (void)durable_probe(durable);
    durable_env_close(durable->env);
    durable->env = NULL;
}

int durable_take_run(struct durable *durable, uint32_t *ret_run)
{
    struct durable_key key = durable_key_of(DURABLE_RUN);
    if (durable->next_run == durable->run_limit) {
        uint32_t limit = durable->run_limit + RUN_BLOCK;
        int r = durable_env_begin(durable->env);
        if (r < 0)
            return r;
        (void)durable_row_put_number(durable->env, &key, limit);
        r = durable_env_commit(durable->env);
        if (r < 0)
            return r;
        durable->run_limit = limit;
    }
    *ret_run = durable->next_run++;
    return 0;
}

int durable_read_serial(struct durable *durable, unsigned worker, uint64_t *ret_serial)
{
    struct durable_key key = durable_key_number(DURABLE_SERIAL, worker);
    int r = durable_env_begin_read(durable->env);
    if (r < 0)
        return r;
    r = durable_row_get_number(durable->env, &key, ret_serial);
    durable_env_abort(durable->env);
    return r;
}

int durable_walk_retained(struct durable *durable, durable_retained_fn show, void *context)
{
    struct durable_key key = durable_key_of(DURABLE_RETAINED);
    struct record_message message;
    struct bytes content;
    int r = durable_env_begin_read(durable->env);
    if (r < 0)
        return r;
    while (r == 0) {
        r = durable_env_next(durable->env, &key, DURABLE_KIND_PREFIX, &content);
        if (r == 0 && durable_message_decode(&durable->clock, content, &message))
            r = show(&message, context);
        else if (r == -EBADMSG)
            r = 0;
    }
    durable_env_abort(durable->env);
    return r == -ENOENT ? 0 : r;
}

void durable_sweep(struct durable *durable, struct durable_batch *batch, unsigned rows_max)
{
    uint64_t now_ms = clock_now_ms();
    struct record_message message;
    struct bytes content;
    if (durable_env_begin_read(durable->env) < 0)
        return;
    for (unsigned i = 0; i < rows_max; i++) {
        int r = durable_env_next(durable->env, &durable->swept, DURABLE_KIND_PREFIX, &content);
        if (r < 0 && r != -EBADMSG) {
            durable->swept = durable_key_of(DURABLE_RETAINED);
            break;
        }
        bool is_over = r == 0 && durable_message_decode(&durable->clock, content, &message) &&
                       message.expiry_at_ms != 0 && message.expiry_at_ms <= now_ms;
        if (is_over && durable_batch_find(batch, &durable->swept) == NULL)
            durable_batch_delete(batch, &durable->swept);
    }
    durable_env_abort(durable->env);
}
