#include "master/store/rescue/rescue_salvage.h"

#include "master/store/durable/durable_row.h"
#include "master/store/durable/durable_sum.h"
#include "master/store/rescue/rescue_copy.h"

#include <errno.h>
#include <string.h>

enum { ROWS_MAX = 4096 /* of a transaction */ };

/* -- rows -- */

/* Numbers of sessions and messages begin with the run that made them: see
 * durable_take_run(). */
static void note_run(struct rescue_salvage *salvage, const struct durable_key *key)
{
    enum durable_kind kind = durable_key_kind(key);
    bool has_number = (kind >= DURABLE_SESSION && kind <= DURABLE_MESSAGE) ||
                      kind == DURABLE_UNSURE || kind == DURABLE_ENDED;
    if (!has_number || key->size < DURABLE_NUMBER_PREFIX)
        return;
    uint32_t run = (uint32_t)(durable_key_first(key) >> 32);
    if (run > salvage->run_max)
        salvage->run_max = run;
}

/* What was true once must not come back if that does harm: a QoS 2 id would make a new
 * message pass for a repeated one, and a QoS 2 delivery might be the second. */
static bool may_be_old(const struct durable_key *key, struct bytes content)
{
    const struct durable_clock clock = {0};
    struct record_journal journal;
    enum durable_kind kind = durable_key_kind(key);
    if (kind == DURABLE_RECEIVED)
        return false;
    return kind != DURABLE_QUEUE ||
           (key->size == DURABLE_NUMBER_PREFIX + 8 &&
            durable_row_decode(&clock, key, content, &journal) && journal.qos < 2);
}

/* The first is the best: what a damaged leaf shows a second time is of the past. */
static bool is_wanted(struct rescue_salvage *salvage, const struct durable_key *key,
                      struct bytes content)
{
    if (salvage->is_filling && !rescue_spans_has(&salvage->lost, durable_key_bytes(key)))
        return false;
    if (salvage->is_copy && !may_be_old(key, content))
        return false;
    return !durable_env_has(salvage->env, key);
}

static int put(struct rescue_salvage *salvage, const struct durable_key *key, struct bytes content)
{
    int r = durable_env_put(salvage->env, key, content);
    if (r == 0 && ++salvage->pending >= ROWS_MAX) {
        salvage->pending = 0;
        r = durable_env_commit(salvage->env);
        if (r == 0)
            r = durable_env_begin(salvage->env);
    }
    return r;
}

static int on_row(void *context, struct bytes key, struct bytes value)
{
    struct rescue_salvage *salvage = context;
    struct durable_key at = {.size = (uint8_t)key.size};
    struct bytes content;
    if (key.data[0] == DURABLE_FORMAT)
        return 0; /* the environment has ours */
    if (key.size > DURABLE_KEY_MAX || durable_sum_open(key, value, &content) < 0) {
        if (!salvage->is_filling)
            rescue_spans_add_key(&salvage->lost, key);
        return 0;
    }
    memcpy(at.bytes, key.data, key.size);
    note_run(salvage, &at);
    if (!is_wanted(salvage, &at, content))
        return 0;
    if (salvage->is_copy)
        salvage->copied++;
    else if (salvage->is_filling)
        salvage->filled++;
    else
        salvage->taken++;
    return put(salvage, &at, content);
}

static void on_damage(void *context, uint64_t page, const char *what,
                      const struct rescue_span *span)
{
    struct rescue_salvage *salvage = context;
    (void)page;
    (void)what;
    if (span != NULL && !salvage->is_filling)
        rescue_spans_add(&salvage->lost, span);
}

/* -- sources -- */

/* All pages of the file count, also such as a meta page does not know of. */

/* Notes which pages are free. *ret_is_known: false if that can't be trusted, and then
 * none is. 0 or -errno. */
static int note_free(struct rescue_salvage *salvage, struct rescue_file *file,
                     const struct rescue_meta *meta, bool *ret_is_known)
{
    const bool was_filling = salvage->is_filling;
    const struct rescue_visitor visitor = {on_row, on_damage, salvage};
    salvage->is_filling = true; /* its damage is no rows' */
    int r = rescue_walk_free(file, meta, &visitor, ret_is_known);
    salvage->is_filling = was_filling;
    if (r == 0 && !*ret_is_known)
        r = rescue_file_start(file, file->page_count);
    return r;
}

static int take_newest(struct rescue_salvage *salvage, struct rescue_file *file,
                       const struct rescue_findings *findings)
{
    const struct rescue_visitor visitor = {on_row, on_damage, salvage};
    bool free_is_known = false;
    bool is_whole;
    int r = rescue_file_start(file, file->page_count);
    if (r == 0 && !findings->rows_are_whole)
        r = note_free(salvage, file, findings->meta, &free_is_known);
    if (r == 0)
        r = rescue_walk_rows(file, findings->meta, &visitor, &is_whole);
    salvage->is_filling = true;
    if (r == 0 && free_is_known)
        r = rescue_walk_orphans(file, &visitor);
    return r;
}

int rescue_salvage_begin(struct rescue_salvage *ret_salvage, const char *folder, uint64_t size_max)
{
    *ret_salvage = (struct rescue_salvage){.env = NULL};
    int r = durable_env_open(&ret_salvage->env, folder, size_max);
    return r < 0 ? r : durable_env_begin(ret_salvage->env);
}

void rescue_salvage_nothing(struct rescue_salvage *salvage)
{
    const struct rescue_span all = {{NULL, 0}, {NULL, 0}};
    rescue_spans_add(&salvage->lost, &all);
    salvage->is_filling = true;
}

int rescue_salvage_file(struct rescue_salvage *salvage, struct rescue_file *file,
                        const struct rescue_findings *findings)
{
    const struct rescue_visitor visitor = {on_row, on_damage, salvage};
    bool is_whole;
    int r = 0;
    if (findings->meta == NULL)
        rescue_salvage_nothing(salvage);
    else
        r = take_newest(salvage, file, findings);
    if (r == 0 && findings->older != NULL && salvage->lost.count > 0) {
        r = rescue_file_start(file, file->page_count);
        if (r == 0)
            r = rescue_walk_rows(file, findings->older, &visitor, &is_whole);
    }
    return r;
}

int rescue_salvage_copy(struct rescue_salvage *salvage, int fd)
{
    salvage->is_copy = true;
    return salvage->lost.count == 0 ? 0 : rescue_copy_read(fd, on_row, salvage);
}

int rescue_salvage_commit(struct rescue_salvage *salvage)
{
    return durable_env_commit(salvage->env);
}

void rescue_salvage_done(struct rescue_salvage *salvage)
{
    durable_env_close(salvage->env);
    salvage->env = NULL;
}
