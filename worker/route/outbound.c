#include "worker/route/outbound.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/route/publisher.h"

#include <stdlib.h>
#include <string.h>

/* A message that found its ring full. Groups and client id are copied behind. */
struct waiting_message {
    struct outbound_item item;
    struct record_message record;
    struct record_sender sender;
    struct outbound_message with; /* holds a reference of the message */
    unsigned peer;
    struct publishers *publishers;
    uint8_t copies[];
};

void outbound_init(struct outbound *outbound, struct mesh *mesh, struct stats stats,
                   struct publishers *publishers, void *owner)
{
    *outbound = (struct outbound){
        .mesh = mesh,
        .stats = stats,
        .owner = owner,
        .publishers = publishers,
    };
    for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
        list_init(&outbound->waiting[i]);
}

void outbound_done(struct outbound *outbound)
{
    for (unsigned i = 0; i < MESH_PEERS_MAX; i++) {
        for (struct list_node *node; (node = list_first(&outbound->waiting[i])) != NULL;) {
            struct outbound_item *item = list_owner(node, struct outbound_item, node);
            list_remove(node);
            item->done(item, NULL);
        }
    }
}

bool outbound_is_blocked(const struct outbound *outbound, unsigned peer)
{
    return (outbound->blocked >> peer & 1) != 0;
}

static void wait_behind(struct outbound *outbound, unsigned peer, struct outbound_item *item)
{
    list_push_back(&outbound->waiting[peer], &item->node);
    if (!outbound_is_blocked(outbound, peer)) {
        outbound->blocked |= 1ULL << peer;
        stats_add(outbound->stats, STAT_ring_full, 1);
    }
}

void outbound_send(struct outbound *outbound, unsigned peer, struct outbound_item *item)
{
    list_init(&item->node);
    if (!outbound_is_blocked(outbound, peer) && item->put(item, outbound->mesh, peer))
        item->done(item, outbound->owner);
    else
        wait_behind(outbound, peer, item);
}

static bool put_message(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    struct waiting_message *w = list_owner(item, struct waiting_message, item);
    return record_put_message(mesh, peer, &w->record, &w->sender);
}

static void message_done(struct outbound_item *item, void *owner)
{
    struct waiting_message *w = list_owner(item, struct waiting_message, item);
    if (w->with.then != NULL && owner != NULL)
        w->with.then(owner, w->peer, &w->with);
    message_put(w->with.message);
    if (w->with.publisher != 0)
        publishers_message_done(w->publishers, w->with.publisher);
    free(w);
}

static struct bytes copy_to(uint8_t **place, struct bytes b)
{
    struct bytes copy = {*place, b.size};
    if (b.size > 0)
        memcpy(*place, b.data, b.size);
    *place += b.size;
    return copy;
}

static struct waiting_message *new_waiting(const struct record_message *record,
                                           const struct record_sender *sender,
                                           const struct outbound_message *with)
{
    struct waiting_message *w = malloc(sizeof(*w) + record->groups.size + record->client_id.size);
    struct message *kept = with->message != NULL
                               ? message_get(with->message)
                               : message_new(record->topic, record->properties, record->payload);
    if (w == NULL || kept == NULL)
        fatal("no memory for a message that waits for a ring");
    kept->id = record->message_id;
    kept->expiry_at_ms = record->expiry_at_ms;
    kept->qos = record->qos;
    kept->retain = record->retain;
    w->record = *record;
    w->sender = *sender;
    w->with = *with;
    w->with.message = kept;
    w->record.topic = message_topic(kept);
    w->record.properties = message_properties(kept);
    w->record.payload = message_payload(kept);
    uint8_t *place = w->copies;
    w->record.groups = copy_to(&place, record->groups);
    w->record.client_id = copy_to(&place, record->client_id);
    w->item = (struct outbound_item){.put = put_message, .done = message_done};
    list_init(&w->item.node);
    return w;
}

bool outbound_send_message(struct outbound *outbound, unsigned peer,
                           const struct record_message *record, const struct outbound_message *with)
{
    struct record_sender sender = {0};
    if (!outbound_is_blocked(outbound, peer) &&
        record_put_message(outbound->mesh, peer, record, &sender))
        return true;
    struct waiting_message *w = new_waiting(record, &sender, with);
    w->publishers = outbound->publishers;
    w->peer = peer;
    if (with->publisher != 0)
        publishers_message_waits(outbound->publishers, with->publisher);
    wait_behind(outbound, peer, &w->item);
    return false;
}

static void retry_peer(struct outbound *outbound, unsigned peer)
{
    struct list_node *list = &outbound->waiting[peer];
    for (struct list_node *node; (node = list_first(list)) != NULL;) {
        struct outbound_item *item = list_owner(node, struct outbound_item, node);
        if (!item->put(item, outbound->mesh, peer)) {
            struct ring *ring = &outbound->mesh->out[peer];
            /* Committed fragments must be seen before the consumer can make room. */
            mesh_publish_to(outbound->mesh, peer);
            if (ring_want_room(ring, ring_record_max(ring)))
                outbound->has_room = true;
            return;
        }
        list_remove(node);
        item->done(item, outbound->owner);
    }
    outbound->blocked &= ~(1ULL << peer);
}

bool outbound_retry(struct outbound *outbound)
{
    outbound->has_room = false;
    for (uint64_t left = outbound->blocked; left != 0; left &= left - 1)
        retry_peer(outbound, (unsigned)__builtin_ctzll(left));
    return outbound->has_room;
}
