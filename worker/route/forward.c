#include "worker/route/forward.h"

struct record_message forward_record(const struct publication *publication,
                                     enum record_purpose purpose)
{
    const struct publication *p = publication;
    return (struct record_message){
        .purpose = purpose,
        .message_id = p->message_id,
        .expiry_at_ms = p->expiry_at_ms,
        .publisher = p->publisher,
        .qos = p->qos,
        .retain = p->retain,
        .repeat = p->is_repeat,
        .dup = p->may_be_sent,
        .hops = p->hops,
        .origin = (uint8_t)p->origin,
        .topic = p->topic,
        .properties = p->properties,
        .payload = p->payload,
    };
}

bool forward_message(struct router *router, struct publication *publication,
                     const struct forward_target *to)
{
    struct record_message record = forward_record(publication, RECORD_FOR_DELIVERY);
    record.plain = to->plain;
    record.groups = to->groups;
    record.hops = to->hops;
    stats_add(router->stats, STAT_forwarded, 1);
    if (outbound_is_blocked(&router->outbound, to->worker))
        (void)publication_message(publication); /* let all destinations share one copy */
    struct outbound_message with = {
        .message = publication->message,
        .publisher = publication->is_arrival ? 0 : publication->publisher,
        .source = publication->source,
        .then = to->then,
    };
    return outbound_send_message(&router->outbound, to->worker, &record, &with);
}

struct bytes forward_groups(const struct lookup *found, unsigned worker,
                            struct hash128 memory[TRIE_GROUPS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < found->group_count; i++)
        if (found->groups[i].worker == worker)
            memory[count++] = found->groups[i].id;
    return (struct bytes){(const uint8_t *)memory, count * sizeof(memory[0])};
}

uint64_t forward_workers(const struct lookup *found)
{
    uint64_t workers = found->any;
    for (unsigned i = 0; i < found->group_count; i++)
        workers |= 1ULL << found->groups[i].worker;
    return workers;
}

/* More groups than one record takes go in further ones. */
static void forward_runs(struct router *router, struct publication *p, struct forward_target to)
{
    enum { RUN = RECORD_GROUPS_MAX * sizeof(struct hash128) };
    struct bytes left = to.groups;
    do {
        to.groups.size = left.size < RUN ? left.size : RUN;
        to.groups.data = left.data;
        (void)forward_message(router, p, &to);
        left = bytes_from(left, to.groups.size);
        to.plain = false;
    } while (left.size > 0);
}

void forward_all(struct router *router, struct publication *publication, const struct lookup *found)
{
    struct hash128 ids[TRIE_GROUPS_MAX];
    uint64_t others = forward_workers(found) & ~(1ULL << router->self);
    for (; others != 0; others &= others - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(others);
        struct forward_target to = {
            .worker = worker,
            .plain = (found->any >> worker & 1) != 0,
            .groups = forward_groups(found, worker, ids),
        };
        forward_runs(router, publication, to);
    }
}
