#include "common/mqtt/frame.h"

enum { LENGTH_SIZE_MAX = FRAME_HEADER_MAX - 1 };

enum frame_state frame_parse(struct bytes input, struct frame_header *ret_header)
{
    uint32_t length = 0;

    for (unsigned i = 0; i < LENGTH_SIZE_MAX; i++) {
        if (i + 1 >= input.size)
            return FRAME_PARTIAL;
        uint8_t byte = input.data[i + 1];
        length |= (uint32_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) != 0)
            continue;
        ret_header->type = (enum packet_type)(input.data[0] >> 4);
        ret_header->flags = input.data[0] & 0x0F;
        ret_header->header_size = (uint8_t)(i + 2);
        ret_header->remaining_size = length;
        return FRAME_HEADER;
    }
    return FRAME_MALFORMED;
}

bool frame_is_shortest(const struct frame_header *header)
{
    return header->header_size == 1 + writer_varint_size(header->remaining_size);
}

void frame_encode(struct writer *w, enum packet_type type, uint8_t flags, uint32_t remaining_size)
{
    writer_u8(w, (uint8_t)((unsigned)type << 4 | flags));
    writer_varint(w, remaining_size);
}

size_t frame_size(uint32_t remaining_size)
{
    return 1 + writer_varint_size(remaining_size) + remaining_size;
}
