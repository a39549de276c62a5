#ifndef COURTIER_TESTS_BENCH_BENCH_WIRE_H
#define COURTIER_TESTS_BENCH_BENCH_WIRE_H

/*
 * The little of MQTT 3.1.1 and 5 that a load generator speaks, as pure
 * functions. Written apart from the broker's codec on purpose: an error there
 * must not hide behind the same error here.
 *
 * Each encoder writes one packet to `out`, which has room for what the matching
 * size function or constant says, and returns its size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_packet {
    BENCH_CONNECT = 1,
    BENCH_CONNACK = 2,
    BENCH_PUBLISH = 3,
    BENCH_PUBACK = 4,
    BENCH_PUBREC = 5,
    BENCH_PUBREL = 6,
    BENCH_PUBCOMP = 7,
    BENCH_SUBSCRIBE = 8,
    BENCH_SUBACK = 9,
    BENCH_PINGREQ = 12,
    BENCH_PINGRESP = 13,
    BENCH_DISCONNECT = 14,
};

enum {
    BENCH_WIRE_V311 = 4,
    BENCH_WIRE_V5 = 5,
    BENCH_WIRE_TEXT_MAX = 512,   /* longest client id, topic, user name, password */
    BENCH_WIRE_SMALL_MAX = 2200, /* room for any packet but PUBLISH */
    BENCH_WIRE_ACK_SIZE = 4,
    BENCH_WIRE_STAMP_SIZE = 16, /* smallest payload */
    BENCH_WIRE_FAILURE = 0x80,  /* reason codes from here on are refusals */
};

/* A received packet, borrowed from the input. */
struct bench_frame {
    enum bench_packet type;
    uint8_t flags;
    const uint8_t *body;
    size_t body_size;
};

/* Looks for one packet at the start of `data`. Returns its whole size and fills
 * *ret_frame; 0 when more bytes are needed (*ret_needed is then the whole size,
 * or 0 if even that is not known yet); -1 when it is malformed. */
long bench_wire_cut(const uint8_t *data, size_t size, struct bench_frame *ret_frame,
                    size_t *ret_needed);

struct bench_connack {
    uint8_t reason;
    uint8_t maximum_qos;
    uint16_t receive_maximum;
};

struct bench_ack {
    uint16_t packet_id;
    uint8_t reason;
};

struct bench_message {
    const uint8_t *payload;
    size_t payload_size;
    uint16_t packet_id; /* 0 at QoS 0 */
    uint8_t qos;
};

/* Decoders of a frame's body; `version` is 4 or 5. False when malformed. */
bool bench_wire_get_connack(const struct bench_frame *f, int version, struct bench_connack *ret);
/* PUBACK, PUBREC, PUBREL, PUBCOMP; for SUBACK the reason is the first one. */
bool bench_wire_get_ack(const struct bench_frame *f, int version, struct bench_ack *ret);
bool bench_wire_get_message(const struct bench_frame *f, int version, struct bench_message *ret);

struct bench_hello {
    const char *client_id;
    const char *username; /* or NULL */
    const char *password; /* or NULL */
    int version;
    uint16_t keepalive_s;
    bool persistent; /* clean session off; in MQTT 5 it expires after an hour */
};

size_t bench_wire_put_connect(uint8_t *out, const struct bench_hello *hello);
size_t bench_wire_put_subscribe(uint8_t *out, int version, const char *filter, uint8_t qos);
size_t bench_wire_put_ack(uint8_t *out, enum bench_packet type, uint16_t packet_id);
size_t bench_wire_put_pingreq(uint8_t *out);
/* In MQTT 5 it also ends the session (expiry 0). */
size_t bench_wire_put_disconnect(uint8_t *out, int version);

/* A PUBLISH to copy from: only packet id and stamp differ between messages. */
struct bench_template {
    uint8_t *bytes; /* owned */
    size_t size;
    size_t id_at; /* 0 at QoS 0 */
    size_t payload_at;
};

struct bench_topic {
    const char *name;
    uint8_t qos;
    bool retain;
};

/* Room that a PUBLISH with this topic and payload needs at most. */
size_t bench_wire_publish_size(const char *topic, size_t payload_size);
/* Builds the packet into t->bytes (allocated here if NULL, else the caller's,
 * large enough). The payload past the stamp is a fixed pattern. Returns false
 * when there is no memory. */
bool bench_wire_init_template(struct bench_template *t, int version,
                              const struct bench_topic *topic, size_t payload_size);
void bench_wire_done_template(struct bench_template *t);

/* What a payload begins with. */
struct bench_stamp {
    uint32_t publisher;
    uint32_t sequence;
    uint64_t intended_ns;
};

/* The last payload byte past the stamp repeats the sequence's low byte, so that
 * a body that was cut or mixed up shows. */
void bench_wire_put_stamp(uint8_t *payload, size_t payload_size, struct bench_stamp stamp);
/* False when the payload is not `expected_size` long or its tail does not fit. */
bool bench_wire_get_stamp(const struct bench_message *m, size_t expected_size,
                          struct bench_stamp *ret);

#endif
