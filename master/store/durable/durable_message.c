#include "master/store/durable/durable_message.h"

#include "common/base/check.h"

enum {
    FLAG_RETAIN = 4, /* above two bits of QoS */
    FIXED_SIZE = 8 + 8 + 4 + 4 + 1 + 2 + 2 + 4
};

/* Its expiry has not begun: it is an interval and no deadline. */
static bool is_will(const struct record_message *message)
{
    return message->client_id.size > 0;
}

size_t durable_message_size(const struct record_message *message)
{
    return FIXED_SIZE + message->topic.size + message->client_id.size + message->properties.size +
           message->payload.size;
}

static void encode(const struct record_message *message, uint64_t expiry_at_ms, struct writer *w)
{
    writer_u64(w, message->message_id);
    writer_u64(w, expiry_at_ms);
    writer_u32(w, message->will_delay_s);
    writer_u32(w, message->session_expiry_s);
    writer_u8(w, (uint8_t)(message->qos | (message->retain ? FLAG_RETAIN : 0)));
    writer_bytes16(w, message->topic);
    writer_bytes16(w, message->client_id);
    writer_u32(w, (uint32_t)message->properties.size);
    writer_bytes(w, message->properties);
    writer_bytes(w, message->payload);
}

int durable_message_put(struct durable_env *env, const struct durable_clock *clock,
                        const struct durable_key *key, const struct record_message *message)
{
    size_t size = durable_message_size(message);
    uint8_t *memory;
    int r = durable_env_reserve(env, key, size, &memory);
    if (r != 0)
        return r;
    struct writer w = writer_of(memory, size);
    uint64_t expiry_at_ms = message->expiry_at_ms;
    if (!is_will(message))
        expiry_at_ms = durable_clock_to_disk(clock, expiry_at_ms);
    encode(message, expiry_at_ms, &w);
    check(!w.bad && writer_left(&w) == 0);
    durable_env_seal(env, key, memory, size);
    return 0;
}

bool durable_message_decode(const struct durable_clock *clock, struct bytes content,
                            struct record_message *ret_message)
{
    struct reader r = reader_of(content);
    *ret_message = (struct record_message){.purpose = RECORD_FOR_JOURNAL};
    ret_message->message_id = reader_u64(&r);
    ret_message->expiry_at_ms = reader_u64(&r);
    ret_message->will_delay_s = reader_u32(&r);
    ret_message->session_expiry_s = reader_u32(&r);
    uint8_t flags = reader_u8(&r);
    ret_message->qos = flags & 3;
    ret_message->retain = (flags & FLAG_RETAIN) != 0;
    ret_message->topic = reader_bytes16(&r);
    ret_message->client_id = reader_bytes16(&r);
    ret_message->properties = reader_bytes(&r, reader_u32(&r));
    ret_message->payload = reader_bytes(&r, reader_left(&r));
    if (!is_will(ret_message))
        ret_message->expiry_at_ms = durable_clock_from_disk(clock, ret_message->expiry_at_ms);
    return !r.bad && ret_message->topic.size > 0 && ret_message->qos <= 2 &&
           (flags & ~(3 | FLAG_RETAIN)) == 0;
}
