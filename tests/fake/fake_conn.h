#ifndef COURTIER_TESTS_FAKE_FAKE_CONN_H
#define COURTIER_TESTS_FAKE_FAKE_CONN_H

/*
 * Stands in for worker/net/conn.h where a test wants to see what is sent and
 * whether reading is paused: no socket, no loop. Output is kept for the life of
 * the connection; what waits to be sent is what came since fake_conn_drain().
 */

#include "common/mqtt/packet.h"
#include "worker/net/conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_CONN_SHARED_MAX = 16 };

struct fake_shared {
    struct bytes body;
    void (*give_back)(void *owner);
    void *owner;
};

struct fake_conn {
    struct conn conn;
    uint8_t *data; /* all output, shared bodies too */
    size_t size;
    size_t sent; /* of it, what does not wait any more */
    size_t read; /* of it, what fake_conn_next() has given out */
    struct fake_shared shared[FAKE_CONN_SHARED_MAX]; /* not given back yet */
    unsigned shared_count;
    bool is_out_of_memory; /* set by the test: conn_reserve() fails */
};

/* Open, for this version; `context` lends its counters and tunables. */
void fake_conn_open(struct fake_conn *fake, struct conn_context *context,
                    enum mqtt_version version);
/* Frees what is in it. */
void fake_conn_close(struct fake_conn *fake);
/* All that waits is sent now; nobody is told. */
void fake_conn_drain(struct fake_conn *fake);

/* One packet of the output, taken apart; properties only of 5.0. Valid until
 * more is sent. */
struct fake_packet {
    enum packet_type type;
    enum qos qos;
    bool dup;
    bool retain;
    uint16_t packet_id;
    struct bytes topic;      /* PUBLISH */
    struct bytes properties; /* PUBLISH */
    struct bytes payload;    /* PUBLISH */
    size_t size;
};
/* The next packet; false when there is none. Aborts on half of one. */
bool fake_conn_next(struct fake_conn *fake, struct fake_packet *ret_packet);

#endif
