#include "common/mqtt/codec_ack.h"

#include "common/base/check.h"
#include "common/mqtt/codec_tail.h"

enum { PUBREL_FLAGS = 2 };

static enum reason_packet codes_of(enum packet_type type)
{
    check(type >= PACKET_PUBACK);
    check(type <= PACKET_PUBCOMP);
    return type <= PACKET_PUBREC ? REASON_IN_PUBACK : REASON_IN_PUBREL;
}

static uint8_t flags_of(enum packet_type type)
{
    return type == PACKET_PUBREL ? PUBREL_FLAGS : 0;
}

enum mqtt_reason codec_ack_decode(struct mqtt_ack *ret, enum packet_type type,
                                  enum mqtt_version version, uint8_t flags, struct bytes body)
{
    struct mqtt_ack ack = {.reason = REASON_SUCCESS};
    enum reason_packet codes = codes_of(type);
    struct reader r = reader_of(body);

    /* In 3.1 a PUBREL has the DUP and QoS bits of a message [MQTT-3.6.1-1]. */
    bool has_any_flags = version == MQTT_V31 && type == PACKET_PUBREL;
    if (flags != flags_of(type) && !has_any_flags)
        return WHY_PACKET_FLAGS;
    ack.packet_id = reader_u16(&r);
    if (r.bad)
        return WHY_CUT_OFF;
    if (version == MQTT_V5) {
        struct property_set set;
        enum mqtt_reason reason = codec_tail_decode(&r, codes, PROPERTY_IN_ACK, &ack.reason, &set);
        if (reason != REASON_SUCCESS)
            return reason;
        ack.reason_string = property_text(&set, PROPERTY_REASON_STRING);
    }
    if (reader_left(&r) > 0)
        return WHY_SURPLUS;
    if (ack.packet_id == 0)
        return WHY_PACKET_ID_0;
    *ret = ack;
    return REASON_SUCCESS;
}

size_t codec_ack_encode(const struct mqtt_ack *p, enum packet_type type, enum mqtt_version version,
                        uint8_t *memory, size_t size)
{
    struct tail_packet packet = {.type = type, .flags = flags_of(type), .packet_id = p->packet_id};

    check(reason_fits((uint8_t)p->reason, codes_of(type)));
    check(p->packet_id != 0);
    if (version == MQTT_V5) {
        packet.reason = p->reason;
        packet.reason_string = p->reason_string;
    }
    return codec_tail_encode(&packet, memory, size);
}
