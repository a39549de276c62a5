#include "master/store/committer_fetch.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "master/store/durable/durable_queue.h"

#include <errno.h>
#include <string.h>

enum { EXPIRED_MAX = 1024 /* dropped per answer */ };

/* What it takes to answer one. */
struct answer {
    struct committer_fetch *fetch;
    unsigned worker;
    struct durable *durable;
    struct durable_batch *batch;
    struct mesh *mesh;
    bool is_settled; /* all that was taken is on disk */
};

void committer_fetch_add(struct committer_fetches *fetches, const struct record_journal *ask)
{
    check(fetches->count < RECORD_FETCHES_MAX);
    fetches->list[fetches->count++] = (struct committer_fetch){.ask = *ask};
}

bool committer_fetch_is_inside(const struct committer_fetches *fetches)
{
    const struct committer_fetch *first = fetches->list;
    return fetches->count > 0 && first->sender.begun && !first->body_is_sent;
}

static int put_end(struct answer *a, bool is_all)
{
    const struct committer_fetch *f = a->fetch;
    const struct record_journal end = {
        .kind = RECORD_FETCH_END,
        .serial = f->ask.serial,
        .session = f->ask.session,
        .seq = f->ask.seq,
        .count = f->expired,
        .bytes = f->expired_bytes,
        .is_all = is_all,
    };
    return record_put_journal(a->mesh, a->worker, &end) ? 0 : -EAGAIN;
}

/* There is no more on disk. */
static int put_last(struct answer *a)
{
    bool has_some = a->fetch->sent > 0 || a->fetch->expired > 0;
    return a->is_settled || has_some ? put_end(a, a->is_settled) : -EINPROGRESS;
}

static void begin_body(struct committer_fetch *f, uint64_t seq)
{
    if (f->body_of == seq)
        return;
    f->body_of = seq;
    f->body_is_sent = false;
    f->sender = (struct record_sender){0};
}

static int put_delivery(struct answer *a, const struct durable_item *item)
{
    struct committer_fetch *f = a->fetch;
    struct record_journal record = item->journal;
    begin_body(f, record.seq);
    if (!f->body_is_sent && !record_put_message(a->mesh, a->worker, &item->message, &f->sender))
        return -EAGAIN;
    f->body_is_sent = true;
    record.serial = f->ask.serial;
    record.packet_id = 0;
    if (!record_put_journal(a->mesh, a->worker, &record))
        return -EAGAIN;
    f->sent++;
    f->sent_bytes += record.bytes;
    return 0;
}

static bool is_expired(const struct durable_item *item)
{
    return item->message.expiry_at_ms != 0 && item->message.expiry_at_ms <= clock_now_ms();
}

static bool is_full(const struct committer_fetch *f)
{
    return f->sent >= f->ask.count || f->sent_bytes >= RECORD_FETCH_BYTES;
}

/* 0: it is dealt with; 1: it is for the next page; or -errno. */
static int take(struct answer *a, const struct durable_item *item)
{
    struct committer_fetch *f = a->fetch;
    if (item->is_damaged || !item->has_message) {
        durable_batch_delete(a->batch, &item->key);
        a->durable->damaged += item->is_damaged;
    } else if (is_expired(item)) {
        durable_batch_delete(a->batch, &item->key);
        f->expired++;
        f->expired_bytes += item->journal.bytes;
    } else {
        int r = is_full(f) ? 1 : put_delivery(a, item);
        if (r != 0)
            return r;
    }
    f->ask.seq = durable_key_second(&item->key);
    return 0;
}

static int put_answer(struct answer *a)
{
    struct committer_fetch *f = a->fetch;
    struct durable_item item;
    int r = 0;
    while (r == 0 && f->expired < EXPIRED_MAX) {
        struct durable_key key = durable_key_pair(DURABLE_QUEUE, f->ask.session, f->ask.seq);
        r = durable_queue_next(a->durable, &key, &item);
        if (r == 0)
            r = take(a, &item);
    }
    if (r == -ENOENT)
        return put_last(a);
    return r < 0 ? r : put_end(a, false);
}

int committer_fetch_answer(struct committer_fetches *fetches, unsigned worker,
                           struct durable *durable, struct durable_batch *batch, struct mesh *mesh)
{
    struct answer a = {.fetch = fetches->list,
                       .worker = worker,
                       .durable = durable,
                       .batch = batch,
                       .mesh = mesh,
                       .is_settled = batch->count == 0};
    if (fetches->count == 0)
        return 0;
    int r = durable_env_begin_read(durable->env);
    if (r < 0)
        return r;
    while (fetches->count > 0 && (r = put_answer(&a)) == 0) {
        fetches->count--;
        memmove(a.fetch, a.fetch + 1, fetches->count * sizeof *a.fetch);
    }
    durable_env_abort(durable->env);
    return r;
}
