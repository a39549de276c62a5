#ifndef COURTIER_WORKER_SESSION_MESSAGE_H
#define COURTIER_WORKER_SESSION_MESSAGE_H

/*
 * A publication as one worker keeps it: immutable, counted references, one piece
 * of memory. Publications that are only passing through (QoS 0 to connected
 * subscribers) never become one: see struct publication in worker/route/route.h.
 */

#include "common/base/bytes.h"
#include "common/mqtt/version.h"

#include <stdbool.h>
#include <stdint.h>

struct message {
    uint32_t references;
    uint32_t topic_size;
    uint32_t properties_size;
    uint32_t payload_size;
    uint64_t id;           /* unique across restarts */
    uint64_t expiry_at_ms; /* boot clock; 0: never */
    uint32_t kept;         /* entries of the journal that need it, for as long as that is known */
    uint8_t qos;           /* as published */
    bool retain;           /* as published */
    uint16_t repeat_pass;  /* in which its body was put in the journal again, last; 0: none */
    uint8_t data[];        /* topic, properties that pass through, payload */
};

/* Copies all; `properties` holds only what passes through. One reference is the
 * caller's. NULL without memory. */
struct message *message_new(struct bytes topic, struct bytes properties, struct bytes payload);
struct message *message_get(struct message *message);
/* NULL is allowed. */
void message_put(struct message *message);
/* message_put() in the form that output_append_shared() wants. */
void message_give_back(void *message);

struct bytes message_topic(const struct message *message);
struct bytes message_properties(const struct message *message);
struct bytes message_payload(const struct message *message);
/* Bytes that count against max_queued_bytes. */
uint32_t message_size(const struct message *message);
/* Seconds left at `now_ms`, at least 1; `ret_expired` when there are none.
 * Only for messages that expire. */
uint32_t message_expiry_left_s(uint64_t expiry_at_ms, uint64_t now_ms, bool *ret_expired);

#endif
