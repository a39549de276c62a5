#ifndef COURTIER_COMMON_MQTT_CODEC_TAIL_H
#define COURTIER_COMMON_MQTT_CODEC_TAIL_H

/*
 * What PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH have in common in
 * 5.0: they end with a reason code and properties, and may leave out the
 * properties, or both when the code is 0x00.
 */

#include "common/base/bytes.h"
#include "common/mqtt/packet.h"
#include "common/mqtt/property.h"
#include "common/mqtt/reason.h"

/* Takes the rest of `r`, which must be all used up by it. *ret_set is undefined
 * on failure. */
enum mqtt_reason codec_tail_decode(struct reader *r, enum reason_packet reason_packet,
                                   enum property_packet property_packet,
                                   enum mqtt_reason *ret_reason, struct property_set *ret_set);

struct tail_packet {
    enum packet_type type;
    uint8_t flags;
    uint16_t packet_id; /* 0: has none */
    enum mqtt_reason reason;
    struct bytes reason_string;       /* empty: absent */
    struct property_block properties; /* all others */
};

/* Writes the whole packet in its shortest form, without the reason string when
 * `size` leaves no room for it. Returns its size, or 0 when it does not fit. */
size_t codec_tail_encode(const struct tail_packet *p, uint8_t *memory, size_t size);

#endif
