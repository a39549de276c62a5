#include "master/store/durable/durable_key.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <string.h>

enum { PART_COUNT = 0, PART_BODY = 1 };

/* Not secret, and the same for ever: a name must be found again after a restart,
 * and nobody finds two names with one hash of 128 bits. */
static const struct hash_key name_key = {"courtier durable"};

static void add(struct durable_key *key, const void *memory, size_t size)
{
    check(key->size + size <= DURABLE_KEY_MAX);
    memcpy(key->bytes + key->size, memory, size);
    key->size = (uint8_t)(key->size + size);
}

static void add_number(struct durable_key *key, uint64_t number)
{
    uint8_t memory[8];
    struct writer w = writer_of(memory, sizeof memory);
    writer_u64(&w, number);
    add(key, memory, sizeof memory);
}

static void add_name(struct durable_key *key, struct bytes name)
{
    struct hash128 hash = hash_long(&name_key, name);
    add(key, hash.bytes, sizeof hash.bytes);
}

struct durable_key durable_key_of(enum durable_kind kind)
{
    return (struct durable_key){.size = 1, .bytes = {(uint8_t)kind}};
}

struct durable_key durable_key_number(enum durable_kind kind, uint64_t number)
{
    struct durable_key key = durable_key_of(kind);
    add_number(&key, number);
    return key;
}

struct durable_key durable_key_pair(enum durable_kind kind, uint64_t first, uint64_t second)
{
    struct durable_key key = durable_key_number(kind, first);
    add_number(&key, second);
    return key;
}

struct durable_key durable_key_name(enum durable_kind kind, struct bytes name)
{
    struct durable_key key = durable_key_of(kind);
    add_name(&key, name);
    return key;
}

struct durable_key durable_key_named(enum durable_kind kind, uint64_t number, struct bytes name)
{
    struct durable_key key = durable_key_number(kind, number);
    add_name(&key, name);
    return key;
}

static struct durable_key part_of(uint64_t message_id, uint8_t part)
{
    struct durable_key key = durable_key_number(DURABLE_MESSAGE, message_id);
    add(&key, &part, sizeof part);
    return key;
}

struct durable_key durable_key_count(uint64_t message_id)
{
    return part_of(message_id, PART_COUNT);
}

struct durable_key durable_key_body(uint64_t message_id)
{
    return part_of(message_id, PART_BODY);
}

struct bytes durable_key_bytes(const struct durable_key *key)
{
    return (struct bytes){key->bytes, key->size};
}

enum durable_kind durable_key_kind(const struct durable_key *key)
{
    return (enum durable_kind)key->bytes[0];
}

static uint64_t number_at(const struct durable_key *key, size_t offset)
{
    struct reader r = reader_of(bytes_from(durable_key_bytes(key), offset));
    uint64_t number = reader_u64(&r);
    check(!r.bad);
    return number;
}

uint64_t durable_key_first(const struct durable_key *key)
{
    return number_at(key, 1);
}

uint64_t durable_key_second(const struct durable_key *key)
{
    return number_at(key, DURABLE_NUMBER_PREFIX);
}
