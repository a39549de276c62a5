#ifndef COURTIER_COMMON_MQTT_PROPERTY_H
#define COURTIER_COMMON_MQTT_PROPERTY_H

/*
 * Properties of MQTT 5.0, one row each in property_list.h. Decoding walks a
 * block once, in time linear in its size however many User Properties stand in
 * it, and allocates nothing. Wrong place, unknown id and overrun are
 * REASON_MALFORMED_PACKET; a second copy or a value out of range is
 * REASON_PROTOCOL_ERROR.
 */

#include "common/base/bytes.h"
#include "common/mqtt/packet.h"
#include "common/mqtt/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum property_id {
#define PROPERTY(name, id, type, packets, repeats, min, max) PROPERTY_##name = id,
#include "common/mqtt/property_list.h"
#undef PROPERTY
    PROPERTY_ID_END /* one past the largest */
};

/* Where a property may stand, as bits. */
enum property_packet {
    PROPERTY_IN_CONNECT = 1,
    PROPERTY_IN_WILL = 2,
    PROPERTY_IN_CONNACK = 4,
    PROPERTY_IN_PUBLISH = 8,
    PROPERTY_IN_ACK = 16, /* PUBACK, PUBREC, PUBREL, PUBCOMP */
    PROPERTY_IN_SUBSCRIBE = 32,
    PROPERTY_IN_UNSUBSCRIBE = 64,
    PROPERTY_IN_SUBACK = 128,     /* and UNSUBACK */
    PROPERTY_IN_DISCONNECT = 256, /* from us */
    PROPERTY_IN_CLIENT_DISCONNECT = 512,
    PROPERTY_IN_AUTH = 1024,
    PROPERTY_IN_ALL = 2047
};

/* One property off the wire. */
struct property {
    enum property_id id;
    uint32_t number;   /* of a numeric property, else 0 */
    struct bytes text; /* of a string or binary property, else empty */
};

/* Takes the next property of a block: known id, well-formed value. Where it
 * stands and its bounds are not looked at. */
enum mqtt_reason property_next(struct reader *r, struct property *ret);

/* What stood in a block. Fields are public so that it can live on the stack
 * without being cleared; use the functions. Of a User Property only its
 * presence is kept. */
struct property_set {
    struct bytes block; /* without its length */
    uint64_t seen;      /* one bit per id; values are set only where it is */
    uint32_t numbers[PROPERTY_ID_END];
    struct bytes texts[PROPERTY_ID_END];
};

/* A set of nothing, for packets that leave their properties out. */
void property_set_clear(struct property_set *set);
/* Takes a property length and the block after it off `r`; *ret_set is undefined
 * on failure. */
enum mqtt_reason property_decode(struct reader *r, enum property_packet packet,
                                 struct property_set *ret_set);
/* As above for a PUBLISH or a will: checks the Response Topic too, and fills
 * properties, properties_pass, has_expiry and expiry_s of `message`. */
enum mqtt_reason property_decode_message(struct reader *r, enum property_packet packet,
                                         struct mqtt_message *message,
                                         struct property_set *ret_set);

bool property_has(const struct property_set *set, enum property_id id);
uint32_t property_number(const struct property_set *set, enum property_id id, uint32_t absent);
/* Empty when absent. */
struct bytes property_text(const struct property_set *set, enum property_id id);
/* Does it go on to subscribers as it came in? */
bool property_passes(enum property_id id);

/* Properties to be written; start with a zeroed one. Texts are borrowed. */
enum { PROPERTY_BLOCK_MAX = 16 };
struct property_block {
    struct property items[PROPERTY_BLOCK_MAX];
    unsigned count;
};

void property_add_number(struct property_block *block, enum property_id id, uint32_t number);
/* Does nothing when `text` is empty. */
void property_add_text(struct property_block *block, enum property_id id, struct bytes text);
/* Size on the wire, with the length in front. */
size_t property_block_size(const struct property_block *block);
void property_block_encode(struct writer *w, const struct property_block *block);

#endif
