#ifndef COURTIER_COMMON_MQTT_UTF8_H
#define COURTIER_COMMON_MQTT_UTF8_H

/*
 * What MQTT calls a UTF-8 encoded string: well-formed UTF-8 without surrogates
 * and without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]. Control characters and
 * non-characters pass unchanged, in every field and version.
 */

#include "common/base/bytes.h"

#include <stdbool.h>

bool utf8_is_valid(struct bytes b);

#endif
