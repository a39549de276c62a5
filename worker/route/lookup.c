#include "worker/route/lookup.h"

#include "common/base/check.h"
#include "common/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { OWN_FILTERS_MAX = 4096 }; /* of this worker's filters that one topic can match */

/* One look-up that is not in the cache. */
struct lookup_scratch {
    struct trie_match match;
    struct filter *own[OWN_FILTERS_MAX];
};

struct lookup_scratch *lookup_scratch_new(void)
{
    struct lookup_scratch *scratch = malloc(sizeof(*scratch));
    if (scratch == NULL)
        fatal("no memory for routing");
    return scratch;
}

void lookup_scratch_free(struct lookup_scratch *scratch)
{
    free(scratch);
}

static bool is_valid(const struct router *router, const struct route_entry *entry,
                     struct generation shared)
{
    struct generation own = filters_generation(&router->filters, entry->level_hash);
    return entry->shared.level == shared.level && entry->shared.wildcard == shared.wildcard &&
           entry->own.level == own.level && entry->own.wildcard == own.wildcard;
}

static void log_cut(struct bytes topic)
{
    static struct log_rate rate;
    unsigned suppressed;
    if (log_rate_allows(&rate, 5, &suppressed))
        log_warning("Topic %s matches more subscriptions than a look-up may cost; some are missed.",
                    log_text(topic).text);
}

/* Which workers want the topic, by the shared trie. When that can't be read, all
 * do: each matches again with its own filters. */
static bool look_up_workers(struct router *router, struct bytes topic)
{
    struct trie_match *m = &router->scratch->match;
    if (router_renew(router) && trie_match(router->live, topic, router->turn++, m) == 0)
        return true;
    m->any = (1ULL << router->region->worker_count) - 1;
    m->persistent = m->any;
    m->group_count = 0;
    m->cut = false;
    return false;
}

static unsigned look_up_own(struct router *router, struct bytes topic)
{
    unsigned count = filters_match(&router->filters, topic, router->scratch->own, OWN_FILTERS_MAX);
    if (count <= OWN_FILTERS_MAX)
        return count;
    log_cut(topic);
    return OWN_FILTERS_MAX;
}

static void remember(struct router *router, struct bytes topic, uint64_t hash, uint32_t level_hash,
                     struct generation shared, const struct lookup *found)
{
    struct route_entry *entry = cache_put(router->cache, topic, hash, found->own_count);
    if (entry == NULL)
        return;
    entry->any = found->any;
    entry->persistent = found->persistent;
    entry->shared = shared;
    entry->own = filters_generation(&router->filters, level_hash);
    entry->level_hash = level_hash;
    entry->has_groups = found->group_count > 0;
    if (found->own_count > 0)
        memcpy(entry->filters, found->own, found->own_count * sizeof(found->own[0]));
}

static struct lookup result_in(struct route_entry *entry)
{
    return (struct lookup){
        .any = entry->any,
        .persistent = entry->persistent,
        .own = entry->filters,
        .own_count = entry->filter_count,
    };
}

void lookup_all(struct router *router, struct bytes topic, struct lookup *ret)
{
    uint64_t hash;
    struct route_entry *entry = cache_get(router->cache, topic, &hash);
    uint32_t level_hash = entry != NULL ? entry->level_hash
                                        : generation_hash(router->region, topic);
    /* Before the look-up: a change in between makes the entry stale, not wrong. */
    struct generation shared = generation_read(router->region, level_hash);
    bool is_current = entry != NULL && is_valid(router, entry, shared);
    if (is_current && !entry->has_groups) {
        stats_add(router->stats, STAT_route_hits, 1);
        *ret = result_in(entry);
        return;
    }
    stats_add(router->stats, STAT_route_misses, 1);
    struct trie_match *m = &router->scratch->match;
    bool is_known = look_up_workers(router, topic);
    if (m->cut)
        log_cut(topic);
    if (is_current)
        *ret = result_in(entry);
    else
        *ret =
            (struct lookup){.own = router->scratch->own, .own_count = look_up_own(router, topic)};
    ret->any = m->any;
    ret->persistent = m->persistent;
    ret->group_count = m->group_count;
    ret->groups = m->groups;
    if (is_known && !is_current)
        remember(router, topic, hash, level_hash, shared, ret);
}

void lookup_own(struct router *router, struct bytes topic, struct lookup *ret)
{
    uint64_t hash;
    struct route_entry *entry = cache_get(router->cache, topic, &hash);
    if (entry != NULL) {
        struct generation own = filters_generation(&router->filters, entry->level_hash);
        if (entry->own.level == own.level && entry->own.wildcard == own.wildcard) {
            *ret = result_in(entry);
            return;
        }
    }
    lookup_all(router, topic, ret);
}

enum lookup_group lookup_group(struct router *router, struct bytes topic, const struct hash128 *id,
                               struct trie_group *ret_group)
{
    const struct trie_match *m = &router->scratch->match;
    if (!look_up_workers(router, topic))
        return LOOKUP_GROUP_UNKNOWN;
    for (unsigned i = 0; i < m->group_count; i++) {
        if (memcmp(&m->groups[i].id, id, sizeof(*id)) == 0) {
            *ret_group = m->groups[i];
            return LOOKUP_GROUP_FOUND;
        }
    }
    return LOOKUP_GROUP_NONE;
}
