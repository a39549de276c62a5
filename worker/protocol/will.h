#ifndef COURTIER_WORKER_PROTOCOL_WILL_H
#define COURTIER_WORKER_PROTOCOL_WILL_H

/*
 * Wills: taken at CONNECT, kept outside in case this worker dies (worker/protocol/keep.h),
 * and published when the connection ends without a proper DISCONNECT, at the earlier
 * of the delay's and the session's end [MQTT-3.1.2-8] [MQTT-3.1.3-9].
 */

#include "common/mqtt/packet.h"
#include "shm/record.h"
#include "worker/protocol/protocol.h"

/* Takes the will of a CONNECT (the session's expiry is set already). False
 * without memory. */
bool will_take(struct protocol *protocol, struct session *session,
               const struct mqtt_connect *connect);
/* Drops the session's will, if any, and the kept copy. */
void will_drop(struct protocol *protocol, struct session *session);
/* Publishes it, if any, and drops it. */
void will_publish(struct protocol *protocol, struct session *session);
/* Publishes once more what came back with it of older ones of this client. */
void will_publish_older(struct protocol *protocol, struct session *session);
/* A published will is where it belongs: it need not be kept any more. `protocol` is its
 * worker's; for struct settle. */
void will_settled(void *protocol);
/* At the end of the process: those that are not settled stay kept. */
void will_done(struct protocol *protocol);
/* A will whose worker died: kept in a session that only stands for it, with the
 * time that it and its session had left at most. */
void will_adopt(struct protocol *protocol, const struct record_message *record);

/* A will that is on disk, back: of a session that is here again, or of one that only
 * stands for it. Those of a client come in the order in which they were taken. False
 * without memory. */
bool will_restore(struct protocol *protocol, const struct record_message *record);

#endif
