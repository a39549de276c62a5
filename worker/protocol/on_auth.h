#ifndef COURTIER_WORKER_PROTOCOL_ON_AUTH_H
#define COURTIER_WORKER_PROTOCOL_ON_AUTH_H

/* Enhanced authentication: where a CONNECT with a method and each AUTH come by. */

#include "worker/protocol/protocol.h"

/* The word on the method of a CONNECT; success when it has none. There is no method
 * that this broker knows, so any name is refused [MQTT-4.12.0-1]. */
enum mqtt_reason on_auth_check_method(const struct mqtt_connect *connect);
/* An AUTH on an accepted connection. None has a method, so it is out of place
 * [MQTT-4.12.0-7]. */
void on_auth(struct conn *conn, const struct frame_header *header, struct bytes body);

#endif
