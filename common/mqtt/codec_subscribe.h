#ifndef COURTIER_COMMON_MQTT_CODEC_SUBSCRIBE_H
#define COURTIER_COMMON_MQTT_CODEC_SUBSCRIBE_H

/* SUBSCRIBE and UNSUBSCRIBE in, SUBACK and UNSUBACK out. */

#include "common/mqtt/packet.h"

/* Validates the whole packet: flags (in 3.1 the DUP and QoS bits of a request,
 * which are not looked at), packet id, properties, at least one filter
 * [MQTT-3.8.3-2], option bits. */
enum mqtt_reason codec_subscribe_decode(struct mqtt_subscribe *ret, enum mqtt_version version,
                                        uint8_t flags, struct bytes body);
enum mqtt_reason codec_unsubscribe_decode(struct mqtt_subscribe *ret, enum mqtt_version version,
                                          uint8_t flags, struct bytes body);

/* Walks `filters` of a decoded packet: start with reader_of(p->filters). False
 * when all are taken. */
bool codec_subscribe_next(struct reader *r, enum mqtt_version version, struct mqtt_filter *ret);
bool codec_unsubscribe_next(struct reader *r, struct bytes *ret_filter);

/* One code per filter [MQTT-3.8.4-6]; towards 3.1.1 an error becomes 0x80, towards
 * 3.1, which has no failure code, a grant of QoS 0. The reason string is left out
 * when it would not fit in `size` [MQTT-3.9.2-1]. Returns the packet's size, or 0
 * when it does not fit. */
size_t codec_suback_encode(const struct mqtt_suback *p, enum mqtt_version version, uint8_t *memory,
                           size_t size);
/* Towards older clients the codes are left out. */
size_t codec_unsuback_encode(const struct mqtt_suback *p, enum mqtt_version version,
                             uint8_t *memory, size_t size);

#endif
