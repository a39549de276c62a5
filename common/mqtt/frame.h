#ifndef COURTIER_COMMON_MQTT_FRAME_H
#define COURTIER_COMMON_MQTT_FRAME_H

/* Cuts a byte stream into packets: the fixed header, nothing else. */

#include "common/base/bytes.h"
#include "common/mqtt/packet.h"

#include <stdint.h>

enum { FRAME_HEADER_MAX = 5 }; /* one byte of type and flags, four of length */

struct frame_header {
    enum packet_type type;
    uint8_t flags;           /* low four bits of the first byte */
    uint8_t header_size;     /* 2 to 5 bytes */
    uint32_t remaining_size; /* bytes after the header */
};

enum frame_state {
    FRAME_PARTIAL,  /* the header is not complete yet */
    FRAME_HEADER,   /* *ret_header is set; the body may be incomplete */
    FRAME_MALFORMED /* a length of more than four bytes */
};

enum frame_state frame_parse(struct bytes input, struct frame_header *ret_header);

/* Has the length its shortest form? 5.0 demands it [MQTT-1.5.5-1], older
 * versions don't. */
bool frame_is_shortest(const struct frame_header *header);

/* Writes a fixed header. */
void frame_encode(struct writer *w, enum packet_type type, uint8_t flags, uint32_t remaining_size);
/* Size of a whole packet with this remaining length. */
size_t frame_size(uint32_t remaining_size);

#endif
