#ifndef COURTIER_COMMON_BASE_MAP_H
#define COURTIER_COMMON_BASE_MAP_H

/*
 * Open-addressing map from bytes to a pointer. The key lives in the item and is
 * found by a callback, so a slot costs 16 bytes and nothing is copied. It grows
 * by doubling at 3/4 and shrinks at 1/8; growing may fail and says so.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"

#include <stddef.h>
#include <stdint.h>

/* The key of an item; it must not change while the item is in the map. */
typedef struct bytes (*map_key_fn)(const void *item);

struct map_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct map {
    struct map_slot *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t count;
    map_key_fn key_of;
    const struct hash_key *key;
};

/* `key` is borrowed for the life of the map. Allocates nothing. */
void map_init(struct map *map, map_key_fn key_of, const struct hash_key *key);
/* Frees the slots, not the items. */
void map_done(struct map *map);
/* The item with this key, or NULL. */
void *map_get(const struct map *map, struct bytes key);
/* As map_get, for a caller that has hash_short(map->key, key) already. */
void *map_get_hashed(const struct map *map, uint64_t hash, struct bytes key);
/* Puts an item whose key is not in the map yet (checked). 0 or -ENOMEM. */
int map_put(struct map *map, void *item);
/* Takes the item with this key out and returns it, or NULL. */
void *map_remove(struct map *map, struct bytes key);
/* Walks all items: start with *cursor = 0; NULL at the end. The map must not
 * change between two calls. */
void *map_next(const struct map *map, size_t *cursor);

#endif
