#ifndef COURTIER_WORKER_PROTOCOL_REPLY_H
#define COURTIER_WORKER_PROTOCOL_REPLY_H

/* Small packets towards the client, encoded into the connection's output. When
 * there is no memory for one, the connection is closed: a lost acknowledgement
 * must not go unnoticed. */

#include "worker/net/conn.h"
#include "worker/route/settle.h"

void reply_connack(struct conn *conn, const struct mqtt_connack *connack);
/* A CONNACK with an error, then the end; towards 3.x with the code that it has
 * for this, or a plain close [MQTT-3.1.4-2]. `why` becomes the reason string. */
void reply_refuse(struct conn *conn, enum mqtt_version version, enum mqtt_reason reason,
                  const char *why);
/* PUBACK, PUBREC, PUBREL or PUBCOMP; an error with its reason string. */
void reply_ack(struct conn *conn, const struct publisher_ack *ack);
/* `refusal` is the first error among the filters, which becomes the reason string;
 * zero when there is none. */
void reply_suback(struct conn *conn, uint16_t packet_id, struct bytes codes,
                  enum mqtt_reason refusal);
void reply_unsuback(struct conn *conn, uint16_t packet_id, struct bytes codes,
                    enum mqtt_reason refusal);
void reply_pingresp(struct conn *conn);

#endif
