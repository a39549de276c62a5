#include "common/mqtt/property.h"

#include "common/base/check.h"
#include "common/mqtt/topic.h"
#include "common/mqtt/utf8.h"

enum property_type {
    PROPERTY_UNKNOWN,
    PROPERTY_U8,
    PROPERTY_U16,
    PROPERTY_U32,
    PROPERTY_VARINT,
    PROPERTY_STRING,
    PROPERTY_BINARY,
    PROPERTY_PAIR
};

struct row {
    uint8_t type;
    bool repeats;
    uint16_t packets;
    uint32_t min;
    uint32_t max;
};

static const struct row rows[PROPERTY_ID_END] = {
#define PROPERTY(name, id, type, packets, repeats, min, max) \
    [id] = {type, repeats, packets, min, max},
#include "common/mqtt/property_list.h"
#undef PROPERTY
};

_Static_assert(PROPERTY_ID_END <= 64, "one bit per id");

static uint64_t bit_of(enum property_id id)
{
    return UINT64_C(1) << id;
}

/* False when the integer is cut off or not in its shortest form [MQTT-1.5.5-1]. */
static bool read_varint(struct reader *r, uint32_t *ret_value)
{
    size_t before = reader_left(r);
    uint32_t value = reader_varint(r);

    if (r->bad || before - reader_left(r) != writer_varint_size(value))
        return false;
    *ret_value = value;
    return true;
}

static bool read_string(struct reader *r, struct bytes *ret_text)
{
    *ret_text = reader_bytes16(r);
    return utf8_is_valid(*ret_text);
}

/* Both halves obey the rules of text [MQTT-1.5.7-1]; neither is kept. */
static bool read_pair(struct reader *r)
{
    struct bytes text;

    return read_string(r, &text) && read_string(r, &text);
}

static bool read_value(struct reader *r, enum property_type type, struct property *p)
{
    switch (type) {
    case PROPERTY_U8:
        p->number = reader_u8(r);
        return true;
    case PROPERTY_U16:
        p->number = reader_u16(r);
        return true;
    case PROPERTY_U32:
        p->number = reader_u32(r);
        return true;
    case PROPERTY_VARINT:
        return read_varint(r, &p->number);
    case PROPERTY_STRING:
        return read_string(r, &p->text);
    case PROPERTY_BINARY:
        p->text = reader_bytes16(r);
        return true;
    case PROPERTY_PAIR:
        return read_pair(r);
    case PROPERTY_UNKNOWN:
        break;
    }
    return false;
}

enum mqtt_reason property_next(struct reader *r, struct property *ret)
{
    uint8_t id = reader_u8(r); /* all ids are one byte of a variable byte integer */

    if (id >= PROPERTY_ID_END || rows[id].type == PROPERTY_UNKNOWN)
        return r->bad ? WHY_PROPERTIES : WHY_PROPERTY_UNKNOWN;
    struct property p = {.id = (enum property_id)id};
    if (!read_value(r, (enum property_type)rows[id].type, &p) || r->bad)
        return WHY_PROPERTIES;
    *ret = p;
    return REASON_SUCCESS;
}

static enum mqtt_reason add_to_set(struct property_set *set, const struct property *p,
                                   enum property_packet packet)
{
    const struct row *row = &rows[p->id];

    if ((row->packets & packet) == 0)
        return WHY_PROPERTY_PLACE;
    if (property_has(set, p->id) && !row->repeats)
        return WHY_PROPERTY_TWICE;
    if (p->number < row->min || p->number > row->max)
        return WHY_PROPERTY_RANGE;
    set->seen |= bit_of(p->id);
    set->numbers[p->id] = p->number;
    set->texts[p->id] = p->text;
    return REASON_SUCCESS;
}

void property_set_clear(struct property_set *set)
{
    set->block = (struct bytes){NULL, 0};
    set->seen = 0;
}

enum mqtt_reason property_decode(struct reader *r, enum property_packet packet,
                                 struct property_set *ret_set)
{
    uint32_t size = 0;

    property_set_clear(ret_set);
    if (!read_varint(r, &size))
        return WHY_PROPERTIES;
    ret_set->block = reader_bytes(r, size);
    if (r->bad)
        return WHY_PROPERTIES;
    struct reader inner = reader_of(ret_set->block);
    while (reader_left(&inner) > 0) {
        struct property p;
        enum mqtt_reason reason = property_next(&inner, &p);
        if (reason == REASON_SUCCESS)
            reason = add_to_set(ret_set, &p, packet);
        if (reason != REASON_SUCCESS)
            return reason;
    }
    return REASON_SUCCESS;
}

static uint64_t pass_mask(void)
{
    return bit_of(PROPERTY_PAYLOAD_FORMAT_INDICATOR) | bit_of(PROPERTY_CONTENT_TYPE) |
           bit_of(PROPERTY_RESPONSE_TOPIC) | bit_of(PROPERTY_CORRELATION_DATA) |
           bit_of(PROPERTY_USER_PROPERTY);
}

enum mqtt_reason property_decode_message(struct reader *r, enum property_packet packet,
                                         struct mqtt_message *message, struct property_set *ret_set)
{
    enum mqtt_reason reason = property_decode(r, packet, ret_set);

    if (reason != REASON_SUCCESS)
        return reason;
    if (topic_has_wildcard(property_text(ret_set, PROPERTY_RESPONSE_TOPIC)))
        return WHY_RESPONSE_TOPIC; /* [MQTT-3.3.2-14] */
    message->properties = ret_set->block;
    message->properties_pass = (ret_set->seen & ~pass_mask()) == 0;
    message->has_expiry = property_has(ret_set, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
    message->expiry_s = property_number(ret_set, PROPERTY_MESSAGE_EXPIRY_INTERVAL, 0);
    return REASON_SUCCESS;
}

bool property_has(const struct property_set *set, enum property_id id)
{
    return (set->seen & bit_of(id)) != 0;
}

uint32_t property_number(const struct property_set *set, enum property_id id, uint32_t absent)
{
    return property_has(set, id) ? set->numbers[id] : absent;
}

struct bytes property_text(const struct property_set *set, enum property_id id)
{
    return property_has(set, id) ? set->texts[id] : (struct bytes){NULL, 0};
}

bool property_passes(enum property_id id)
{
    return (pass_mask() & bit_of(id)) != 0;
}

static void add(struct property_block *block, struct property p)
{
    check(block->count < PROPERTY_BLOCK_MAX);
    block->items[block->count++] = p;
}

void property_add_number(struct property_block *block, enum property_id id, uint32_t number)
{
    check(number >= rows[id].min && number <= rows[id].max);
    add(block, (struct property){.id = id, .number = number});
}

void property_add_text(struct property_block *block, enum property_id id, struct bytes text)
{
    check(text.size <= UINT16_MAX);
    if (text.size > 0)
        add(block, (struct property){.id = id, .text = text});
}

static size_t size_of(const struct property *p)
{
    switch ((enum property_type)rows[p->id].type) {
    case PROPERTY_U8:
        return 1 + sizeof(uint8_t);
    case PROPERTY_U16:
        return 1 + sizeof(uint16_t);
    case PROPERTY_U32:
        return 1 + sizeof(uint32_t);
    case PROPERTY_VARINT:
        return 1 + writer_varint_size(p->number);
    case PROPERTY_STRING:
    case PROPERTY_BINARY:
        return 1 + sizeof(uint16_t) + p->text.size;
    case PROPERTY_PAIR:
    case PROPERTY_UNKNOWN:
        break;
    }
    unreachable();
}

static size_t content_size(const struct property_block *block)
{
    size_t size = 0;

    for (unsigned i = 0; i < block->count; i++)
        size += size_of(&block->items[i]);
    return size;
}

size_t property_block_size(const struct property_block *block)
{
    size_t size = content_size(block);

    return writer_varint_size((uint32_t)size) + size;
}

static void encode_one(struct writer *w, const struct property *p)
{
    writer_u8(w, (uint8_t)p->id);
    switch ((enum property_type)rows[p->id].type) {
    case PROPERTY_U8:
        writer_u8(w, (uint8_t)p->number);
        return;
    case PROPERTY_U16:
        writer_u16(w, (uint16_t)p->number);
        return;
    case PROPERTY_U32:
        writer_u32(w, p->number);
        return;
    case PROPERTY_VARINT:
        writer_varint(w, p->number);
        return;
    case PROPERTY_STRING:
    case PROPERTY_BINARY:
        writer_bytes16(w, p->text);
        return;
    case PROPERTY_PAIR:
    case PROPERTY_UNKNOWN:
        break;
    }
    unreachable();
}

void property_block_encode(struct writer *w, const struct property_block *block)
{
    writer_varint(w, (uint32_t)content_size(block));
    for (unsigned i = 0; i < block->count; i++)
        encode_one(w, &block->items[i]);
}
