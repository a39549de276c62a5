#include "worker/route/shared.h"

#include "worker/route/deliver.h"
#include "worker/route/lookup.h"
#include "worker/route/redistribute.h"

/* Clients that work off one message at a time want the next one to go to whoever is
 * idle, wherever. With many messages, where all are busy, asking would cost more
 * than it brings. */
enum { ASKS_PER_MS = 16 };

/* Members to look at for somebody who can take a message at once, when others could
 * take it later: the next message looks at the next ones. */
enum { LOOKS_MAX = 256 };

static void turn(struct group *group, struct subscription *s)
{
    list_remove(&s->filter_node);
    list_push_back(&group->members, &s->filter_node);
}

/* The best member here; the first of the equally good. Those who were looked at are
 * the last to be asked again. NULL when there is none, and DELIVER_NEVER then. */
static struct subscription *find_member(const struct router *router, struct group *group,
                                        const struct publication *publication,
                                        enum deliver_prospect *ret_prospect)
{
    struct subscription *best = NULL;
    *ret_prospect = DELIVER_NEVER;
    if (group == NULL)
        return NULL;
    enum deliver_prospect ideal = group->online_count > 0 ? DELIVER_AT_ONCE : DELIVER_OFFLINE;
    for (unsigned looks = 1; looks <= group->member_count; looks++) {
        struct subscription *s =
            list_owner(list_first(&group->members), struct subscription, filter_node);
        enum deliver_prospect prospect = deliver_prospect(router, s, publication);
        turn(group, s);
        if (best == NULL || prospect < *ret_prospect) {
            best = s;
            *ret_prospect = prospect;
        }
        if (prospect <= ideal || (looks >= LOOKS_MAX && *ret_prospect <= DELIVER_CONGESTED))
            break;
    }
    return best;
}

static unsigned next_worker(uint64_t workers, unsigned after)
{
    uint64_t above = workers & -(UINT64_C(2) << after);
    return (unsigned)__builtin_ctzll(above != 0 ? above : workers);
}

/* What came from another worker, whose publisher is to be told that it is on disk, stays
 * where it can be kept: that publisher's worker waits for us, and for nobody else. */
static bool may_ask(struct router *router, const struct publication *publication,
                    enum deliver_prospect prospect)
{
    uint64_t now = loop_now_ms(router->loop);
    if (publication->is_arrival && publication->qos > 0 && router->journal.is_on)
        return prospect == DELIVER_NEVER;
    if (prospect != DELIVER_SOON)
        return prospect > DELIVER_SOON;
    if (router->asked_at_ms != now)
        router->ask_count = 0;
    router->asked_at_ms = now;
    return router->ask_count++ < ASKS_PER_MS;
}

static unsigned count_of(uint64_t workers)
{
    return (unsigned)__builtin_popcountll(workers);
}

/* Would a member keep it for when it is back? */
static bool may_be_kept(const struct router *router, const struct publication *publication)
{
    return publication->qos > 0 || router->tunable->queue_qos0_messages;
}

/* Of these, the ones with room in their rings. Without any, a message may wait for one,
 * but not QoS 0 from elsewhere: nothing would bound how much of it comes meanwhile. */
static uint64_t find_open(const struct router *router, const struct publication *publication,
                          uint64_t workers)
{
    uint64_t open = workers & ~router->outbound.blocked;
    bool may_wait = publication->qos > 0 || !publication->is_arrival;
    return open != 0 || !may_wait ? open : workers;
}

/* The workers that may do better than `prospect`. Online members are asked once around
 * for something better; when there is no way at all here, all of them, twice around:
 * the second time none declines what it can keep. */
static uint64_t find_workers(const struct router *router, const struct publication *publication,
                             const struct trie_group *group, enum deliver_prospect prospect)
{
    uint64_t self = UINT64_C(1) << router->self;
    uint64_t online = group->online & ~self;
    unsigned around = count_of(group->any | self);
    if (prospect != DELIVER_NEVER)
        return publication->hops < count_of(online) ? online & ~router->outbound.blocked : 0;
    if (publication->hops >= (group->online != 0 ? around * 2 : around - 1))
        return 0;
    if (online != 0 && publication->hops + 1U < around)
        return find_open(router, publication, online);
    return may_be_kept(router, publication) ? find_open(router, publication, group->any & ~self)
                                            : 0;
}

/* The next of them. */
static bool find_worker(struct router *router, const struct publication *publication,
                        const struct hash128 *id, enum deliver_prospect prospect,
                        unsigned *ret_worker)
{
    struct trie_group group;
    if (lookup_group(router, publication->topic, id, &group) != LOOKUP_GROUP_FOUND)
        return false;
    uint64_t others = find_workers(router, publication, &group, prospect);
    if (others == 0)
        return false;
    *ret_worker = next_worker(others, router->self);
    return true;
}

/* -- what may have been delivered before -- */

static bool has_known(struct router *router, const struct group *group, uint64_t message_id)
{
    if (group == NULL)
        return false;
    list_for_each(node, &group->members) {
        const struct subscription *s = list_owner(node, struct subscription, filter_node);
        if (deliver_is_known(router, s->session, message_id))
            return true;
    }
    return false;
}

/* The next worker whose members may know it; false when all were asked. */
static bool find_asked(struct router *router, const struct publication *publication,
                       const struct hash128 *id, unsigned *ret_worker)
{
    uint64_t self = UINT64_C(1) << router->self;
    struct trie_group group;
    if (lookup_group(router, publication->topic, id, &group) != LOOKUP_GROUP_FOUND)
        return false;
    if (publication->hops + 1U >= count_of(group.any | self))
        return false;
    *ret_worker = next_worker(group.any & ~self, router->self);
    return true;
}

/* What its publisher's worker takes for settled now is on disk. */
static uint64_t pass_on(struct router *router, struct publication *publication,
                        const struct hash128 *id, unsigned worker)
{
    pass_on_message(router, publication, worker, id);
    if (publication->is_arrival && publication->qos > 0 && router->journal.is_on)
        redistribute_passed(router, publication, id, worker);
    return UINT64_C(1) << worker;
}

/* Nobody's: to the best member, wherever. */
static uint64_t deliver_new(struct router *router, struct publication *publication,
                            const struct hash128 *id)
{
    struct group *group = filters_find_group(&router->filters, id);
    enum deliver_prospect prospect;
    struct subscription *s = find_member(router, group, publication, &prospect);
    unsigned worker;
    if (may_ask(router, publication, prospect) &&
        find_worker(router, publication, id, prospect, &worker))
        return pass_on(router, publication, id, worker);
    if (s == NULL) {
        stats_add(router->stats, STAT_publish_dropped, 1);
        return 0;
    }
    turn(group, s); /* once more: so that the equally good take turns */
    deliver_live(router, s, publication);
    return 0;
}

/* A repeat goes once around, and to a member only when none of any worker knows it. */
static uint64_t deliver_repeat(struct router *router, struct publication *publication,
                               const struct hash128 *id)
{
    const struct group *group = filters_find_group(&router->filters, id);
    unsigned worker;
    if (has_known(router, group, publication->message_id))
        return 0;
    if (find_asked(router, publication, id, &worker))
        return pass_on(router, publication, id, worker);
    uint8_t hops = publication->hops;
    publication->hops = 0;
    publication->is_repeat = false;
    publication->may_be_sent = true;
    uint64_t workers = deliver_new(router, publication, id);
    publication->hops = hops;
    publication->is_repeat = true;
    publication->may_be_sent = false;
    return workers;
}

uint64_t shared_deliver(struct router *router, struct publication *publication,
                        const struct hash128 *id)
{
    return publication->is_repeat ? deliver_repeat(router, publication, id)
                                  : deliver_new(router, publication, id);
}
