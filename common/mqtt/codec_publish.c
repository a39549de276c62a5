#include "common/mqtt/codec_publish.h"

#include "common/base/check.h"
#include "common/mqtt/frame.h"
#include "common/mqtt/property.h"
#include "common/mqtt/topic.h"
#include "common/mqtt/utf8.h"

enum { FLAG_RETAIN = 0x01, FLAG_QOS_SHIFT = 1, FLAG_QOS_MASK = 0x03, FLAG_DUP = 0x08 };

/* Sizes of whole properties. */
enum { EXPIRY_SIZE = 1 + sizeof(uint32_t), ALIAS_SIZE = 1 + sizeof(uint16_t) };

static enum mqtt_reason read_flags(struct mqtt_publish *p, uint8_t flags)
{
    unsigned qos = flags >> FLAG_QOS_SHIFT & FLAG_QOS_MASK;

    p->dup = (flags & FLAG_DUP) != 0;
    p->message.retain = (flags & FLAG_RETAIN) != 0;
    p->message.qos = (enum qos)qos;
    if (qos > QOS_EXACTLY_ONCE)
        return WHY_QOS_3; /* [MQTT-3.3.1-4] */
    if (p->dup && qos == QOS_AT_MOST_ONCE)
        return WHY_DUP_AT_QOS_0; /* [MQTT-3.3.1-2] */
    return REASON_SUCCESS;
}

static enum mqtt_reason read_properties(struct reader *r, struct mqtt_publish *p,
                                        bool *ret_has_alias)
{
    struct property_set set;
    enum mqtt_reason reason = property_decode_message(r, PROPERTY_IN_PUBLISH, &p->message, &set);

    if (reason != REASON_SUCCESS)
        return reason;
    if (property_has(&set, PROPERTY_SUBSCRIPTION_IDENTIFIER))
        return WHY_CLIENT_SUBSCRIPTION_ID; /* [MQTT-3.3.4-6] */
    *ret_has_alias = property_has(&set, PROPERTY_TOPIC_ALIAS);
    p->topic_alias = (uint16_t)property_number(&set, PROPERTY_TOPIC_ALIAS, 0);
    if (*ret_has_alias && p->topic_alias == 0)
        return WHY_ALIAS_0; /* [MQTT-3.3.2-8] */
    return REASON_SUCCESS;
}

static enum mqtt_reason check_topic(struct bytes topic, bool has_alias)
{
    if (topic.size == 0)
        return has_alias ? REASON_SUCCESS : WHY_NO_TOPIC; /* [MQTT-4.7.3-1] */
    if (!utf8_is_valid(topic))
        return WHY_STRING; /* [MQTT-3.3.2-1] */
    if (topic_has_wildcard(topic))
        return WHY_TOPIC_WILDCARD; /* [MQTT-3.3.2-2] */
    return REASON_SUCCESS;
}

enum mqtt_reason codec_publish_decode(struct mqtt_publish *ret, enum mqtt_version version,
                                      uint8_t flags, struct bytes body)
{
    struct mqtt_publish p = {.message = {.properties_pass = true}};
    struct reader r = reader_of(body);
    bool has_alias = false;
    enum mqtt_reason reason = read_flags(&p, flags);

    if (reason != REASON_SUCCESS)
        return reason;
    p.message.topic = reader_bytes16(&r);
    if (p.message.qos != QOS_AT_MOST_ONCE)
        p.packet_id = reader_u16(&r);
    if (r.bad)
        return WHY_CUT_OFF;
    if (p.message.qos != QOS_AT_MOST_ONCE && p.packet_id == 0)
        return WHY_PACKET_ID_0; /* [MQTT-2.2.1-3] */
    if (version == MQTT_V5)
        reason = read_properties(&r, &p, &has_alias);
    if (reason == REASON_SUCCESS)
        reason = check_topic(p.message.topic, has_alias);
    if (reason != REASON_SUCCESS)
        return reason;
    p.message.payload = reader_bytes(&r, reader_left(&r));
    *ret = p;
    return REASON_SUCCESS;
}

static size_t properties_size(const struct publish_out *p)
{
    size_t size = p->properties.size;

    if (p->has_expiry)
        size += EXPIRY_SIZE;
    if (p->topic_alias != 0)
        size += ALIAS_SIZE;
    for (unsigned i = 0; i < p->subscription_id_count; i++)
        size += 1 + writer_varint_size(p->subscription_ids[i]);
    return size;
}

/* Size of what stands between the fixed header and the payload, or 0 when it is
 * more than any packet can hold. */
static size_t variable_size(const struct publish_out *p, enum mqtt_version version)
{
    size_t size = sizeof(uint16_t) + p->topic.size;

    if (p->qos != QOS_AT_MOST_ONCE)
        size += sizeof(p->packet_id);
    if (version == MQTT_V5) {
        size_t properties = properties_size(p);
        if (properties > PACKET_REMAINING_MAX)
            return 0;
        size += writer_varint_size((uint32_t)properties) + properties;
    }
    return size;
}

size_t codec_publish_size(const struct publish_out *p, enum mqtt_version version)
{
    size_t head = variable_size(p, version);

    if (head == 0 || head > PACKET_REMAINING_MAX || p->payload_size > PACKET_REMAINING_MAX - head)
        return 0;
    return frame_size((uint32_t)(head + p->payload_size));
}

size_t codec_publish_head_size(const struct publish_out *p, enum mqtt_version version)
{
    size_t size = codec_publish_size(p, version);

    return size == 0 ? 0 : size - p->payload_size;
}

static void encode_properties(struct writer *w, const struct publish_out *p)
{
    writer_varint(w, (uint32_t)properties_size(p));
    if (p->has_expiry) {
        writer_u8(w, PROPERTY_MESSAGE_EXPIRY_INTERVAL);
        writer_u32(w, p->expiry_s);
    }
    if (p->topic_alias != 0) {
        writer_u8(w, PROPERTY_TOPIC_ALIAS);
        writer_u16(w, p->topic_alias);
    }
    for (unsigned i = 0; i < p->subscription_id_count; i++) {
        writer_u8(w, PROPERTY_SUBSCRIPTION_IDENTIFIER);
        writer_varint(w, p->subscription_ids[i]);
    }
    writer_bytes(w, p->properties);
}

static uint8_t flags_of(const struct publish_out *p)
{
    return (uint8_t)((p->dup ? FLAG_DUP : 0) | (unsigned)p->qos << FLAG_QOS_SHIFT |
                     (p->retain ? FLAG_RETAIN : 0));
}

void codec_publish_encode_head(struct writer *w, const struct publish_out *p,
                               enum mqtt_version version)
{
    size_t body = variable_size(p, version) + p->payload_size;

    check(body <= PACKET_REMAINING_MAX);
    check((p->packet_id == 0) == (p->qos == QOS_AT_MOST_ONCE)); /* [MQTT-2.2.1-2] */
    frame_encode(w, PACKET_PUBLISH, flags_of(p), (uint32_t)body);
    writer_bytes16(w, p->topic);
    if (p->qos != QOS_AT_MOST_ONCE)
        writer_u16(w, p->packet_id);
    if (version == MQTT_V5)
        encode_properties(w, p);
    check(!w->bad);
}

size_t codec_publish_pass(struct bytes block, uint8_t *memory)
{
    struct reader r = reader_of(block);
    struct writer w = writer_of(memory, block.size);

    while (reader_left(&r) > 0) {
        struct property p;
        struct bytes raw = bytes_from(block, block.size - reader_left(&r));
        enum mqtt_reason reason = property_next(&r, &p);
        check(reason == REASON_SUCCESS);
        raw.size -= reader_left(&r);
        if (property_passes(p.id))
            writer_bytes(&w, raw); /* [MQTT-3.3.2-17] [MQTT-3.3.2-18] */
    }
    check(!w.bad);
    return block.size - writer_left(&w);
}
