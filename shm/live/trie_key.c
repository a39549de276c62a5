#include "shm/live/trie_key.h"

#include "common/base/check.h"

#include <string.h>

enum { ID_SIZE = 6, LONG_MARK = 0xFF };

static void add_byte(struct trie_key *key, uint8_t value)
{
    key->bytes[key->size++] = value;
}

/* The low `size` bytes of a number, highest first. */
static void add_number(struct trie_key *key, uint64_t value, unsigned size)
{
    for (unsigned i = size; i > 0; i--) {
        add_byte(key, (uint8_t)(value >> (8 * (i - 1))));
    }
}

static void add_bytes(struct trie_key *key, const uint8_t *data, size_t size)
{
    if (size > 0)
        memcpy(key->bytes + key->size, data, size);
    key->size += size;
}

struct bytes trie_key_bytes(const struct trie_key *key)
{
    return (struct bytes){key->bytes, key->size};
}

void trie_key_node(struct trie_key *key, enum live_kind kind, uint64_t id)
{
    key->size = 0;
    add_byte(key, (uint8_t)kind);
    add_number(key, id, ID_SIZE);
}

bool trie_key_name_is_long(struct bytes name)
{
    return name.size > TRIE_KEY_NAME_MAX;
}

void trie_key_edge(struct trie_key *key, enum live_kind kind, uint64_t parent, struct bytes name,
                   const struct hash_key *hash_key)
{
    trie_key_node(key, kind, parent);
    if (!trie_key_name_is_long(name)) {
        add_bytes(key, name.data, name.size);
        return;
    }
    struct hash128 hash = hash_long(hash_key, name);
    add_byte(key, LONG_MARK);
    add_bytes(key, hash.bytes, sizeof hash.bytes);
}

struct bytes trie_key_name(struct bytes key)
{
    return bytes_from(key, TRIE_KEY_PREFIX);
}

void trie_key_group(struct trie_key *key, uint64_t node, const struct hash128 *id)
{
    trie_key_node(key, LIVE_GROUP, node);
    add_bytes(key, id->bytes, sizeof id->bytes);
}

void trie_key_expiry(struct trie_key *key, uint64_t at_ms, uint64_t node)
{
    key->size = 0;
    add_byte(key, LIVE_EXPIRY);
    add_number(key, at_ms, 8);
    add_number(key, node, ID_SIZE);
}

void trie_key_step(struct trie_key *key)
{
    check(key->size < sizeof key->bytes);
    add_byte(key, 0);
}

bool trie_key_begins(struct bytes key, const struct trie_key *prefix, size_t size)
{
    return key.size >= size && memcmp(key.data, prefix->bytes, size) == 0;
}
