#include "worker/route/redistribute.h"

#include "worker/route/entry.h"
#include "worker/route/lookup.h"
#include "worker/route/shared.h"

enum { STEP_MESSAGES = 64 };

void redistribute_session(struct router *router, struct session *session)
{
    struct list_node *last = router->moving.prev;
    session_take_in_flight(session, &router->moving);
    session_take_queued(session, NULL, &router->moving);
    /* A new member's entry needs the body again, once that of this session is gone. */
    for (struct list_node *node = last->next; node != &router->moving; node = node->next)
        entry_end(&router->journal, list_owner(node, struct delivery, node));
}

void redistribute_queue(struct router *router, struct session *session, const struct share *share)
{
    struct list_node *last = router->moving.prev;
    session_take_queued(session, share, &router->moving);
    for (struct list_node *node = last->next; node != &router->moving; node = node->next)
        entry_done(&router->journal, session, list_owner(node, struct delivery, node));
}

static bool is_expired(const struct router *router, const struct publication *p)
{
    return p->expiry_at_ms != 0 && p->expiry_at_ms <= loop_now_ms(router->loop);
}

/* False when it has to wait. */
static bool place(struct router *router, struct publication *p, const struct hash128 *id)
{
    struct trie_group group = {.worker = (uint16_t)router->self};
    if (is_expired(router, p)) {
        stats_add(router->stats, STAT_publish_dropped, 1);
        return true;
    }
    if (lookup_group(router, p->topic, id, &group) == LOOKUP_GROUP_UNKNOWN)
        return false;
    if ((group.any & router->outbound.blocked) != 0)
        return false;
    if (group.worker != router->self)
        pass_on_message(router, p, group.worker, id);
    else
        (void)shared_deliver(router, p, id);
    return true;
}

static bool move(struct router *router, struct delivery *d)
{
    struct publication p = publication_of(d->message);
    p.origin = (uint16_t)router->self;
    p.is_repeat = d->sent && d->packet_id == 0; /* came before a death: see deliver.c */
    bool is_placed = place(router, &p, &d->share->id);
    publication_done(&p);
    return is_placed;
}

bool redistribute_step(struct router *router)
{
    for (unsigned i = 0; i < STEP_MESSAGES; i++) {
        struct list_node *node = list_first(&router->moving);
        if (node == NULL)
            return false;
        struct delivery *d = list_owner(node, struct delivery, node);
        if (!move(router, d))
            return false;
        delivery_free(d);
    }
    return !list_is_empty(&router->moving);
}

void redistribute_done(struct router *router)
{
    list_for_each(node, &router->moving)
        delivery_free(list_owner(node, struct delivery, node));
}
