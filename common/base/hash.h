#ifndef COURTIER_COMMON_BASE_HASH_H
#define COURTIER_COMMON_BASE_HASH_H

/*
 * Keyed hashes, so that clients can't choose names that collide. The key is
 * made once by the master and is the same in all processes (it stands in the
 * shared region), because they must agree on a client's home.
 */

#include "common/base/bytes.h"

#include <stdint.h>

struct hash_key {
    uint8_t bytes[16];
};

struct hash128 {
    uint8_t bytes[16];
};

/* Must be called once per process before any other libsodium use; aborts when
 * the library can't start. */
void hash_start(void);
/* Fills `ret_key` from the system's random source. */
void hash_make_key(struct hash_key *ret_key);
/* SipHash-2-4. */
uint64_t hash_short(const struct hash_key *key, struct bytes b);
/* Keyed BLAKE2b-128: names that stand for the thing itself. */
struct hash128 hash_long(const struct hash_key *key, struct bytes b);
/* Random bytes for identifiers; not for hot paths. */
void hash_random(void *memory, size_t size);

#endif
