#include "shm/live/retain_message.h"

#include "common/base/check.h"
#include "shm/live/live_internal.h"
#include "shm/live/trie_key.h"

#include <errno.h>
#include <string.h>

/* The record begins with this; topic, properties and payload follow. */
struct head {
    uint64_t message_id;
    uint64_t expiry_at_ms;
    uint32_t topic_size;
    uint32_t properties_size;
    uint32_t qos;
    uint32_t reserved;
};

size_t retain_message_size(const struct retained *message)
{
    return sizeof(struct head) + message->topic.size + message->properties.size +
           message->payload.size;
}

int retain_message_get(struct live *live, uint64_t node, struct retained *ret_message)
{
    struct trie_key key;
    trie_key_node(&key, LIVE_MESSAGE, node);
    struct bytes value;
    int r = live_get(live, trie_key_bytes(&key), &value);
    if (r != 0)
        return r;
    struct reader reader = reader_of(value);
    struct bytes start = reader_bytes(&reader, sizeof(struct head));
    if (reader.bad)
        return -EBADMSG;
    struct head head;
    memcpy(&head, start.data, sizeof head);
    struct retained message = {
        .message_id = head.message_id,
        .expiry_at_ms = head.expiry_at_ms,
        .qos = (uint8_t)head.qos,
    };
    message.topic = reader_bytes(&reader, head.topic_size);
    message.properties = reader_bytes(&reader, head.properties_size);
    message.payload = reader_bytes(&reader, reader_left(&reader));
    if (reader.bad)
        return -EBADMSG;
    *ret_message = message;
    return 0;
}

/* Takes a message out of the index. */
static int unlist(struct live *live, uint64_t node, const struct retained *message)
{
    if (message->expiry_at_ms == 0)
        return 0;
    struct trie_key key;
    trie_key_expiry(&key, message->expiry_at_ms, node);
    return live_delete(live, trie_key_bytes(&key));
}

static int list(struct live *live, uint64_t node, const struct retained *message)
{
    if (message->expiry_at_ms == 0)
        return 0;
    struct trie_key key;
    trie_key_expiry(&key, message->expiry_at_ms, node);
    return live_put(live, trie_key_bytes(&key), (struct bytes){NULL, 0});
}

static void fill(uint8_t *memory, size_t size, const struct retained *message)
{
    struct head head = {
        .message_id = message->message_id,
        .expiry_at_ms = message->expiry_at_ms,
        .topic_size = (uint32_t)message->topic.size,
        .properties_size = (uint32_t)message->properties.size,
        .qos = message->qos,
    };
    struct writer writer = writer_of(memory, size);
    writer_bytes(&writer, (struct bytes){(const uint8_t *)&head, sizeof head});
    writer_bytes(&writer, message->topic);
    writer_bytes(&writer, message->properties);
    writer_bytes(&writer, message->payload);
    check(!writer.bad);
}

int retain_message_put(struct live *live, uint64_t node, const struct retained *message,
                       const struct retained *old)
{
    int r = old != NULL ? unlist(live, node, old) : 0;
    if (r != 0)
        return r;
    struct trie_key key;
    trie_key_node(&key, LIVE_MESSAGE, node);
    size_t size = retain_message_size(message);
    uint8_t *memory;
    r = live_reserve(live, trie_key_bytes(&key), size, &memory);
    if (r != 0)
        return r;
    fill(memory, size, message);
    return list(live, node, message);
}

int retain_message_delete(struct live *live, uint64_t node, const struct retained *old)
{
    int r = unlist(live, node, old);
    if (r != 0)
        return r;
    struct trie_key key;
    trie_key_node(&key, LIVE_MESSAGE, node);
    return live_delete(live, trie_key_bytes(&key));
}

int retain_message_first(struct live *live, uint64_t *ret_at_ms, uint64_t *ret_node)
{
    struct trie_key from;
    trie_key_expiry(&from, 0, 0);
    struct bytes key;
    struct bytes value;
    int r = live_seek(live, trie_key_bytes(&from), &key, &value);
    if (r != 0)
        return r;
    if (!trie_key_begins(key, &from, 1))
        return -ENOENT;
    struct reader reader = reader_of(bytes_from(key, 1));
    uint64_t at_ms = reader_u64(&reader);
    uint64_t high = reader_u16(&reader);
    uint64_t low = reader_u32(&reader);
    if (reader.bad)
        return -EBADMSG;
    *ret_at_ms = at_ms;
    *ret_node = high << 32 | low;
    return 0;
}
