#include "worker/route/route.h"

#include "worker/route/deliver.h"
#include "worker/route/forward.h"
#include "worker/route/hold.h"
#include "worker/route/lookup.h"
#include "worker/route/merge.h"
#include "worker/route/shared.h"

#include <string.h>

/* -- delivering here -- */

static void deliver_plain(struct router *router, struct publication *publication,
                          struct filter **filters, unsigned count)
{
    bool must_merge = count > 1 && !router->tunable->allow_duplicate_messages;
    if (must_merge && merge_deliver(router, publication, filters, count))
        return;
    for (unsigned i = 0; i < count; i++)
        list_for_each(node, &filters[i]->subscribers)
            deliver_live(router, list_owner(node, struct subscription, filter_node), publication);
}

/* The other workers that it was passed on to. */
static uint64_t deliver_groups(struct router *router, struct publication *p, struct bytes groups)
{
    uint64_t workers = 0;
    struct reader r = reader_of(groups);
    while (reader_left(&r) >= sizeof(struct hash128)) {
        struct hash128 id;
        memcpy(&id, reader_bytes(&r, sizeof(id)).data, sizeof(id));
        workers |= shared_deliver(router, p, &id);
    }
    return workers;
}

/* -- the journal -- */

/* The first record that was put since `serial` was the last; 0: none. */
static uint64_t first_since(const struct router *router, uint64_t serial)
{
    return router->journal.serial == serial ? 0 : serial + 1;
}

/* A client's retained message. What the broker says of itself is not kept; nor, while
 * the disk is bad, what nobody waits for, as the ring would fill up with it. */
static void keep_retained(struct router *router, const struct publication *p)
{
    struct record_message body = forward_record(p, RECORD_FOR_JOURNAL);
    struct record_journal record = {.kind = RECORD_KEEP_RETAINED, .message_id = p->message_id};
    bool is_kept = router->journal.is_on && p->publisher_session != NULL &&
                   (p->qos != QOS_AT_MOST_ONCE || router->journal.state == RECORD_JOURNAL_OK);
    if (is_kept)
        (void)journal_put_body(&router->journal, &record, &body, p->message, p->publisher);
}

/* The workers of which all subscribers are here for as long as they are connected. */
static uint64_t takers_of(const struct lookup *found)
{
    uint64_t keepers = found->persistent;
    for (unsigned i = 0; i < found->group_count; i++)
        keepers |= 1ULL << found->groups[i].worker;
    return found->any & ~keepers;
}

/* -- entry points -- */

static struct route_result route_now(struct router *router, struct publication *publication,
                                     uint64_t serial)
{
    struct lookup found;
    lookup_all(router, publication->topic, &found);
    uint64_t self = 1ULL << router->self;
    uint64_t workers = forward_workers(&found);
    uint64_t takers = takers_of(&found);
    if ((workers & ~self) != 0)
        forward_all(router, publication, &found);
    deliver_plain(router, publication, found.own, found.own_count);
    if (found.group_count > 0) {
        struct hash128 ids[TRIE_GROUPS_MAX];
        uint64_t others =
            deliver_groups(router, publication, forward_groups(&found, router->self, ids));
        workers |= others;
        takers &= ~others;
    }
    return (struct route_result){
        .is_matched = workers != 0,
        .workers = workers & ~self,
        .takers = takers & ~self,
        .is_refused = publication->is_refused,
        .kept = first_since(router, serial),
    };
}

/* The retained record of a publication that had to wait is in the ring. */
static void route_waited(void *owner, unsigned store, const struct outbound_message *with)
{
    struct router *router = owner;
    struct publication p = publication_of(with->message);
    p.publisher = with->publisher;
    p.origin = (uint16_t)router->self;
    p.publisher_session = publishers_session(&router->publishers, with->publisher);
    mesh_publish_to(&router->mesh, store);
    struct route_result result = route_now(router, &p, router->journal.serial);
    publishers_message_went(&router->publishers, with->publisher, result.workers, result.kept);
    publication_done(&p);
}

/* Order 1: the retained record is visible before anything is looked up. False
 * when it has to wait; route_waited() goes on then. */
static bool put_retained(struct router *router, const struct publication *p)
{
    struct record_message record = forward_record(p, RECORD_FOR_RETAIN);
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
    uint64_t serial = router->journal.serial;
    bool must_wait = publication->retain && !put_retained(router, publication);
    if (publication->retain)
        keep_retained(router, publication);
    if (must_wait) /* nothing is known */
        return (struct route_result){.is_matched = true, .kept = first_since(router, serial)};
    struct route_result result = route_now(router, publication, serial);
    if (result.kept != 0 && journal_is_behind(&router->journal))
        hold_briefly(router, router->self, publication->publisher);
    return result;
}

bool route_is_kept(struct router *router, struct bytes topic)
{
    struct lookup found;
    lookup_all(router, topic, &found);
    bool is_kept = (found.persistent & ~(1ULL << router->self)) != 0 || found.group_count > 0;
    for (unsigned i = 0; i < found.own_count; i++)
        is_kept = is_kept || found.own[i]->persistent_count > 0;
    return is_kept;
}

void route_arrival(struct router *router, struct publication *publication, bool plain,
                   struct bytes groups)
{
    if (plain) {
        struct lookup found;
        lookup_own(router, publication->topic, &found);
        deliver_plain(router, publication, found.own, found.own_count);
    }
    (void)deliver_groups(router, publication, groups);
}
