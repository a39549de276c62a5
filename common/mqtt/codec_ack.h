#ifndef COURTIER_COMMON_MQTT_CODEC_ACK_H
#define COURTIER_COMMON_MQTT_CODEC_ACK_H

/* PUBACK, PUBREC, PUBREL and PUBCOMP, in both directions. */

#include "common/mqtt/packet.h"

enum { CODEC_ACK_SIZE_MIN = 4 };

/* `type` is one of the four. In 3.1 a PUBREL may carry any DUP and QoS bits. */
enum mqtt_reason codec_ack_decode(struct mqtt_ack *ret, enum packet_type type,
                                  enum mqtt_version version, uint8_t flags, struct bytes body);
/* Uses the short forms of 5.0 where they say the same, and leaves the reason
 * string out when it would not fit in `size`. Returns the packet's size, or 0
 * when it does not fit. Older clients get the packet id alone. */
size_t codec_ack_encode(const struct mqtt_ack *p, enum packet_type type, enum mqtt_version version,
                        uint8_t *memory, size_t size);

#endif
