#include "master/store/rescue/rescue_examine.h"

#include "master/store/durable/durable_format.h"
#include "master/store/durable/durable_sum.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    TEXT_MAX = 160,
    PAGES_AHEAD = 4096 /* pages behind the end of the file that may have been given out */
};

struct examination {
    struct rescue_findings *findings;
    rescue_say_fn say;
    void *context;
    bool with_bodies;
    bool has_format;
    bool is_foreign;
};

static void say(struct examination *e, const char *text)
{
    e->findings->verdict = RESCUE_DAMAGED;
    e->say(e->context, text);
}

static void on_damage(void *context, uint64_t page, const char *what,
                      const struct rescue_span *span)
{
    char text[TEXT_MAX];
    (void)span;
    snprintf(text, sizeof text, "page %" PRIu64 ": %s", page, what);
    say(context, text);
}

static void on_damaged_row(struct examination *e, struct bytes key)
{
    char text[TEXT_MAX];
    unsigned kind = key.data[0];
    e->findings->rows_damaged++;
    snprintf(text, sizeof text, "a record of kind %u does not have its checksum", kind);
    say(e, text);
}

static void judge_format(struct examination *e, struct bytes key, struct bytes value)
{
    int r = durable_format_judge(value);
    if (r == -ENOENT)
        on_damaged_row(e, key);
    e->is_foreign = r == -EPROTO;
    e->has_format = true;
}

static bool must_open(const struct examination *e, unsigned kind)
{
    return e->with_bodies || kind != DURABLE_MESSAGE;
}

static int on_row(void *context, struct bytes key, struct bytes value)
{
    struct examination *e = context;
    struct bytes content;
    unsigned kind = key.data[0];
    if (kind == DURABLE_FORMAT && key.size == 1)
        judge_format(e, key, value);
    else if (key.size > DURABLE_KEY_MAX ||
             (must_open(e, kind) && durable_sum_open(key, value, &content) < 0))
        on_damaged_row(e, key);
    else if (kind < RESCUE_KINDS)
        e->findings->rows[kind]++;
    return 0;
}

/* -- meta pages -- */

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* The two are of commits one after the other. */
static void examine_metas(struct examination *e, const struct rescue_file *file)
{
    const struct rescue_meta *metas = file->metas;
    struct rescue_findings *findings = e->findings;
    for (unsigned i = 0; i < 2; i++)
        if (!file->has_meta[i])
            say(e, i == 0 ? "page 0: it is no meta page" : "page 1: it is no meta page");
    if (file->has_meta[0] && file->has_meta[1]) {
        unsigned newest = metas[1].commit > metas[0].commit;
        findings->meta = &metas[newest];
        findings->older = &metas[1 - newest];
        if (metas[0].page_size != metas[1].page_size ||
            difference(metas[0].commit, metas[1].commit) > 1)
            say(e, "the meta pages do not fit together");
    } else if (file->has_meta[0] || file->has_meta[1]) {
        findings->meta = &metas[file->has_meta[0] ? 0 : 1];
    }
    if (findings->meta != NULL && findings->meta->last_page > file->page_count + PAGES_AHEAD)
        say(e, "the file is shorter than its last page");
}

/* -- all -- */

static uint64_t end_of(const struct rescue_file *file, const struct rescue_meta *meta)
{
    uint64_t end_max = file->page_count + PAGES_AHEAD;
    return meta->last_page < end_max ? meta->last_page + 1 : end_max;
}

static int examine_trees(struct examination *e, struct rescue_file *file)
{
    const struct rescue_visitor visitor = {on_row, on_damage, e};
    struct rescue_findings *findings = e->findings;
    bool free_is_whole;
    int r = rescue_file_start(file, end_of(file, findings->meta));
    if (r == 0)
        r = rescue_walk_rows(file, findings->meta, &visitor, &findings->rows_are_whole);
    if (r == 0)
        r = rescue_walk_free(file, findings->meta, &visitor, &free_is_whole);
    return r;
}

int rescue_examine(struct rescue_file *file, bool with_bodies, rescue_say_fn say_finding,
                   void *context, struct rescue_findings *ret_findings)
{
    struct examination e = {
        .findings = ret_findings,
        .say = say_finding,
        .context = context,
        .with_bodies = with_bodies,
    };
    int r = 0;
    *ret_findings = (struct rescue_findings){.verdict = RESCUE_SOUND};
    examine_metas(&e, file);
    if (ret_findings->meta != NULL)
        r = examine_trees(&e, file);
    if (r < 0)
        return r;
    if (!e.has_format && ret_findings->meta != NULL && ret_findings->meta->rows.rows > 0)
        say(&e, "it has no format: it was not made by courtier, or that is lost");
    if (e.is_foreign)
        ret_findings->verdict = RESCUE_NEWER;
    return 0;
}
