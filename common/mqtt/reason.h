#ifndef COURTIER_COMMON_MQTT_REASON_H
#define COURTIER_COMMON_MQTT_REASON_H

/*
 * Reason codes of MQTT 5.0, one row each in reason_list.h, and what becomes of
 * them towards older clients. Zero is success throughout the project.
 *
 * A reason is a code in its low byte, which is all that goes on the wire. WHY_...
 * is a reason that also says which rule was broken (why_list.h): so the words
 * come from the place that knows, and take the same way as the code. Compare
 * with REASON_SUCCESS freely, with another code through reason_code() alone.
 */

#include <stdbool.h>
#include <stdint.h>

enum why_number {
    WHY_NUMBER_NONE,
#define WHY(name, reason, text) WHY_NUMBER_##name,
#include "common/mqtt/why_list.h"
#undef WHY
    WHY_NUMBER_END
};

enum { REASON_CODE_BITS = 8, REASON_WHY_SIZE_MAX = 80 };

enum mqtt_reason {
#define REASON(name, value, text, packets, connack3) REASON_##name = value,
#include "common/mqtt/reason_list.h"
#undef REASON
#define WHY(name, reason, text) \
    WHY_##name = (int)REASON_##reason | (int)WHY_NUMBER_##name << REASON_CODE_BITS,
#include "common/mqtt/why_list.h"
#undef WHY
    /* The same value, under the names that it has in other packets. */
    REASON_NORMAL_DISCONNECTION = REASON_SUCCESS,
    REASON_GRANTED_QOS_0 = REASON_SUCCESS
};

/* Packets that may carry a code, as bits (section 2.4 of the standard). */
enum reason_packet {
    REASON_IN_CONNACK = 1,
    REASON_IN_PUBACK = 2, /* PUBACK and PUBREC */
    REASON_IN_PUBREL = 4, /* PUBREL and PUBCOMP */
    REASON_IN_SUBACK = 8,
    REASON_IN_UNSUBACK = 16,
    REASON_IN_DISCONNECT = 32, /* from us */
    REASON_IN_AUTH = 64,
    REASON_IN_CLIENT_DISCONNECT = 128
};

/* The code alone. */
enum mqtt_reason reason_code(enum mqtt_reason reason);
/* The standard's name of the code, for logs; "unknown" for other values. */
const char *reason_text(enum mqtt_reason reason);
/* For Reason Strings: the rule that was broken, or else the code's name. At most
 * REASON_WHY_SIZE_MAX bytes. */
const char *reason_why(enum mqtt_reason reason);
bool reason_is_error(enum mqtt_reason reason);
/* May this code stand in that packet? */
bool reason_fits(uint8_t value, enum reason_packet packet);
/* The CONNACK return code of 3.1 and 3.1.1 (1 to 5), or 0 when there is none
 * and the connection is just closed. */
uint8_t reason_connack3(enum mqtt_reason reason);

#endif
