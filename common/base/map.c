/*
 * Linear probing over a power of two of slots. An item stands in its home slot
 * (hash & mask) or in one of the slots right behind it, with no free slot
 * between:
 *
 *     home of A, B   home of C
 *          |             |
 *     [ ]  [A]    [B]   [C]   [ ]
 *
 * A free slot ends every search. Removing therefore closes the gap: it moves
 * back each follower that may stand in the gap (B, never C before its home).
 * There are no tombstones, so a map that lives for years does not decay.
 */

#include "common/base/map.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SLOT_COUNT_MIN = 8 };

void map_init(struct map *map, map_key_fn key_of, const struct hash_key *key)
{
    *map = (struct map){.key_of = key_of, .key = key};
}

void map_done(struct map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->slot_count = 0;
    map->count = 0;
}

/* The slot with this key, or the free slot where it would go. The map has
 * slots, and a free one among them. */
static size_t find(const struct map *map, uint64_t hash, struct bytes key)
{
    size_t mask = map->slot_count - 1;
    size_t i = (size_t)hash & mask;

    for (; map->slots[i].item != NULL; i = (i + 1) & mask) {
        if (map->slots[i].hash == hash && bytes_equal(map->key_of(map->slots[i].item), key))
            break;
    }
    return i;
}

void *map_get_hashed(const struct map *map, uint64_t hash, struct bytes key)
{
    return map->count == 0 ? NULL : map->slots[find(map, hash, key)].item;
}

void *map_get(const struct map *map, struct bytes key)
{
    return map->count == 0 ? NULL : map_get_hashed(map, hash_short(map->key, key), key);
}

static size_t find_free(const struct map_slot *slots, size_t mask, uint64_t hash)
{
    size_t i = (size_t)hash & mask;

    while (slots[i].item != NULL)
        i = (i + 1) & mask;
    return i;
}

static int resize(struct map *map, size_t slot_count)
{
    struct map_slot *slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < map->slot_count; i++) {
        struct map_slot slot = map->slots[i];
        if (slot.item != NULL)
            slots[find_free(slots, slot_count - 1, slot.hash)] = slot;
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    return 0;
}

static int make_room(struct map *map)
{
    if (map->count < map->slot_count / 4 * 3)
        return 0;
    return resize(map, map->slot_count == 0 ? SLOT_COUNT_MIN : map->slot_count * 2);
}

int map_put(struct map *map, void *item)
{
    check(item != NULL);
    int error = make_room(map);
    if (error != 0)
        return error;

    struct bytes key = map->key_of(item);
    uint64_t hash = hash_short(map->key, key);
    struct map_slot *slot = &map->slots[find(map, hash, key)];
    check(slot->item == NULL);
    *slot = (struct map_slot){.hash = hash, .item = item};
    map->count++;
    return 0;
}

/* Frees slot `gap` and moves followers back into it. */
static void close_gap(struct map *map, size_t gap)
{
    size_t mask = map->slot_count - 1;

    for (size_t i = (gap + 1) & mask; map->slots[i].item != NULL; i = (i + 1) & mask) {
        size_t distance_home = (i - (size_t)map->slots[i].hash) & mask;
        size_t distance_gap = (i - gap) & mask;
        if (distance_home >= distance_gap) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap].item = NULL;
}

void *map_remove(struct map *map, struct bytes key)
{
    if (map->count == 0)
        return NULL;

    size_t found = find(map, hash_short(map->key, key), key);
    void *item = map->slots[found].item;
    if (item == NULL)
        return NULL;
    close_gap(map, found);
    map->count--;
    /* Without memory it stays as large as it is, which is only a waste. */
    if (map->slot_count > SLOT_COUNT_MIN && map->count <= map->slot_count / 8)
        (void)resize(map, map->slot_count / 2);
    return item;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->slot_count) {
        void *item = map->slots[(*cursor)++].item;
        if (item != NULL)
            return item;
    }
    return NULL;
}
