#include "worker/route/route.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "shm/live/trie.h"
#include "worker/route/deliver.h"
#include "worker/route/replay.h"

#include <stdlib.h>
#include <string.h>

enum { OWN_FILTERS_MAX = 4096 }; /* of this worker's filters that one topic can match */

/* What a look-up gives; `own` points into the cache entry or into scratch. */
struct found {
    uint64_t any;
    struct filter **own;
    unsigned own_count;
    unsigned group_count;
    struct trie_group *groups;
};

/* One look-up that is not in the cache; done with before the next begins, since
 * nothing that a delivery does comes back here within it. */
struct route_scratch {
    struct trie_match match;
    struct filter *own[OWN_FILTERS_MAX];
};

struct route_scratch *route_scratch_new(void)
{
    struct route_scratch *scratch = malloc(sizeof(*scratch));
    if (scratch == NULL)
        fatal("no memory for routing");
    return scratch;
}

void route_scratch_free(struct route_scratch *scratch)
{
    free(scratch);
}

/* -- looking up -- */

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
                     struct generation shared, const struct found *found)
{
    struct route_entry *entry = cache_put(router->cache, topic, hash, found->own_count);
    if (entry == NULL)
        return;
    entry->any = found->any;
    entry->shared = shared;
    entry->own = filters_generation(&router->filters, level_hash);
    entry->level_hash = level_hash;
    entry->has_groups = found->group_count > 0;
    if (found->own_count > 0)
        memcpy(entry->filters, found->own, found->own_count * sizeof(found->own[0]));
}

static struct found found_in(struct route_entry *entry)
{
    return (struct found){
        .any = entry->any,
        .own = entry->filters,
        .own_count = entry->filter_count,
    };
}

/* For a publication that enters here: everything. */
static void find(struct router *router, struct bytes topic, struct found *ret)
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
        *ret = found_in(entry);
        return;
    }
    stats_add(router->stats, STAT_route_misses, 1);
    struct trie_match *m = &router->scratch->match;
    bool is_known = look_up_workers(router, topic);
    if (m->cut)
        log_cut(topic);
    if (is_current)
        *ret = found_in(entry);
    else
        *ret = (struct found){.own = router->scratch->own, .own_count = look_up_own(router, topic)};
    ret->any = m->any;
    ret->group_count = m->group_count;
    ret->groups = m->groups;
    if (is_known && !is_current)
        remember(router, topic, hash, level_hash, shared, ret);
}

/* For a message from another worker: our own filters, whoever else wants it. */
static void find_own(struct router *router, struct bytes topic, struct found *ret)
{
    uint64_t hash;
    struct route_entry *entry = cache_get(router->cache, topic, &hash);
    if (entry != NULL) {
        struct generation own = filters_generation(&router->filters, entry->level_hash);
        if (entry->own.level == own.level && entry->own.wildcard == own.wildcard) {
            *ret = found_in(entry);
            return;
        }
    }
    find(router, topic, ret);
}

/* -- delivering here -- */

static void deliver_to(struct router *router, struct subscription *s,
                       struct publication *publication)
{
    struct deliver_terms terms;
    if (!deliver_terms_of(router, s, publication, &terms))
        return;
    if (publication->retain)
        replay_saw(s->session, publication->topic);
    deliver_message(router, s->session, publication, &terms);
}

static void deliver_plain(struct router *router, struct publication *publication,
                          struct filter **filters, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        list_for_each(node, &filters[i]->subscribers)
            deliver_to(router, list_owner(node, struct subscription, filter_node), publication);
}

/* The next online member with room, else the next that is online, else the next
 * that is persistent. The list is turned so that they take turns. */
static struct subscription *pick_member(struct group *group)
{
    struct subscription *fallback = NULL;
    list_for_each(node, &group->members) {
        struct subscription *s = list_owner(node, struct subscription, filter_node);
        bool is_online = s->session->conn != NULL;
        if (is_online && session_window_is_open(s->session))
            return s;
        if (fallback == NULL || (is_online && fallback->session->conn == NULL))
            fallback = s;
    }
    return fallback;
}

static void deliver_to_group(struct router *router, struct publication *publication,
                             struct group *group)
{
    struct subscription *s = pick_member(group);
    list_remove(&s->filter_node);
    list_push_back(&group->members, &s->filter_node);
    deliver_to(router, s, publication);
}

/* -- handing over to others -- */

static struct record_message record_of(const struct publication *p, enum record_purpose purpose)
{
    return (struct record_message){
        .purpose = purpose,
        .message_id = p->message_id,
        .expiry_at_ms = p->expiry_at_ms,
        .publisher = p->publisher,
        .qos = p->qos,
        .retain = p->retain,
        .hops = p->hops,
        .topic = p->topic,
        .properties = p->properties,
        .payload = p->payload,
    };
}

/* Groups of `found` whose member is to be picked on `worker`, as a run of ids. */
static struct bytes groups_on(const struct found *found, unsigned worker,
                              struct hash128 memory[TRIE_GROUPS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < found->group_count; i++)
        if (found->groups[i].worker == worker)
            memory[count++] = found->groups[i].id;
    return (struct bytes){(const uint8_t *)memory, count * sizeof(memory[0])};
}

static void forward(struct router *router, struct publication *p, unsigned worker, bool plain,
                    struct bytes groups)
{
    struct record_message record = record_of(p, RECORD_FOR_DELIVERY);
    record.plain = plain;
    record.groups = groups;
    stats_add(router->stats, STAT_forwarded, 1);
    if (outbound_is_blocked(&router->outbound, worker))
        (void)publication_message(p); /* it must wait: let all destinations share one copy */
    struct outbound_message with = {
        .message = p->message,
        .publisher = p->origin == router->self ? p->publisher : 0,
    };
    (void)outbound_send_message(&router->outbound, worker, &record, &with);
}

static uint64_t workers_of(const struct found *found)
{
    uint64_t workers = found->any;
    for (unsigned i = 0; i < found->group_count; i++)
        workers |= 1ULL << found->groups[i].worker;
    return workers;
}

/* More groups than one record takes go in further ones. */
static void forward_groups(struct router *router, struct publication *p, unsigned worker,
                           bool plain, struct bytes groups)
{
    enum { RUN = RECORD_GROUPS_MAX * sizeof(struct hash128) };
    do {
        size_t size = groups.size < RUN ? groups.size : RUN;
        forward(router, p, worker, plain, (struct bytes){groups.data, size});
        groups = bytes_from(groups, size);
        plain = false;
    } while (groups.size > 0);
}

static void forward_all(struct router *router, struct publication *p, const struct found *found)
{
    struct hash128 ids[TRIE_GROUPS_MAX];
    uint64_t others = workers_of(found) & ~(1ULL << router->self);
    for (; others != 0; others &= others - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(others);
        forward_groups(router, p, worker, (found->any >> worker & 1) != 0,
                       groups_on(found, worker, ids));
    }
}

/* A group whose last member here left while the message was under way: another
 * worker may have one. Bounded: each pass is counted, and each has few tries to
 * pick a worker that is not this one. */
enum { HOPS_MAX = 4, PICKS_MAX = 8 };

static uint64_t pass_on(struct router *router, struct publication *p, const struct hash128 *id)
{
    const struct trie_match *m = &router->scratch->match;
    if (p->hops >= HOPS_MAX)
        return 0;
    for (unsigned picks = 0; picks < PICKS_MAX; picks++) {
        if (!look_up_workers(router, p->topic))
            return 0;
        for (unsigned i = 0; i < m->group_count; i++) {
            if (memcmp(&m->groups[i].id, id, sizeof(*id)) != 0 ||
                m->groups[i].worker == router->self)
                continue;
            p->hops++;
            forward(router, p, m->groups[i].worker, false,
                    (struct bytes){id->bytes, sizeof(id->bytes)});
            p->hops--;
            return 1ULL << m->groups[i].worker;
        }
    }
    return 0;
}

/* The workers that groups without a member here were passed on to. */
static uint64_t deliver_groups(struct router *router, struct publication *p, struct bytes groups)
{
    uint64_t workers = 0;
    struct reader r = reader_of(groups);
    while (reader_left(&r) >= sizeof(struct hash128)) {
        struct hash128 id;
        memcpy(&id, reader_bytes(&r, sizeof(id)).data, sizeof(id));
        struct group *group = filters_find_group(&router->filters, &id);
        if (group != NULL)
            deliver_to_group(router, p, group);
        else
            workers |= pass_on(router, p, &id);
    }
    return workers;
}

/* -- entry points -- */

static struct route_result route_now(struct router *router, struct publication *publication)
{
    struct found found;
    find(router, publication->topic, &found);
    uint64_t workers = workers_of(&found);
    forward_all(router, publication, &found);
    deliver_plain(router, publication, found.own, found.own_count);
    if (found.group_count > 0) {
        struct hash128 ids[TRIE_GROUPS_MAX];
        workers |= deliver_groups(router, publication, groups_on(&found, router->self, ids));
    }
    return (struct route_result){workers != 0, workers & ~(1ULL << router->self)};
}

/* The retained record of a publication that had to wait is in the ring. */
static void route_waited(void *owner, struct message *message, uint32_t publisher)
{
    struct router *router = owner;
    struct publication p = publication_of(message);
    p.publisher = publisher;
    p.origin = (uint16_t)router->self;
    p.publisher_session = publishers_session(&router->publishers, publisher);
    mesh_publish_to(&router->mesh, router->store);
    uint64_t workers = route_now(router, &p).workers;
    publishers_message_went(&router->publishers, publisher, workers);
    publication_done(&p);
}

/* Order 1: the retained record is visible before anything is looked up. False
 * when it has to wait; route_waited() goes on then. */
static bool put_retained(struct router *router, const struct publication *p)
{
    struct record_message record = record_of(p, RECORD_FOR_RETAIN);
    struct outbound_message with = {
        .message = p->message,
        .publisher = p->publisher,
        .then = route_waited,
    };
    if (!outbound_send_message(&router->outbound, router->store, &record, &with))
        return false;
    mesh_publish_to(&router->mesh, router->store);
    return true;
}

struct route_result route_publish(struct router *router, struct publication *publication)
{
    if (publication->retain && !put_retained(router, publication))
        return (struct route_result){.is_matched = true}; /* it waits: nothing is known */
    return route_now(router, publication);
}

void route_arrival(struct router *router, struct publication *publication, bool plain,
                   struct bytes groups)
{
    if (plain) {
        struct found found;
        find_own(router, publication->topic, &found);
        deliver_plain(router, publication, found.own, found.own_count);
    }
    (void)deliver_groups(router, publication, groups);
}
