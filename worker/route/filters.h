#ifndef COURTIER_WORKER_ROUTE_FILTERS_H
#define COURTIER_WORKER_ROUTE_FILTERS_H

/*
 * This worker's own subscribers: a private trie of filters with exact lists. The
 * shared trie knows only which workers want a filter; here stands who exactly.
 * When what the worker wants changes (first subscriber of a filter, last one
 * gone), on_change() is called and the store is told (worker/route/announce.h).
 *
 * Nodes are found through one map keyed by (parent, level name), as the shared
 * trie does it, so that a filter costs one small allocation per new level.
 */

#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/mqtt/packet.h"
#include "common/mqtt/topic.h"
#include "shm/region.h"

#include <stdbool.h>
#include <stdint.h>

struct announcement;
struct session;
struct share;

/* A node of the trie: the filter that ends here. */
struct filter {
    struct filter *parent;        /* NULL: the root */
    struct list_node subscribers; /* of struct subscription, plain ones */
    struct list_node groups;      /* of struct group */
    struct announcement *unsent;  /* what the store is still to be told; NULL: nothing */
    uint64_t serial;              /* of the latest announcement; 0: none ever */
    uint32_t child_count;
    uint32_t persistent_count; /* subscribers whose session is persistent */
    bool has_plus;             /* children that a walk must probe */
    bool has_hash;
    uint32_t key_size;
    uint8_t key[]; /* parent pointer, level name */
};

/* A shared group's members here. */
struct group {
    struct list_node node; /* in filter->groups */
    struct filter *filter;
    struct list_node members; /* of struct subscription; the next to serve first */
    struct announcement *unsent;
    uint64_t serial;
    struct share *share; /* its id, which its deliveries may need longer */
    uint32_t member_count;
    uint32_t online_count;
    uint16_t name_size;
    uint8_t name[];
};

/* One session's subscription to one filter. */
struct subscription {
    struct list_node session_node; /* in session->subscriptions */
    struct list_node filter_node;  /* in filter->subscribers or group->members */
    struct session *session;
    struct filter *filter;
    struct group *group; /* NULL: plain */
    uint32_t id;         /* Subscription Identifier; 0: none */
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    bool is_counted_persistent;
    bool is_counted_online;
};

struct filters {
    struct map nodes;
    struct map groups; /* by id */
    struct filter *root;
    const struct region *region;
    uint8_t *scratch; /* key of one probe: pointer and longest level */
    uint32_t level_generations[LAYOUT_GENERATIONS]; /* own lists: a filter came or went */
    uint32_t wildcard_generation;
    /* What this worker wants of a filter or group changed; may be called for one
     * that is about to be freed, with nobody left in it. */
    void (*on_filter_change)(void *owner, struct filter *filter);
    void (*on_group_change)(void *owner, struct group *group);
    void *owner;
};

/* Aborts without memory. */
void filters_init(struct filters *filters, const struct region *region, void *owner);
/* All sessions' subscriptions must be gone. */
void filters_done(struct filters *filters);

/* The session's subscription to this (share of a) filter, or NULL. `share` comes
 * from topic_check_subscription(). */
struct subscription *filters_find(struct filters *filters, const struct session *session,
                                  const struct topic_share *share, struct bytes text);
/* Adds one that is not there yet; `text` is the whole filter as subscribed, with
 * "$share". The caller sets its options. NULL without memory. */
struct subscription *filters_add(struct filters *filters, struct session *session,
                                 const struct topic_share *share, struct bytes text);
/* Takes it out and frees it. */
void filters_remove(struct filters *filters, struct subscription *subscription);
void filters_remove_all(struct filters *filters, struct session *session);
/* The session came online, went offline, or changed its persistence. */
void filters_update_session(struct filters *filters, struct session *session);

/* All filters with plain subscribers that match a topic name, up to `max`. Their
 * number; `max` + 1 when there were more, or the walk became too wide. */
unsigned filters_match(struct filters *filters, struct bytes topic, struct filter **ret_filters,
                       unsigned max);
/* Changes when filters_match() could give another answer for this topic. */
struct generation filters_generation(const struct filters *filters, uint32_t level_hash);
struct group *filters_find_group(struct filters *filters, const struct hash128 *id);
/* The id of the group of this subscription ("$share/group/filter"): the same in all workers,
 * and after restarts. */
struct hash128 filters_group_id(struct bytes text);
/* The share of this group, be there members here or not; a reference, which is the caller's.
 * NULL without memory. */
struct share *filters_share(struct filters *filters, const struct hash128 *id);
/* The filter's text in `memory` (65536 bytes suffice). */
struct bytes filters_text(const struct filter *filter, uint8_t *memory, size_t size);

#endif
