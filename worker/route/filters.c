#include "worker/route/filters.h"

#include "common/base/check.h"
#include "shm/generation.h"
#include "worker/session/session.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH_SIZE = sizeof(struct filter *) + UINT16_MAX };

static struct bytes filter_key(const void *item)
{
    const struct filter *f = item;
    return (struct bytes){f->key, f->key_size};
}

static struct bytes group_key(const void *item)
{
    const struct group *g = item;
    return (struct bytes){g->share->id.bytes, sizeof(g->share->id.bytes)};
}

static struct bytes level_of(const struct filter *filter)
{
    return bytes_from(filter_key(filter), sizeof(struct filter *));
}

static struct bytes make_key(struct filters *filters, const struct filter *parent,
                             struct bytes level)
{
    memcpy(filters->scratch, &parent, sizeof(parent));
    if (level.size > 0)
        memcpy(filters->scratch + sizeof(parent), level.data, level.size);
    return (struct bytes){filters->scratch, sizeof(parent) + level.size};
}

static struct filter *new_node(struct filter *parent, struct bytes key)
{
    struct filter *f = calloc(1, sizeof(*f) + key.size);
    if (f == NULL)
        return NULL;
    f->parent = parent;
    list_init(&f->subscribers);
    list_init(&f->groups);
    f->key_size = (uint32_t)key.size;
    if (key.size > 0)
        memcpy(f->key, key.data, key.size);
    return f;
}

void filters_init(struct filters *filters, const struct region *region, void *owner)
{
    *filters = (struct filters){.region = region, .owner = owner};
    map_init(&filters->nodes, filter_key, region_key(region));
    map_init(&filters->groups, group_key, region_key(region));
    filters->scratch = malloc(SCRATCH_SIZE);
    filters->root = new_node(NULL, (struct bytes){NULL, 0});
    if (filters->scratch == NULL || filters->root == NULL)
        fatal("no memory for the filters");
}

void filters_done(struct filters *filters)
{
    check(filters->nodes.count == 0 && filters->groups.count == 0);
    map_done(&filters->nodes);
    map_done(&filters->groups);
    free(filters->scratch);
    free(filters->root);
}

static struct filter *find_child(struct filters *filters, const struct filter *parent,
                                 struct bytes level)
{
    return map_get(&filters->nodes, make_key(filters, parent, level));
}

static struct filter *add_child(struct filters *filters, struct filter *parent, struct bytes level)
{
    struct filter *f = new_node(parent, make_key(filters, parent, level));
    if (f == NULL)
        return NULL;
    if (map_put(&filters->nodes, f) != 0) {
        free(f);
        return NULL;
    }
    parent->child_count++;
    if (topic_level_is_plus(level))
        parent->has_plus = true;
    if (topic_level_is_hash(level))
        parent->has_hash = true;
    return f;
}

static bool is_unused(const struct filter *f)
{
    return f->parent != NULL && f->child_count == 0 && list_is_empty(&f->subscribers) &&
           list_is_empty(&f->groups);
}

/* Frees the node and every ancestor that only led to it. */
static void prune(struct filters *filters, struct filter *f)
{
    while (is_unused(f)) {
        struct filter *parent = f->parent;
        check(f->unsent == NULL);
        check(map_remove(&filters->nodes, filter_key(f)) == f);
        parent->child_count--;
        if (topic_level_is_plus(level_of(f)))
            parent->has_plus = false;
        if (topic_level_is_hash(level_of(f)))
            parent->has_hash = false;
        free(f);
        f = parent;
    }
}

static struct filter *find_filter(struct filters *filters, struct bytes text)
{
    struct filter *f = filters->root;
    struct topic_levels levels = topic_levels(text);
    for (struct bytes level; f != NULL && topic_next_level(&levels, &level);)
        f = find_child(filters, f, level);
    return f;
}

static struct filter *add_filter(struct filters *filters, struct bytes text)
{
    struct filter *f = filters->root;
    struct topic_levels levels = topic_levels(text);
    for (struct bytes level; topic_next_level(&levels, &level);) {
        struct filter *child = find_child(filters, f, level);
        if (child == NULL)
            child = add_child(filters, f, level);
        if (child == NULL) {
            prune(filters, f);
            return NULL;
        }
        f = child;
    }
    return f;
}

static bool begins_with_wildcard(struct bytes filter)
{
    struct bytes first = topic_first_level(filter);
    return topic_level_is_plus(first) || topic_level_is_hash(first);
}

/* The own lists changed under this filter: cached matches are stale. */
static void raise_generation(struct filters *filters, struct bytes text)
{
    if (begins_with_wildcard(text))
        filters->wildcard_generation++;
    else
        filters->level_generations[generation_hash(filters->region, text) % LAYOUT_GENERATIONS]++;
}

struct generation filters_generation(const struct filters *filters, uint32_t level_hash)
{
    return (struct generation){filters->level_generations[level_hash % LAYOUT_GENERATIONS],
                               filters->wildcard_generation};
}

struct hash128 filters_group_id(struct bytes text)
{
    /* Not secret, and the same for ever: it is on disk. Nobody finds two names with one hash
     * of 128 bits. */
    static const struct hash_key key = {"courtier sharing"};
    return hash_long(&key, text);
}

struct group *filters_find_group(struct filters *filters, const struct hash128 *id)
{
    return map_get(&filters->groups, (struct bytes){id->bytes, sizeof(id->bytes)});
}

struct share *filters_share(struct filters *filters, const struct hash128 *id)
{
    const struct group *group = filters_find_group(filters, id);
    return group == NULL ? share_new(id) : share_get(group->share);
}

static struct group *add_group(struct filters *filters, struct filter *filter,
                               const struct hash128 *id, struct bytes name)
{
    struct group *g = calloc(1, sizeof(*g) + name.size);
    struct share *share = share_new(id);
    if (g == NULL || share == NULL) {
        free(g);
        share_put(share);
        return NULL;
    }
    g->filter = filter;
    g->share = share;
    g->name_size = (uint16_t)name.size;
    memcpy(g->name, name.data, name.size);
    list_init(&g->members);
    if (map_put(&filters->groups, g) != 0) {
        share_put(share);
        free(g);
        return NULL;
    }
    list_push_back(&filter->groups, &g->node);
    return g;
}

static void free_group(struct filters *filters, struct group *g)
{
    check(g->unsent == NULL);
    check(map_remove(&filters->groups, group_key(g)) == g);
    share_put(g->share);
    list_remove(&g->node);
    free(g);
}

/* A session may have many subscriptions, and a filter many subscribers, but the
 * one looked for is in both lists: walks both at once, until the shorter ends. */
static struct subscription *find_in_both(const struct session *session,
                                         const struct list_node *subscribers,
                                         const struct filter *filter, const struct group *group)
{
    struct list_node *mine = session->subscriptions.next;
    struct list_node *theirs = subscribers->next;
    for (; mine != &session->subscriptions && theirs != subscribers;
         mine = mine->next, theirs = theirs->next) {
        struct subscription *a = list_owner(mine, struct subscription, session_node);
        struct subscription *b = list_owner(theirs, struct subscription, filter_node);
        if (a->filter == filter && a->group == group)
            return a;
        if (b->session == session)
            return b;
    }
    return NULL;
}

struct subscription *filters_find(struct filters *filters, const struct session *session,
                                  const struct topic_share *share, struct bytes text)
{
    struct filter *f = find_filter(filters, share->filter);
    if (f == NULL)
        return NULL;
    if (share->group.size == 0)
        return find_in_both(session, &f->subscribers, f, NULL);
    struct hash128 id = filters_group_id(text);
    struct group *g = filters_find_group(filters, &id);
    return g == NULL ? NULL : find_in_both(session, &g->members, f, g);
}

static void count_in(struct filters *filters, struct subscription *s)
{
    struct session *session = s->session;
    if (s->group != NULL) {
        list_push_back(&s->group->members, &s->filter_node);
        s->group->member_count++;
        stats_add(session->table->stats, STAT_shared_subscriptions, 1);
        if (session->conn != NULL) {
            s->is_counted_online = true;
            s->group->online_count++;
        }
        filters->on_group_change(filters->owner, s->group);
        return;
    }
    stats_add(session->table->stats, STAT_subscriptions, 1);
    bool is_first = list_is_empty(&s->filter->subscribers);
    list_push_back(&s->filter->subscribers, &s->filter_node);
    if (session_is_persistent(session)) {
        s->is_counted_persistent = true;
        s->filter->persistent_count++;
    }
    if (is_first || (s->is_counted_persistent && s->filter->persistent_count == 1))
        filters->on_filter_change(filters->owner, s->filter);
}

struct subscription *filters_add(struct filters *filters, struct session *session,
                                 const struct topic_share *share, struct bytes text)
{
    struct filter *f = add_filter(filters, share->filter);
    if (f == NULL)
        return NULL;
    struct group *g = NULL;
    struct subscription *s = calloc(1, sizeof(*s));
    if (s != NULL && share->group.size > 0) {
        struct hash128 id = filters_group_id(text);
        g = filters_find_group(filters, &id);
        if (g == NULL)
            g = add_group(filters, f, &id, share->group);
    }
    if (s == NULL || (share->group.size > 0 && g == NULL)) {
        free(s);
        prune(filters, f);
        return NULL;
    }
    s->session = session;
    s->filter = f;
    s->group = g;
    list_init(&s->filter_node);
    list_push_back(&session->subscriptions, &s->session_node);
    session->subscription_count++;
    if (g == NULL && list_is_empty(&f->subscribers))
        raise_generation(filters, share->filter);
    count_in(filters, s);
    return s;
}

static void leave_group(struct filters *filters, struct subscription *s)
{
    struct group *g = s->group;
    stats_subtract(s->session->table->stats, STAT_shared_subscriptions, 1);
    g->member_count--;
    if (s->is_counted_online)
        g->online_count--;
    filters->on_group_change(filters->owner, g);
    if (g->member_count == 0)
        free_group(filters, g);
}

static void leave_filter(struct filters *filters, struct subscription *s)
{
    struct filter *f = s->filter;
    stats_subtract(s->session->table->stats, STAT_subscriptions, 1);
    bool was_last_persistent = s->is_counted_persistent && --f->persistent_count == 0;
    if (was_last_persistent || list_is_empty(&f->subscribers))
        filters->on_filter_change(filters->owner, f);
}

void filters_remove(struct filters *filters, struct subscription *subscription)
{
    struct subscription *s = subscription;
    struct filter *f = s->filter;
    struct session *session = s->session;
    list_remove(&s->session_node);
    list_remove(&s->filter_node);
    session->subscription_count--;
    if (s->group != NULL)
        leave_group(filters, s);
    else
        leave_filter(filters, s);
    free(s);
    /* The cache holds pointers to nodes: whenever one may go, it must know. */
    if (is_unused(f)) {
        raise_generation(filters, filters_text(f, filters->scratch, SCRATCH_SIZE));
        prune(filters, f);
    }
}

void filters_remove_all(struct filters *filters, struct session *session)
{
    for (struct list_node *node; (node = list_first(&session->subscriptions)) != NULL;)
        filters_remove(filters, list_owner(node, struct subscription, session_node));
}

static void update_group(struct filters *filters, struct subscription *s, bool is_online)
{
    if (s->is_counted_online == is_online)
        return;
    s->is_counted_online = is_online;
    if (is_online)
        s->group->online_count++;
    else
        s->group->online_count--;
    filters->on_group_change(filters->owner, s->group);
}

static void update_plain(struct filters *filters, struct subscription *s, bool is_persistent)
{
    if (s->is_counted_persistent == is_persistent)
        return;
    s->is_counted_persistent = is_persistent;
    uint32_t before = s->filter->persistent_count;
    s->filter->persistent_count = is_persistent ? before + 1 : before - 1;
    if (before == 0 || s->filter->persistent_count == 0)
        filters->on_filter_change(filters->owner, s->filter);
}

void filters_update_session(struct filters *filters, struct session *session)
{
    bool is_persistent = session_is_persistent(session);
    list_for_each(node, &session->subscriptions) {
        struct subscription *s = list_owner(node, struct subscription, session_node);
        if (s->group != NULL)
            update_group(filters, s, session->conn != NULL);
        else
            update_plain(filters, s, is_persistent);
    }
}

struct bytes filters_text(const struct filter *filter, uint8_t *memory, size_t size)
{
    uint8_t *place = memory + size;
    for (const struct filter *f = filter; f->parent != NULL; f = f->parent) {
        struct bytes level = level_of(f);
        check((size_t)(place - memory) > level.size);
        if (f != filter)
            *--place = '/';
        place -= level.size;
        memcpy(place, level.data, level.size);
    }
    return (struct bytes){place, (size_t)(memory + size - place)};
}
