#include "master/store/durable/durable_apply.h"

#include "common/base/check.h"
#include "master/store/durable/durable_body.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_queue.h"
#include "master/store/durable/durable_row.h"
#include "master/store/durable/durable_unsure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_OVERHEAD = 128,   /* bytes of a small row with its key, generously */
    ENDED_ROWS_MAX = 1024 /* of ended sessions that go in one transaction: it must not last */
};

/* One transaction in the making. */
struct apply {
    struct durable *durable;
    struct durable_batch *batch;
    int64_t sessions; /* how many more there will be */
    int64_t deliveries;
    int64_t bytes;      /* of their messages */
    unsigned rows_left; /* of ENDED_ROWS_MAX */
    bool has_ended;
};

/* A delete that finds nothing is as good. */
static int delete_row(struct apply *a, const struct durable_key *key)
{
    int r = durable_env_delete(a->durable->env, key);
    return r == -ENOENT ? 0 : r;
}

/* Room for a change that grows, which is refused without it. 0 with room; -ENOSPC. */
static int take_room(struct apply *a, struct durable_change *change, size_t size)
{
    int r = durable_env_room(a->durable->env, size + ROW_OVERHEAD);
    if (r < 0)
        change->error = r;
    return r;
}

static int put_row(struct apply *a, struct durable_change *change)
{
    const struct record_journal *journal = &change->journal;
    bool is_new = !durable_env_has(a->durable->env, &change->key);
    if (is_new && take_room(a, change, journal->name.size + journal->ids.size) < 0)
        return 0;
    return durable_row_put(a->durable->env, &a->durable->clock, &change->key, journal);
}

/* -- deliveries -- */

/* The delivery of a row. 0, -ENOENT (or damaged), or -errno. */
static int get_delivery(struct apply *a, const struct durable_key *key,
                        struct record_journal *ret_journal)
{
    struct bytes content;
    int r = durable_env_get(a->durable->env, key, &content);
    if (r == 0 && !durable_row_decode(&a->durable->clock, key, content, ret_journal))
        r = -EBADMSG;
    return r == -EBADMSG ? -ENOENT : r;
}

/* The delivery does not need its body any more. */
static int leave_body(struct apply *a, const struct record_journal *old)
{
    if (old->message_id == 0)
        return 0;
    int r = durable_body_leave(a->durable, a->batch, old->message_id);
    if (r == 0 && old->qos == DURABLE_UNSURE_QOS)
        r = durable_unsure_had(a->durable, old->message_id, old->session);
    return r;
}

static int delete_delivery(struct apply *a, const struct durable_key *key)
{
    struct record_journal old = {0};
    int r = get_delivery(a, key, &old);
    if (r == 0)
        r = leave_body(a, &old);
    if (r < 0 && r != -ENOENT)
        return r;
    r = durable_env_delete(a->durable->env, key);
    if (r == 0) {
        a->deliveries--;
        a->bytes -= (int64_t)old.bytes;
    }
    return r == -ENOENT ? 0 : r;
}

/* The old row is read before the new one is written: what it lends is copied. */
static int update_delivery(struct apply *a, struct durable_change *change)
{
    struct record_journal row;
    int r = get_delivery(a, &change->key, &row);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (change->journal.packet_id != 0)
        row.packet_id = change->journal.packet_id;
    if (change->journal.released) {
        r = leave_body(a, &row);
        a->bytes -= (int64_t)row.bytes;
        row.bytes = 0;
        row.message_id = 0;
        row.released = true;
    }
    uint8_t *ids = malloc(row.ids.size + 1);
    if (ids == NULL)
        return -ENOMEM;
    memcpy(ids, row.ids.data, row.ids.size);
    row.ids.data = ids;
    if (r == 0)
        r = durable_row_put(a->durable->env, &a->durable->clock, &change->key, &row);
    free(ids);
    return r;
}

static int put_delivery(struct apply *a, struct durable_change *change)
{
    struct record_journal old = {0};
    uint64_t message_id = change->journal.message_id;
    int found = get_delivery(a, &change->key, &old);
    if (found < 0 && found != -ENOENT)
        return found;
    if (change->journal.repeat && found == -ENOENT &&
        durable_queue_has(a->durable, change->journal.session, message_id)) {
        change->error = -EEXIST;
        return 0;
    }
    if (take_room(a, change, change->journal.ids.size) < 0)
        return 0;
    if (old.message_id != message_id) {
        int r = message_id == 0 ? 0 : durable_body_use(a->durable, a->batch, message_id);
        if (r == -ENOENT || r == -ENOSPC) {
            change->error = r;
            return 0;
        }
        if (r == 0)
            r = leave_body(a, &old);
        if (r < 0)
            return r;
    }
    a->deliveries += found == -ENOENT;
    a->bytes += (int64_t)change->journal.bytes - (int64_t)old.bytes;
    /* Others of a shared group must know of it, though it waits where no worker looks. */
    if (change->journal.shared && change->journal.qos == DURABLE_UNSURE_QOS) {
        int r = durable_unsure_had(a->durable, message_id, change->journal.session);
        if (r < 0)
            return r;
    }
    return durable_row_put(a->durable->env, &a->durable->clock, &change->key, &change->journal);
}

static int apply_delivery(struct apply *a, struct durable_change *change)
{
    switch (change->action) {
    case DURABLE_PUT:
        return put_delivery(a, change);
    case DURABLE_UPDATE:
        return update_delivery(a, change);
    case DURABLE_DELETE:
        return delete_delivery(a, &change->key);
    }
    unreachable();
}

/* -- QoS 2 ids from clients -- */

/* The message that may come once more under this id; 0: none. */
static uint64_t unsure_of(struct apply *a, const struct durable_key *key)
{
    struct record_journal old;
    struct bytes content;
    bool is_there = durable_env_get(a->durable->env, key, &content) == 0 &&
                    durable_row_decode(&a->durable->clock, key, content, &old);
    return is_there ? old.message_id : 0;
}

static int delete_received(struct apply *a, const struct durable_key *key)
{
    uint64_t unsure = unsure_of(a, key);
    int r = unsure == 0 ? 0 : durable_unsure_end(a->durable, unsure);
    return r < 0 ? r : delete_row(a, key);
}

static int put_received(struct apply *a, struct durable_change *change)
{
    uint64_t old = unsure_of(a, &change->key);
    uint64_t unsure = change->journal.message_id;
    if (take_room(a, change, ROW_OVERHEAD) < 0)
        return 0;
    int r = old == 0 || old == unsure ? 0 : durable_unsure_end(a->durable, old);
    if (r == 0 && unsure != 0 && unsure != old)
        r = durable_unsure_begin(a->durable, unsure);
    return r < 0 ? r
                 : durable_row_put(a->durable->env, &a->durable->clock, &change->key,
                                   &change->journal);
}

/* -- sessions -- */

/* Rows of one kind that a session has, as long as any are left to be deleted now. */
static int delete_rows(struct apply *a, enum durable_kind kind, uint64_t session)
{
    struct durable_key key = durable_key_number(kind, session);
    struct bytes content;
    int r = 0;
    while (r == 0 && a->rows_left > 0) {
        r = durable_env_next(a->durable->env, &key, DURABLE_NUMBER_PREFIX, &content);
        if (r == -EBADMSG)
            r = 0;
        if (r == 0)
            r = kind == DURABLE_QUEUE      ? delete_delivery(a, &key)
                : kind == DURABLE_RECEIVED ? delete_received(a, &key)
                                           : delete_row(a, &key);
        a->rows_left--;
    }
    return r == -ENOENT ? 0 : r;
}

static int delete_all_rows(struct apply *a, uint64_t session)
{
    int r = delete_rows(a, DURABLE_SUBSCRIPTION, session);
    if (r == 0)
        r = delete_rows(a, DURABLE_RECEIVED, session);
    return r == 0 ? delete_rows(a, DURABLE_QUEUE, session) : r;
}

/* What is too much for this transaction is left to later ones. */
static int end_session(struct apply *a, const struct durable_change *change)
{
    uint64_t session = durable_key_first(&change->key);
    struct durable_key ended = durable_key_number(DURABLE_ENDED, session);
    int r = durable_env_delete(a->durable->env, &change->key);
    if (r == 0)
        a->sessions--;
    if (r == 0 || r == -ENOENT)
        r = delete_all_rows(a, session);
    if (r < 0 || a->rows_left > 0)
        return r;
    a->has_ended = true;
    return durable_env_put(a->durable->env, &ended, (struct bytes){NULL, 0});
}

/* Goes on with sessions that ended before. */
static int end_more(struct apply *a)
{
    struct bytes content;
    int r = 0;
    while (r == 0 && a->has_ended && a->rows_left > 0) {
        struct durable_key key = durable_key_of(DURABLE_ENDED);
        r = durable_env_next(a->durable->env, &key, DURABLE_KIND_PREFIX, &content);
        if (r == -ENOENT) {
            a->has_ended = false;
            return 0;
        }
        if (r == 0 || r == -EBADMSG)
            r = delete_all_rows(a, durable_key_first(&key));
        if (r == 0 && a->rows_left > 0)
            r = delete_row(a, &key);
    }
    return r;
}

static int apply_session(struct apply *a, struct durable_change *change)
{
    if (change->action == DURABLE_DELETE)
        return end_session(a, change);
    bool is_new = !durable_env_has(a->durable->env, &change->key);
    int r = put_row(a, change);
    if (r == 0 && is_new && change->error == 0)
        a->sessions++;
    return r;
}

/* Does the change belong to a session that ends in this batch? */
static bool is_void(const struct apply *a, const struct durable_change *change)
{
    struct durable_key key = durable_key_number(DURABLE_SESSION, durable_key_first(&change->key));
    const struct durable_change *session = durable_batch_find(a->batch, &key);
    return session != NULL && session->action == DURABLE_DELETE;
}

/* -- all -- */

/* A will may be published once more, under the id after its own, as long as it is kept. */
static int note_will(struct apply *a, const struct durable_change *change)
{
    uint64_t id = durable_key_first(&change->key) + 1;
    bool is_there = durable_env_has(a->durable->env, &change->key);
    if (change->action == DURABLE_DELETE)
        return is_there ? durable_unsure_end(a->durable, id) : 0;
    return is_there ? 0 : durable_unsure_begin(a->durable, id);
}

static int apply_message(struct apply *a, struct durable_change *change)
{
    bool is_delete = change->action == DURABLE_DELETE;
    if (!is_delete && take_room(a, change, durable_message_size(&change->body->message)) < 0)
        return 0;
    int r = durable_key_kind(&change->key) == DURABLE_WILL ? note_will(a, change) : 0;
    if (r < 0)
        return r;
    return is_delete ? delete_row(a, &change->key)
                     : durable_message_put(a->durable->env, &a->durable->clock, &change->key,
                                           &change->body->message);
}

static int apply_change(struct apply *a, struct durable_change *change)
{
    enum durable_kind kind = durable_key_kind(&change->key);
    change->error = 0;
    if (kind == DURABLE_SESSION)
        return apply_session(a, change);
    if (kind == DURABLE_RETAINED || kind == DURABLE_WILL)
        return apply_message(a, change);
    if (is_void(a, change))
        return 0;
    if (kind == DURABLE_QUEUE)
        return apply_delivery(a, change);
    if (kind == DURABLE_RECEIVED && change->action == DURABLE_DELETE)
        return delete_received(a, &change->key);
    if (kind == DURABLE_RECEIVED)
        return put_received(a, change);
    return change->action == DURABLE_DELETE ? delete_row(a, &change->key) : put_row(a, change);
}

static int put_totals(const struct apply *a)
{
    struct durable_key key = durable_key_of(DURABLE_TOTALS);
    uint8_t memory[24];
    struct writer w = writer_of(memory, sizeof memory);
    writer_u64(&w, a->durable->sessions + (uint64_t)a->sessions);
    writer_u64(&w, a->durable->deliveries + (uint64_t)a->deliveries);
    writer_u64(&w, a->durable->bytes + (uint64_t)a->bytes);
    return durable_env_put(a->durable->env, &key, (struct bytes){memory, sizeof memory});
}

/* A successor of ours must take once more, and refuse, what is refused now: it may be all
 * that tells its worker. */
static void stop_before(uint64_t *serials, unsigned worker_count, unsigned worker, uint64_t serial)
{
    if (worker < worker_count && serials[worker] >= serial)
        serials[worker] = serial - 1;
}

static void stop_before_refused(const struct durable_batch *batch, uint64_t *serials,
                                unsigned worker_count)
{
    list_for_each(node, &batch->changes) {
        const struct durable_change *change = list_owner(node, struct durable_change, node);
        if (change->error == 0 || change->journal.serial == 0)
            continue;
        stop_before(serials, worker_count, change->worker, change->journal.serial);
        for (const struct durable_superseded *s = change->superseded; s != NULL; s = s->next)
            stop_before(serials, worker_count, s->worker, s->serial);
    }
}

static int put_serials(struct apply *a, const uint64_t *serials, unsigned worker_count)
{
    int r = 0;
    for (unsigned i = 0; i < worker_count && r == 0; i++) {
        struct durable_key key = durable_key_number(DURABLE_SERIAL, i);
        uint64_t old;
        r = durable_row_get_number(a->durable->env, &key, &old);
        if (r == 0 && old != serials[i])
            r = durable_row_put_number(a->durable->env, &key, serials[i]);
    }
    if (r == 0)
        r = put_totals(a);
    return r == 0 ? durable_clock_note(&a->durable->clock, a->durable->env) : r;
}

static int apply_those(struct apply *a, bool are_received)
{
    int r = 0;
    list_for_each(node, &a->batch->changes) {
        struct durable_change *change = list_owner(node, struct durable_change, node);
        if (r == 0 && (durable_key_kind(&change->key) == DURABLE_RECEIVED) == are_received)
            r = apply_change(a, change);
    }
    return r;
}

static int fill(struct apply *a, uint64_t *serials, unsigned worker_count)
{
    /* QoS 2 ids first: what of theirs is unsure must be known when deliveries end. */
    int r = apply_those(a, true);
    if (r == 0)
        r = apply_those(a, false);
    if (r == 0)
        r = end_more(a);
    if (r == 0)
        r = durable_body_write(a->durable, a->batch);
    stop_before_refused(a->batch, serials, worker_count);
    if (r == 0 && durable_env_is_changed(a->durable->env))
        r = put_serials(a, serials, worker_count);
    return r;
}

int durable_apply(struct durable *durable, struct durable_batch *batch, uint64_t *serials,
                  unsigned worker_count)
{
    struct apply a = {
        .durable = durable,
        .batch = batch,
        .rows_left = ENDED_ROWS_MAX,
        .has_ended = durable->has_ended,
    };
    if (batch->count == 0 && !a.has_ended)
        return 0;
    int r = durable_env_begin(durable->env);
    if (r < 0)
        return r;
    r = fill(&a, serials, worker_count);
    durable_body_forget(batch);
    if (r < 0) {
        durable_env_abort(durable->env);
        return r;
    }
    r = durable_env_commit(durable->env);
    if (r < 0)
        return r;
    durable->has_ended = a.has_ended;
    durable->sessions += (uint64_t)a.sessions;
    durable->deliveries += (uint64_t)a.deliveries;
    durable->bytes += (uint64_t)a.bytes;
    return 0;
}
