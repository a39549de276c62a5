#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_KEY_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_KEY_H

/*
 * Keys of the durable environment. All rows live in one LMDB database, so that a
 * commit copies one path and writes one root; the first byte says what a row is:
 *
 *   FORMAT                                  see durable_env.c
 *   CLOCK                                   see durable_clock.h
 *   TOTALS                                  how many sessions and deliveries there are
 *   RUN                                     first run number that is not taken
 *   SERIAL        worker                    serial of its last record on disk
 *   SESSION       session
 *   SUBSCRIPTION  session, hash of filter
 *   RECEIVED      session, packet id        a QoS 2 id from the client
 *   QUEUE         session, seq              a delivery, waiting or in flight
 *   MESSAGE       message id, 0 or 1        how many deliveries need it; its body
 *   RETAINED      hash of topic
 *   WILL          message id
 *   UNSURE        message id, session or 0  see durable_unsure.h
 *   ENDED         session                   gone, but for rows that are to be deleted
 *
 * Numbers are big-endian, so rows of a session are neighbours and in order. Names
 * are hashed, because LMDB's keys end at 511 bytes; they stand in the value.
 */

#include "common/base/bytes.h"

#include <stddef.h>
#include <stdint.h>

enum durable_kind {
    DURABLE_FORMAT = 1,
    DURABLE_CLOCK,
    DURABLE_TOTALS,
    DURABLE_RUN,
    DURABLE_SERIAL,
    DURABLE_SESSION,
    DURABLE_SUBSCRIPTION,
    DURABLE_RECEIVED,
    DURABLE_QUEUE,
    DURABLE_MESSAGE,
    DURABLE_RETAINED,
    DURABLE_WILL,
    DURABLE_UNSURE,
    DURABLE_ENDED
};

enum {
    DURABLE_KEY_MAX = 25,
    DURABLE_KIND_PREFIX = 1,      /* bytes that all keys of a kind share */
    DURABLE_NUMBER_PREFIX = 1 + 8 /* ... and of its first number, a session's */
};

struct durable_key {
    uint8_t size;
    uint8_t bytes[DURABLE_KEY_MAX];
};

struct durable_key durable_key_of(enum durable_kind kind);
struct durable_key durable_key_number(enum durable_kind kind, uint64_t number);
struct durable_key durable_key_pair(enum durable_kind kind, uint64_t first, uint64_t second);
struct durable_key durable_key_name(enum durable_kind kind, struct bytes name);
struct durable_key durable_key_named(enum durable_kind kind, uint64_t number, struct bytes name);
struct durable_key durable_key_count(uint64_t message_id);
struct durable_key durable_key_body(uint64_t message_id);

struct bytes durable_key_bytes(const struct durable_key *key);
enum durable_kind durable_key_kind(const struct durable_key *key);
/* The first and the second number of a key that has them. */
uint64_t durable_key_first(const struct durable_key *key);
uint64_t durable_key_second(const struct durable_key *key);

#endif
