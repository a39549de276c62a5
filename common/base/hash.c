#include "common/base/hash.h"

#include "common/base/check.h"

#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_siphash24_KEYBYTES,
               "the key is one of SipHash");
_Static_assert(sizeof(struct hash_key) >= crypto_generichash_blake2b_KEYBYTES_MIN,
               "the key is long enough for BLAKE2b");
_Static_assert(sizeof(struct hash128) >= crypto_generichash_blake2b_BYTES_MIN,
               "the hash is long enough for BLAKE2b");

void hash_start(void)
{
    if (sodium_init() < 0)
        fatal("libsodium can't start");
}

void hash_make_key(struct hash_key *ret_key)
{
    randombytes_buf(ret_key, sizeof *ret_key);
}

uint64_t hash_short(const struct hash_key *key, struct bytes b)
{
    uint8_t out[crypto_shorthash_siphash24_BYTES];
    uint64_t hash;

    _Static_assert(sizeof out == sizeof hash, "SipHash makes 64 bits");
    int error = crypto_shorthash_siphash24(out, b.data, b.size, key->bytes);
    check(error == 0);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

struct hash128 hash_long(const struct hash_key *key, struct bytes b)
{
    struct hash128 hash;
    int error = crypto_generichash_blake2b(hash.bytes, sizeof hash.bytes, b.data, b.size,
                                           key->bytes, sizeof key->bytes);

    check(error == 0);
    return hash;
}

void hash_random(void *memory, size_t size)
{
    randombytes_buf(memory, size);
}
