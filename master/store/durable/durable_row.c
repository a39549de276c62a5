#include "master/store/durable/durable_row.h"

#include "common/base/check.h"

#include <errno.h>
#include <string.h>

enum {
    FLAG_RETAIN = 1,
    FLAG_RELEASED = 2,
    FLAG_UNSURE = 4,
    FLAG_SHARED = 8,
    FLAG_CONNECTED = 1,
    FLAG_LEAVING = 2,
    FIXED_MAX = 32 /* bytes of a content before its name or ids */
};

static void encode(const struct durable_clock *clock, enum durable_kind kind,
                   const struct record_journal *j, struct writer *w)
{
    if (kind == DURABLE_SESSION) {
        writer_u64(w, durable_clock_to_disk(clock, j->end_at_ms));
        writer_u64(w, j->seq);
        writer_u32(w, j->expiry_s);
        writer_u8(w, j->version);
        writer_u8(w,
                  (uint8_t)((j->connected ? FLAG_CONNECTED : 0) | (j->leaving ? FLAG_LEAVING : 0)));
        writer_bytes(w, j->name);
    } else if (kind == DURABLE_SUBSCRIPTION) {
        writer_u32(w, j->subscription_id);
        writer_u8(w, j->options);
        writer_bytes(w, j->name);
    } else if (kind == DURABLE_QUEUE) {
        writer_u64(w, j->message_id);
        writer_u32(w, (uint32_t)j->bytes);
        writer_u16(w, j->packet_id);
        writer_u8(w, j->qos);
        writer_u8(w, (uint8_t)((j->retain ? FLAG_RETAIN : 0) | (j->released ? FLAG_RELEASED : 0) |
                               (j->shared ? FLAG_SHARED : 0)));
        if (j->shared)
            writer_bytes(w, (struct bytes){j->share.bytes, sizeof(j->share.bytes)});
        writer_bytes(w, j->ids);
    } else {
        check(kind == DURABLE_RECEIVED);
        writer_u64(w, j->message_id);
        writer_u8(w, j->unsure ? FLAG_UNSURE : 0);
    }
}

int durable_row_put(struct durable_env *env, const struct durable_clock *clock,
                    const struct durable_key *key, const struct record_journal *journal)
{
    uint8_t fixed[FIXED_MAX];
    struct record_journal head = *journal;
    struct writer w = writer_of(fixed, sizeof fixed);
    struct bytes tail = durable_key_kind(key) == DURABLE_QUEUE ? journal->ids : journal->name;
    uint8_t *memory;
    head.name.size = 0;
    head.ids.size = 0;
    encode(clock, durable_key_kind(key), &head, &w);
    check(!w.bad);
    size_t size = sizeof fixed - writer_left(&w);
    int r = durable_env_reserve(env, key, size + tail.size, &memory);
    if (r != 0)
        return r;
    w = writer_of(memory, size + tail.size);
    writer_bytes(&w, (struct bytes){fixed, size});
    writer_bytes(&w, tail);
    durable_env_seal(env, key, memory, size + tail.size);
    return 0;
}

static void decode_session(const struct durable_clock *clock, struct reader *r,
                           struct record_journal *j)
{
    j->kind = RECORD_SESSION;
    j->end_at_ms = durable_clock_from_disk(clock, reader_u64(r));
    j->seq = reader_u64(r);
    j->expiry_s = reader_u32(r);
    j->version = reader_u8(r);
    uint8_t flags = reader_u8(r);
    j->connected = (flags & FLAG_CONNECTED) != 0;
    j->leaving = (flags & FLAG_LEAVING) != 0;
    j->name = reader_bytes(r, reader_left(r));
    if (j->version < 3 || j->version > 5 || j->name.size == 0)
        r->bad = true;
}

static void decode_subscription(struct reader *r, struct record_journal *j)
{
    j->kind = RECORD_SUBSCRIBE;
    j->subscription_id = reader_u32(r);
    j->options = reader_u8(r);
    j->name = reader_bytes(r, reader_left(r));
    if (j->options > 0x3F || j->name.size == 0)
        r->bad = true;
}

static void decode_queued(struct reader *r, const struct durable_key *key, struct record_journal *j)
{
    j->kind = RECORD_ENQUEUE;
    j->seq = durable_key_second(key);
    j->message_id = reader_u64(r);
    j->bytes = reader_u32(r);
    j->packet_id = reader_u16(r);
    j->qos = reader_u8(r);
    uint8_t flags = reader_u8(r);
    j->retain = (flags & FLAG_RETAIN) != 0;
    j->released = (flags & FLAG_RELEASED) != 0;
    j->shared = (flags & FLAG_SHARED) != 0;
    struct bytes share = reader_bytes(r, j->shared ? sizeof(j->share.bytes) : 0);
    if (share.size > 0)
        memcpy(j->share.bytes, share.data, share.size);
    j->ids = reader_bytes(r, reader_left(r));
    if (j->qos > 2 || j->ids.size % sizeof(uint32_t) != 0)
        r->bad = true;
}

bool durable_row_decode(const struct durable_clock *clock, const struct durable_key *key,
                        struct bytes content, struct record_journal *ret_journal)
{
    enum durable_kind kind = durable_key_kind(key);
    struct reader r = reader_of(content);
    *ret_journal = (struct record_journal){.session = durable_key_first(key)};
    if (kind == DURABLE_SESSION) {
        decode_session(clock, &r, ret_journal);
    } else if (kind == DURABLE_SUBSCRIPTION) {
        decode_subscription(&r, ret_journal);
    } else if (kind == DURABLE_QUEUE) {
        decode_queued(&r, key, ret_journal);
    } else {
        check(kind == DURABLE_RECEIVED);
        ret_journal->kind = RECORD_RECEIVED;
        ret_journal->packet_id = (uint16_t)durable_key_second(key);
        ret_journal->message_id = reader_u64(&r);
        /* Earlier versions had no flags here. */
        ret_journal->unsure = reader_left(&r) > 0 && (reader_u8(&r) & FLAG_UNSURE) != 0;
        if (ret_journal->packet_id == 0)
            r.bad = true;
    }
    return !r.bad && ret_journal->session != 0;
}

int durable_row_put_number(struct durable_env *env, const struct durable_key *key, uint64_t number)
{
    uint8_t memory[8];
    struct writer w = writer_of(memory, sizeof memory);
    writer_u64(&w, number);
    return durable_env_put(env, key, (struct bytes){memory, sizeof memory});
}

int durable_row_get_number(struct durable_env *env, const struct durable_key *key,
                           uint64_t *ret_number)
{
    struct bytes content;
    int r = durable_env_get(env, key, &content);
    *ret_number = 0;
    if (r == -ENOENT || r == -EBADMSG)
        return 0;
    if (r < 0)
        return r;
    struct reader reader = reader_of(content);
    *ret_number = reader_u64(&reader);
    return 0;
}
