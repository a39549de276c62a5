#ifndef COURTIER_WORKER_PROTOCOL_ATTACH_H
#define COURTIER_WORKER_PROTOCOL_ATTACH_H

#include "worker/protocol/protocol.h"

/* Second half of CONNECT, on the session's home: takes over, resumes or makes the
 * session, answers CONNACK, sends again what was in flight. `connect` was checked
 * and its client id is set; `is_assigned` when the broker made it. */
void attach(struct conn *conn, const struct mqtt_connect *connect, bool is_assigned);

#endif
