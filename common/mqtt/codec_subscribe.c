#include "common/mqtt/codec_subscribe.h"

#include "common/base/check.h"
#include "common/mqtt/frame.h"
#include "common/mqtt/property.h"
#include "common/mqtt/utf8.h"

enum {
    REQUEST_FLAGS = 2,
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING_SHIFT = 4,
    OPTION_RESERVED_V5 = 0xC0,
    OPTION_RESERVED_V311 = 0xFC,
    SUBACK3_FAILURE = 0x80
};

/* What SUBSCRIBE and UNSUBSCRIBE begin with; leaves `r` at the first filter. */
static enum mqtt_reason read_head(struct reader *r, enum mqtt_version version, uint8_t flags,
                                  enum property_packet packet, struct mqtt_subscribe *s)
{
    /* [MQTT-3.8.1-1] [MQTT-3.10.1-1]; in 3.1 these are the DUP and QoS bits of
     * the request. */
    if (flags != REQUEST_FLAGS && version != MQTT_V31)
        return WHY_PACKET_FLAGS;
    s->packet_id = reader_u16(r);
    if (r->bad)
        return WHY_CUT_OFF;
    if (s->packet_id == 0)
        return WHY_PACKET_ID_0; /* [MQTT-2.2.1-3] */
    if (version == MQTT_V5) {
        struct property_set set;
        enum mqtt_reason reason = property_decode(r, packet, &set);
        if (reason != REASON_SUCCESS)
            return reason;
        s->subscription_id = property_number(&set, PROPERTY_SUBSCRIPTION_IDENTIFIER, 0);
    }
    return REASON_SUCCESS;
}

static enum mqtt_reason read_text(struct reader *r, struct bytes *ret_text)
{
    *ret_text = reader_bytes16(r);
    if (r->bad)
        return WHY_CUT_OFF;
    return utf8_is_valid(*ret_text) ? REASON_SUCCESS
                                    : WHY_STRING; /* [MQTT-3.8.3-1] [MQTT-3.10.3-1] */
}

static enum mqtt_reason read_options(uint8_t options, enum mqtt_version version,
                                     struct mqtt_filter *f)
{
    unsigned qos = options & OPTION_QOS;
    unsigned retain_handling = 0;

    if (version == MQTT_V311 && (options & OPTION_RESERVED_V311) != 0)
        return WHY_OPTION_BITS;
    if (version == MQTT_V5) {
        if ((options & OPTION_RESERVED_V5) != 0)
            return WHY_OPTION_BITS; /* [MQTT-3.8.3-5] */
        retain_handling = options >> OPTION_RETAIN_HANDLING_SHIFT;
        f->no_local = (options & OPTION_NO_LOCAL) != 0;
        f->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
    }
    if (qos > QOS_EXACTLY_ONCE || retain_handling > RETAIN_SEND_NEVER)
        return WHY_OPTION_RANGE;
    f->qos = (enum qos)qos;
    f->retain_handling = (enum retain_handling)retain_handling;
    return REASON_SUCCESS;
}

static enum mqtt_reason read_filter(struct reader *r, enum mqtt_version version,
                                    struct mqtt_filter *ret)
{
    struct mqtt_filter f = {.qos = QOS_AT_MOST_ONCE};

    enum mqtt_reason reason = read_text(r, &f.filter);
    if (reason != REASON_SUCCESS)
        return reason;
    uint8_t options = reader_u8(r);
    if (r->bad)
        return WHY_CUT_OFF;
    reason = read_options(options, version, &f);
    if (reason == REASON_SUCCESS)
        *ret = f;
    return reason;
}

enum mqtt_reason codec_subscribe_decode(struct mqtt_subscribe *ret, enum mqtt_version version,
                                        uint8_t flags, struct bytes body)
{
    struct mqtt_subscribe s = {.packet_id = 0};
    struct reader r = reader_of(body);
    enum mqtt_reason reason = read_head(&r, version, flags, PROPERTY_IN_SUBSCRIBE, &s);

    if (reason != REASON_SUCCESS)
        return reason;
    s.filters = bytes_from(body, body.size - reader_left(&r));
    while (reader_left(&r) > 0) {
        struct mqtt_filter f;
        reason = read_filter(&r, version, &f);
        if (reason != REASON_SUCCESS)
            return reason;
        s.filter_count++;
    }
    if (s.filter_count == 0)
        return WHY_NO_FILTER; /* [MQTT-3.8.3-2] */
    *ret = s;
    return REASON_SUCCESS;
}

enum mqtt_reason codec_unsubscribe_decode(struct mqtt_subscribe *ret, enum mqtt_version version,
                                          uint8_t flags, struct bytes body)
{
    struct mqtt_subscribe s = {.packet_id = 0};
    struct reader r = reader_of(body);
    enum mqtt_reason reason = read_head(&r, version, flags, PROPERTY_IN_UNSUBSCRIBE, &s);

    if (reason != REASON_SUCCESS)
        return reason;
    s.filters = bytes_from(body, body.size - reader_left(&r));
    while (reader_left(&r) > 0) {
        struct bytes filter;
        reason = read_text(&r, &filter);
        if (reason != REASON_SUCCESS)
            return reason;
        s.filter_count++;
    }
    if (s.filter_count == 0)
        return WHY_NO_FILTER; /* [MQTT-3.10.3-2] */
    *ret = s;
    return REASON_SUCCESS;
}

bool codec_subscribe_next(struct reader *r, enum mqtt_version version, struct mqtt_filter *ret)
{
    if (reader_left(r) == 0)
        return false;
    enum mqtt_reason reason = read_filter(r, version, ret);
    check(reason == REASON_SUCCESS);
    return true;
}

bool codec_unsubscribe_next(struct reader *r, struct bytes *ret_filter)
{
    if (reader_left(r) == 0)
        return false;
    *ret_filter = reader_bytes16(r);
    check(!r->bad);
    return true;
}

/* Writes all but the codes; false when the packet does not fit. `block` is NULL
 * towards older clients. */
static bool write_head(struct writer *w, enum packet_type type, const struct mqtt_suback *p,
                       const struct property_block *block)
{
    size_t body = sizeof(p->packet_id) + p->codes.size;

    if (block != NULL)
        body += property_block_size(block);
    if (body > PACKET_REMAINING_MAX || frame_size((uint32_t)body) > writer_left(w))
        return false;
    frame_encode(w, type, 0, (uint32_t)body);
    writer_u16(w, p->packet_id);
    if (block != NULL)
        property_block_encode(w, block);
    return true;
}

/* The same for all versions, and without the reason string if need be. */
static bool begin(struct writer *w, enum packet_type type, const struct mqtt_suback *p,
                  enum mqtt_version version)
{
    struct property_block block;

    if (version != MQTT_V5)
        return write_head(w, type, p, NULL);
    block.count = 0;
    if (p->reason_string.size > 0) {
        property_add_text(&block, PROPERTY_REASON_STRING, p->reason_string);
        if (write_head(w, type, p, &block))
            return true;
        block.count = 0;
    }
    return write_head(w, type, p, &block);
}

/* 3.1 has no way to say that a subscription was refused, and wants a grant. */
static uint8_t suback_code(uint8_t code, enum mqtt_version version)
{
    if (version == MQTT_V5 || !reason_is_error((enum mqtt_reason)code))
        return code;
    return version == MQTT_V311 ? SUBACK3_FAILURE : QOS_AT_MOST_ONCE;
}

size_t codec_suback_encode(const struct mqtt_suback *p, enum mqtt_version version, uint8_t *memory,
                           size_t size)
{
    struct writer w = writer_of(memory, size);

    if (!begin(&w, PACKET_SUBACK, p, version))
        return 0;
    for (size_t i = 0; i < p->codes.size; i++) {
        check(reason_fits(p->codes.data[i], REASON_IN_SUBACK)); /* [MQTT-3.9.3-2] */
        writer_u8(&w, suback_code(p->codes.data[i], version));
    }
    check(!w.bad);
    return size - writer_left(&w);
}

size_t codec_unsuback_encode(const struct mqtt_suback *p, enum mqtt_version version,
                             uint8_t *memory, size_t size)
{
    struct writer w = writer_of(memory, size);
    struct mqtt_suback packet = *p;

    if (version != MQTT_V5)
        packet.codes.size = 0;
    if (!begin(&w, PACKET_UNSUBACK, &packet, version))
        return 0;
    for (size_t i = 0; i < packet.codes.size; i++) {
        check(reason_fits(packet.codes.data[i], REASON_IN_UNSUBACK)); /* [MQTT-3.11.3-2] */
        writer_u8(&w, packet.codes.data[i]);
    }
    check(!w.bad);
    return size - writer_left(&w);
}
