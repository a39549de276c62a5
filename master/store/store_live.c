#include "master/store/store_live.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "master/store/store_will.h"
#include "shm/generation.h"
#include "shm/live/retain.h"
#include "shm/live/serial_store.h"
#include "shm/live/trie.h"
#include "shm/live/will_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPIRE_MAX = 256,        /* messages per transaction */
    CLEAR_MAX = 4096,        /* nodes of the trie per transaction */
    EXPIRE_RETRY_MS = 10000, /* after an error */
    PROBES_MAX = 1 << 20
};

/* A transaction's effect on the counters, added once it is committed. */
struct change {
    struct retain_delta retained;
    int sys_messages;
    uint64_t next_expiry_ms;
};

/* -- the records, inside a transaction: 0 or -errno each -- */

static int apply_filter(struct store_live *store, struct store_op *op)
{
    const struct record_filter *filter = &op->as.filter;
    return trie_set(store->live, filter->filter, op->worker, filter->any, filter->persistent,
                    &op->changed);
}

static int apply_group(struct store_live *store, struct store_op *op)
{
    const struct record_group *group = &op->as.group;
    struct trie_weight weight = {group->online, group->offline};
    return trie_set_group(store->live, group->filter, &group->id, op->worker, weight, &op->changed);
}

static bool is_sys(struct bytes topic)
{
    static const char prefix[] = "$SYS/";
    return topic.size > strlen(prefix) && memcmp(topic.data, prefix, strlen(prefix)) == 0;
}

/* Is there room for this topic under max_retained_messages? $SYS does not count:
 * its topics are the broker's own, and few. */
static int admit_retained(struct store_live *store, struct bytes topic, const struct change *change)
{
    struct retained old;
    int64_t count = (int64_t)stats_get(store->stats, STAT_retained_messages) +
                    change->retained.messages - store->sys_messages - change->sys_messages;
    if (count < store->retained_max || is_sys(topic))
        return 0;
    int r = retain_get(store->live, topic, &old);
    return r == -ENOENT ? -EDQUOT : r;
}

static void add_delta(struct retain_delta *sum, struct retain_delta delta)
{
    sum->messages += delta.messages;
    sum->bytes += delta.bytes;
}

static int set_retained(struct store_live *store, const struct record_message *message,
                        struct change *change)
{
    struct retain_delta delta = {0};
    const struct retained retained = {
        .topic = message->topic,
        .properties = message->properties,
        .payload = message->payload,
        .message_id = message->message_id,
        .expiry_at_ms = message->expiry_at_ms,
        .qos = message->qos,
    };
    int r = admit_retained(store, message->topic, change);
    if (r == 0)
        r = retain_set(store->live, &retained, &delta);
    if (r < 0)
        return r;
    add_delta(&change->retained, delta);
    if (is_sys(retained.topic))
        change->sys_messages += delta.messages;
    if (retained.expiry_at_ms != 0 && retained.expiry_at_ms < change->next_expiry_ms)
        change->next_expiry_ms = retained.expiry_at_ms;
    return 0;
}

static int apply_retain(struct store_live *store, struct store_op *op, struct change *change)
{
    struct retain_delta delta = {0};
    if (op->as.message.payload.size > 0)
        return set_retained(store, &op->as.message, change);
    int r = retain_clear(store->live, op->as.message.topic, &delta);
    if (r == 0)
        add_delta(&change->retained, delta);
    return r;
}

static int apply_will(struct store_live *store, struct store_op *op)
{
    const struct record_message *will = &op->as.message;
    size_t size = store_will_size(will);
    uint8_t *memory = malloc(size);
    if (memory == NULL)
        return -ENOMEM;
    store_will_encode(will, memory);
    struct hash128 client = hash_long(region_key(store->region), will->client_id);
    int r = will_store_set(store->live, op->worker, &client, (struct bytes){memory, size});
    free(memory);
    return r;
}

static int apply_will_clear(struct store_live *store, struct store_op *op)
{
    struct hash128 client = hash_long(region_key(store->region), op->as.client_id);
    return will_store_clear(store->live, op->worker, &client);
}

static int apply(struct store_live *store, struct store_op *op, struct change *change)
{
    op->changed = false;
    switch (op->kind) {
    case STORE_OP_RESET:
        break; /* store_live_clear_worker() */
    case STORE_OP_FILTER:
        return apply_filter(store, op);
    case STORE_OP_GROUP:
        return apply_group(store, op);
    case STORE_OP_RETAIN:
        return apply_retain(store, op, change);
    case STORE_OP_WILL:
        return apply_will(store, op);
    case STORE_OP_WILL_CLEAR:
        return apply_will_clear(store, op);
    }
    unreachable();
}

/* -- commits -- */

static void add_gauge(struct stats stats, enum stat_id stat, int64_t change)
{
    stats_add(stats, stat, (uint64_t)change);
}

static void count_change(struct store_live *store, const struct change *change)
{
    add_gauge(store->stats, STAT_retained_messages, change->retained.messages);
    add_gauge(store->stats, STAT_retained_bytes, change->retained.bytes);
    store->sys_messages += change->sys_messages;
    store->next_expiry_ms = change->next_expiry_ms;
}

/* Of each worker the last serial in the batch. */
static int put_serials(struct store_live *store, const struct store_op *ops, unsigned count)
{
    uint64_t seen = 0; /* bit per worker */
    int r = 0;
    for (unsigned i = count; i-- > 0 && r == 0;) {
        uint64_t bit = UINT64_C(1) << ops[i].worker;
        if (ops[i].serial == 0 || (seen & bit) != 0)
            continue;
        seen |= bit;
        r = serial_store_set(store->live, ops[i].worker, ops[i].serial);
    }
    return r;
}

static void begin(struct store_live *store)
{
    int r = live_begin(store->live);
    if (r < 0)
        fatal("the live store can't begin a transaction: %s", strerror(-r));
}

/* Ends a transaction whose last step returned `r`. 0 or -errno. */
static int end(struct store_live *store, int r)
{
    if (r == 0)
        return live_commit(store->live);
    live_abort(store->live);
    return r;
}

/* One transaction for all. 0 or -errno, and then nothing has happened. */
static int commit(struct store_live *store, struct store_op *ops, unsigned count, bool keep_serials)
{
    struct change change = {.next_expiry_ms = store->next_expiry_ms};
    int r = 0;
    begin(store);
    for (unsigned i = 0; i < count && r == 0; i++)
        r = apply(store, &ops[i], &change);
    if (r == 0 && keep_serials)
        r = put_serials(store, ops, count);
    kill_point("live-write");
    r = end(store, r);
    kill_point("live-written");
    if (r == 0)
        count_change(store, &change);
    return r;
}

/* After the commit [DESIGN 4, order 2]: who reads the new number finds the data. */
static void raise_generations(struct store_live *store, const struct store_op *ops, unsigned count)
{
    generation_raise_live(store->region);
    for (unsigned i = 0; i < count; i++) {
        if (!ops[i].changed)
            continue;
        bool is_filter = ops[i].kind == STORE_OP_FILTER;
        generation_raise_filter(store->region,
                                is_filter ? ops[i].as.filter.filter : ops[i].as.group.filter);
    }
}

static void apply_one(struct store_live *store, struct store_op *op)
{
    int r = commit(store, op, 1, false);
    if (r < 0) {
        op->changed = false;
        store->on_refused(op, r, store->context);
    }
}

bool store_live_apply(struct store_live *store, struct store_op *ops, unsigned count,
                      bool keep_serials)
{
    if (count == 0)
        return true;
    bool done = commit(store, ops, count, keep_serials) == 0;
    for (unsigned i = 0; i < count && !done; i++)
        apply_one(store, &ops[i]);
    raise_generations(store, ops, count);
    kill_point("live-raised");
    return done && keep_serials;
}

/* Clears a part of the trie. 0, -EAGAIN when there is more, or another -errno. */
static int clear_some(struct store_live *store, struct trie_clear *clear, bool *ret_changed)
{
    begin(store);
    int r = trie_clear_step(store->live, clear, CLEAR_MAX, ret_changed);
    int committed = end(store, r == -EAGAIN ? 0 : r);
    return committed < 0 ? committed : r;
}

int store_live_clear_worker(struct store_live *store, unsigned worker, bool keep_persistent)
{
    bool changed = false;
    struct trie_clear *clear = trie_clear_new(worker);
    if (clear != NULL && keep_persistent)
        trie_clear_keep_persistent(clear);
    int r = clear == NULL ? -ENOMEM : -EAGAIN;
    while (r == -EAGAIN) {
        bool changed_now = false;
        r = clear_some(store, clear, &changed_now);
        changed = changed || changed_now;
    }
    trie_clear_free(clear);
    if (changed) {
        generation_raise_live(store->region);
        generation_raise_all(store->region);
    }
    return r;
}

int store_live_keep_serial(struct store_live *store, unsigned worker, uint64_t serial)
{
    begin(store);
    return end(store, serial_store_set(store->live, worker, serial));
}

int store_live_read_serial(struct store_live *store, unsigned worker, uint64_t *ret_serial)
{
    begin(store);
    int r = serial_store_get(store->live, worker, ret_serial);
    live_abort(store->live);
    return r;
}

/* -- retained messages -- */

int store_live_expire(struct store_live *store, uint64_t now_ms)
{
    struct change change = {0};
    begin(store);
    int r = end(store, retain_expire(store->live, now_ms, EXPIRE_MAX, &change.retained,
                                     &change.next_expiry_ms));
    if (r < 0) {
        store->next_expiry_ms = now_ms + EXPIRE_RETRY_MS;
        return r;
    }
    count_change(store, &change);
    if (change.retained.messages != 0)
        generation_raise_live(store->region);
    return 0;
}

/* Adds up what lies under a filter. */
static int count_retained(struct store_live *store, const char *filter, struct retain_delta *sum)
{
    struct retained found;
    struct retain_walk *walk = retain_walk_new(bytes_of(filter));
    int r;
    if (walk == NULL)
        return -ENOMEM;
    while ((r = retain_walk_next(store->live, walk, PROBES_MAX, &found)) == 0 || r == -EAGAIN)
        if (r == 0)
            add_delta(sum, (struct retain_delta){1, (int64_t)found.payload.size});
    retain_walk_free(walk);
    return r == -ENOENT ? 0 : r;
}

/* The counters of a predecessor went with it; the data did not. */
static int start_counters(struct store_live *store)
{
    struct change change = {.next_expiry_ms = 0}; /* the first call to expire finds out */
    begin(store);
    struct retain_delta sys = {0};
    int r = count_retained(store, "#", &change.retained);
    if (r == 0)
        r = count_retained(store, "$SYS/#", &sys); /* "#" leaves it out */
    add_delta(&change.retained, sys);
    change.sys_messages = sys.messages;
    live_abort(store->live);
    stats_set(store->stats, STAT_retained_messages, 0);
    stats_set(store->stats, STAT_retained_bytes, 0);
    count_change(store, &change);
    return r;
}

int store_live_open(struct store_live *ret_store, const struct region *region, unsigned slot,
                    const char *folder, uint64_t size_max)
{
    *ret_store = (struct store_live){
        .region = region,
        .stats = stats_of(region, slot),
        .retained_max = UINT32_MAX,
    };
    if (size_max > SIZE_MAX)
        size_max = SIZE_MAX;
    int r = live_open_writer(&ret_store->live, folder, (size_t)size_max);
    if (r < 0)
        return r;
    live_reap_readers(ret_store->live);
    r = start_counters(ret_store);
    if (r < 0)
        store_live_close(ret_store);
    return r;
}

void store_live_close(struct store_live *store)
{
    live_close(store->live);
    store->live = NULL;
}
