#include "worker/route/merge.h"

#include "worker/route/deliver.h"
#include "worker/route/replay.h"

#include <stdlib.h>

/* Subscriptions that match, those of one session side by side. */
struct matches {
    struct subscription **list;
    size_t count;
    uint32_t *ids; /* room for theirs */
};

static size_t count_subscriptions(struct filter *const *filters, unsigned count)
{
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        list_for_each(node, &filters[i]->subscribers)
            sum++;
    return sum;
}

static int by_session(const void *a, const void *b)
{
    const struct subscription *const *left = a;
    const struct subscription *const *right = b;
    uintptr_t x = (uintptr_t)(*left)->session;
    uintptr_t y = (uintptr_t)(*right)->session;
    return (x > y) - (x < y);
}

static void collect(struct matches *matches, struct filter *const *filters, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        list_for_each(node, &filters[i]->subscribers)
            matches->list[matches->count++] = list_owner(node, struct subscription, filter_node);
    qsort(matches->list, matches->count, sizeof(matches->list[0]), by_session);
}

/* Takes those of the next session off; at least one is left. */
static struct matches next_session(struct matches *matches)
{
    struct matches own = {.list = matches->list, .ids = matches->ids};
    const struct session *session = own.list[0]->session;
    while (own.count < matches->count && own.list[own.count]->session == session)
        own.count++;
    matches->list += own.count;
    matches->count -= own.count;
    return own;
}

static void deliver_joint(struct router *router, const struct matches *own,
                          struct publication *publication)
{
    struct deliver_terms joint = {.ids = {.list = own->ids}};
    bool is_wanted = false;
    for (size_t i = 0; i < own->count; i++) {
        struct deliver_terms one;
        if (!deliver_terms_of(router, own->list[i], publication, &one))
            continue;
        is_wanted = true;
        joint.retain |= one.retain;
        if (one.qos > joint.qos)
            joint.qos = one.qos;
        if (one.ids.count > 0)
            own->ids[joint.ids.count++] = *one.ids.list;
    }
    if (!is_wanted)
        return;
    struct session *session = own->list[0]->session;
    if (publication->retain)
        replay_saw(session, publication->topic);
    deliver_message(router, session, publication, &joint);
}

bool merge_deliver(struct router *router, struct publication *publication,
                   struct filter *const *filters, unsigned count)
{
    size_t total = count_subscriptions(filters, count);
    struct subscription **list = malloc(total * sizeof(list[0]));
    uint32_t *ids = malloc(total * sizeof(ids[0]));
    bool has_memory = list != NULL && ids != NULL;
    if (has_memory) {
        struct matches left = {.list = list, .ids = ids};
        collect(&left, filters, count);
        while (left.count > 0) {
            struct matches own = next_session(&left);
            deliver_joint(router, &own, publication);
        }
    }
    free(list);
    free(ids);
    return has_memory;
}
