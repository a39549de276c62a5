#include "worker/session/message.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

static void append(uint8_t **place, struct bytes b)
{
    if (b.size == 0)
        return;
    memcpy(*place, b.data, b.size);
    *place += b.size;
}

struct message *message_new(struct bytes topic, struct bytes properties, struct bytes payload)
{
    struct message *m = malloc(sizeof(*m) + topic.size + properties.size + payload.size);
    if (m == NULL)
        return NULL;
    *m = (struct message){
        .references = 1,
        .topic_size = (uint32_t)topic.size,
        .properties_size = (uint32_t)properties.size,
        .payload_size = (uint32_t)payload.size,
    };
    uint8_t *place = m->data;
    append(&place, topic);
    append(&place, properties);
    append(&place, payload);
    return m;
}

struct message *message_get(struct message *message)
{
    check(message->references > 0);
    message->references++;
    return message;
}

void message_put(struct message *message)
{
    if (message == NULL)
        return;
    check(message->references > 0);
    if (--message->references == 0)
        free(message);
}

void message_give_back(void *message)
{
    message_put(message);
}

struct bytes message_topic(const struct message *message)
{
    return (struct bytes){message->data, message->topic_size};
}

struct bytes message_properties(const struct message *message)
{
    return (struct bytes){message->data + message->topic_size, message->properties_size};
}

struct bytes message_payload(const struct message *message)
{
    return (struct bytes){message->data + message->topic_size + message->properties_size,
                          message->payload_size};
}

uint32_t message_size(const struct message *message)
{
    return message->topic_size + message->properties_size + message->payload_size;
}

uint32_t message_expiry_left_s(uint64_t expiry_at_ms, uint64_t now_ms, bool *ret_expired)
{
    *ret_expired = expiry_at_ms <= now_ms;
    if (*ret_expired)
        return 0;
    uint64_t left_s = (expiry_at_ms - now_ms + 999) / 1000;
    return left_s > UINT32_MAX ? UINT32_MAX : (uint32_t)left_s;
}
