#include "shm/generation.h"

#include "common/base/hash.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 *   F  generations: the store's release comes after its commit; a reader that
 *      acquires the new value finds what was committed.
 *
 * Full fences (DESIGN, the three orders): the store raises, fences, and only then
 * reads the heads of the rings; a publisher publishes, fences (that fence is in
 * mesh_publish_to) and only then reads the generations. So either the publisher
 * sees the new generation or the store sees the record.
 */

static struct bytes first_level(struct bytes name)
{
    size_t size = 0;

    while (size < name.size && name.data[size] != '/')
        size++;
    return (struct bytes){name.data, size};
}

static bool begins_with_wildcard(struct bytes filter)
{
    return filter.size > 0 && (filter.data[0] == '+' || filter.data[0] == '#');
}

static _Atomic uint32_t *level_of(const struct region *region, uint32_t level_hash)
{
    return &region->generations->level[level_hash & (LAYOUT_GENERATIONS - 1)];
}

/* The store is the only writer, so there is nothing to lose in between. */
static void raise_one(_Atomic uint32_t *generation)
{
    uint32_t value = atomic_load_explicit(generation, memory_order_relaxed);

    atomic_store_explicit(generation, value + 1, memory_order_release); /* F */
}

uint32_t generation_hash(const struct region *region, struct bytes name_or_filter)
{
    return (uint32_t)hash_short(region_key(region), first_level(name_or_filter));
}

struct generation generation_read(const struct region *region, uint32_t level_hash)
{
    const struct layout_generations *generations = region->generations;

    return (struct generation){
        .level = atomic_load_explicit(level_of(region, level_hash), memory_order_acquire), /* F */
        .wildcard = atomic_load_explicit(&generations->wildcard, memory_order_acquire),    /* F */
    };
}

uint32_t generation_live(const struct region *region)
{
    return atomic_load_explicit(&region->generations->live, memory_order_acquire); /* F */
}

void generation_raise_live(const struct region *region)
{
    raise_one(&region->generations->live);
    atomic_thread_fence(memory_order_seq_cst);
}

void generation_raise_filter(const struct region *region, struct bytes filter)
{
    if (begins_with_wildcard(filter))
        raise_one(&region->generations->wildcard);
    else
        raise_one(level_of(region, generation_hash(region, filter)));
    atomic_thread_fence(memory_order_seq_cst);
}

void generation_raise_all(const struct region *region)
{
    /* Every route is validated by the wildcard generation too. */
    raise_one(&region->generations->wildcard);
    atomic_thread_fence(memory_order_seq_cst);
}
