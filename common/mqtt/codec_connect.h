#ifndef COURTIER_COMMON_MQTT_CODEC_CONNECT_H
#define COURTIER_COMMON_MQTT_CODEC_CONNECT_H

/*
 * CONNECT in, CONNACK out. Decoders take the packet's body (what follows the
 * fixed header) and its flags; zero is success, else the reason code that the
 * client is to be told. Encoders write a whole packet into memory of the caller
 * and return its size, or 0 when it does not fit.
 */

#include "common/mqtt/packet.h"

/* What a refusal can still say: the protocol level that the client speaks, as
 * far as it could be read (0 before that). Towards 3.x a code without a CONNACK
 * counterpart is a plain close; REASON_UNSUPPORTED_PROTOCOL_VERSION gets a
 * CONNACK 0x01 in the 3.1.1 form for unknown levels [MQTT-3.1.2-2], so
 * *ret_version is MQTT_V311 for those. */
enum mqtt_reason codec_connect_decode(struct mqtt_connect *ret, uint8_t flags, struct bytes body,
                                      enum mqtt_version *ret_version);

/* Leaves the reason string out when it would not fit in `size`. A code that has
 * no place in a CONNACK becomes REASON_UNSPECIFIED_ERROR; towards 3.x one without
 * counterpart returns 0, and the connection is just closed. */
size_t codec_connack_encode(const struct mqtt_connack *p, enum mqtt_version version,
                            uint8_t *memory, size_t size);

#endif
