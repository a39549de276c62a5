#ifndef COURTIER_COMMON_MQTT_VERSION_H
#define COURTIER_COMMON_MQTT_VERSION_H

/* Protocol levels as they stand in CONNECT, and the qualities of service. */

enum mqtt_version { MQTT_V31 = 3, MQTT_V311 = 4, MQTT_V5 = 5 };

enum qos { QOS_AT_MOST_ONCE = 0, QOS_AT_LEAST_ONCE = 1, QOS_EXACTLY_ONCE = 2 };

#endif
