#ifndef COURTIER_COMMON_MQTT_CODEC_CONTROL_H
#define COURTIER_COMMON_MQTT_CODEC_CONTROL_H

/* DISCONNECT and AUTH in both directions, PINGREQ in, PINGRESP out. */

#include "common/mqtt/packet.h"

enum { CODEC_PINGRESP_SIZE = 2 };

/* Towards 3.x the body must be empty. */
enum mqtt_reason codec_disconnect_decode(struct mqtt_disconnect *ret, enum mqtt_version version,
                                         uint8_t flags, struct bytes body);
/* Only for 5.0 clients; older ones know no DISCONNECT from a server. Leaves the
 * reason string out when it would not fit in `size`, and the session expiry
 * always [MQTT-3.14.2-2]. A code that a server can't send becomes
 * REASON_UNSPECIFIED_ERROR. Returns the packet's size, or 0. */
size_t codec_disconnect_encode(const struct mqtt_disconnect *p, uint8_t *memory, size_t size);

enum mqtt_reason codec_pingreq_decode(uint8_t flags, struct bytes body);
size_t codec_pingresp_encode(uint8_t *memory, size_t size);

/* REASON_PROTOCOL_ERROR without a method, and for code 0x00, which only a server
 * may send. */
enum mqtt_reason codec_auth_decode(struct mqtt_auth *ret, uint8_t flags, struct bytes body);
size_t codec_auth_encode(const struct mqtt_auth *p, uint8_t *memory, size_t size);

#endif
