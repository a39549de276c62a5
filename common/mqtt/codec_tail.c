#include "common/mqtt/codec_tail.h"

#include "common/base/check.h"
#include "common/mqtt/frame.h"

enum mqtt_reason codec_tail_decode(struct reader *r, enum reason_packet reason_packet,
                                   enum property_packet property_packet,
                                   enum mqtt_reason *ret_reason, struct property_set *ret_set)
{
    uint8_t value = REASON_SUCCESS;

    property_set_clear(ret_set);
    if (reader_left(r) > 0)
        value = reader_u8(r);
    if (!reason_fits(value, reason_packet))
        return WHY_REASON_CODE;
    if (reader_left(r) > 0) {
        enum mqtt_reason reason = property_decode(r, property_packet, ret_set);
        if (reason != REASON_SUCCESS)
            return reason;
    }
    if (reader_left(r) > 0)
        return WHY_SURPLUS;
    *ret_reason = (enum mqtt_reason)value;
    return REASON_SUCCESS;
}

static size_t body_size(const struct tail_packet *p, const struct property_block *block)
{
    size_t size = p->packet_id != 0 ? sizeof(p->packet_id) : 0;

    if (block->count > 0)
        return size + 1 + property_block_size(block);
    return size + (p->reason != REASON_SUCCESS);
}

static size_t write_packet(const struct tail_packet *p, const struct property_block *block,
                           uint8_t *memory, size_t size)
{
    uint32_t body = (uint32_t)body_size(p, block);

    if (frame_size(body) > size)
        return 0;
    struct writer w = writer_of(memory, frame_size(body));
    frame_encode(&w, p->type, p->flags, body);
    if (p->packet_id != 0)
        writer_u16(&w, p->packet_id);
    if (p->reason != REASON_SUCCESS || block->count > 0)
        writer_u8(&w, (uint8_t)p->reason);
    if (block->count > 0)
        property_block_encode(&w, block);
    check(!w.bad);
    check(writer_left(&w) == 0);
    return frame_size(body);
}

size_t codec_tail_encode(const struct tail_packet *p, uint8_t *memory, size_t size)
{
    struct property_block block = p->properties;

    property_add_text(&block, PROPERTY_REASON_STRING, p->reason_string);
    size_t written = write_packet(p, &block, memory, size);
    return written != 0 ? written : write_packet(p, &p->properties, memory, size);
}
