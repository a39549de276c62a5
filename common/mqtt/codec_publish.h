#ifndef COURTIER_COMMON_MQTT_CODEC_PUBLISH_H
#define COURTIER_COMMON_MQTT_CODEC_PUBLISH_H

/*
 * PUBLISH in both directions. The outgoing header (all but the payload) and the
 * payload are written apart, so that a large payload can be shared between
 * subscribers instead of copied.
 */

#include "common/mqtt/packet.h"

/* Checks flags, topic string, packet id, and every property; the topic is
 * checked for validity as a name with the standard's own limits, unless it is
 * empty and an alias is given. A Subscription Identifier from a client is
 * REASON_PROTOCOL_ERROR [MQTT-3.3.4-6]. */
enum mqtt_reason codec_publish_decode(struct mqtt_publish *ret, enum mqtt_version version,
                                      uint8_t flags, struct bytes body);

/* One outgoing PUBLISH. `properties` holds only what passes through (see
 * codec_publish_pass); it is left out towards older clients, as are expiry,
 * identifiers and alias. */
struct publish_out {
    struct bytes topic; /* empty: alias only */
    struct bytes properties;
    size_t payload_size;
    enum qos qos;
    bool retain;
    bool dup;
    bool has_expiry;
    uint32_t expiry_s;
    uint16_t packet_id;
    uint16_t topic_alias; /* 0: absent */
    const uint32_t *subscription_ids;
    unsigned subscription_id_count;
};

/* Size in bytes of the whole packet, payload included; 0 when it would exceed
 * 268435460 bytes. */
size_t codec_publish_size(const struct publish_out *p, enum mqtt_version version);
/* Size of all but the payload; 0 when codec_publish_size is. */
size_t codec_publish_head_size(const struct publish_out *p, enum mqtt_version version);
/* Writes all but the payload; `w` has room for codec_publish_head_size(). */
void codec_publish_encode_head(struct writer *w, const struct publish_out *p,
                               enum mqtt_version version);

/* Copies from a valid PUBLISH or will property block what passes through to
 * subscribers, in order. Returns the bytes written, at most block.size. */
size_t codec_publish_pass(struct bytes block, uint8_t *memory);

#endif
