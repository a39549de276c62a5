#include "worker/route/cache.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <stdlib.h>
#include <string.h>

struct route_cache {
    const struct hash_key *key;
    struct route_entry *slots[CACHE_SLOTS];
};

struct route_cache *cache_new(const struct hash_key *key)
{
    struct route_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        fatal("no memory for the route cache");
    cache->key = key;
    return cache;
}

void cache_free(struct route_cache *cache)
{
    if (cache == NULL)
        return;
    for (unsigned i = 0; i < CACHE_SLOTS; i++)
        free(cache->slots[i]);
    free(cache);
}

static uint8_t *topic_place(struct route_entry *entry)
{
    return (uint8_t *)&entry->filters[entry->filter_count];
}

struct route_entry *cache_get(struct route_cache *cache, struct bytes topic, uint64_t *ret_hash)
{
    *ret_hash = hash_short(cache->key, topic);
    struct route_entry *entry = cache->slots[*ret_hash % CACHE_SLOTS];
    if (entry == NULL || entry->hash != *ret_hash || entry->topic_size != topic.size)
        return NULL;
    return memcmp(topic_place(entry), topic.data, topic.size) == 0 ? entry : NULL;
}

struct route_entry *cache_put(struct route_cache *cache, struct bytes topic, uint64_t hash,
                              unsigned filter_count)
{
    if (topic.size > CACHE_TOPIC_MAX || filter_count > CACHE_FILTERS_MAX)
        return NULL;
    struct route_entry *entry =
        calloc(1, sizeof(*entry) + filter_count * sizeof(entry->filters[0]) + topic.size);
    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    entry->topic_size = (uint16_t)topic.size;
    entry->filter_count = (uint16_t)filter_count;
    memcpy(topic_place(entry), topic.data, topic.size);
    struct route_entry **slot = &cache->slots[hash % CACHE_SLOTS];
    free(*slot);
    *slot = entry;
    return entry;
}
