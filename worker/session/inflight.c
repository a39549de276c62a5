#include "worker/session/inflight.h"

#include "common/base/check.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 16, CAPACITY_KEPT = 256, CAPACITY_MAX = 131072 };

void inflight_init(struct inflight *inflight)
{
    *inflight = (struct inflight){.next_id = 1};
    list_init(&inflight->order);
}

void inflight_done(struct inflight *inflight)
{
    list_for_each(node, &inflight->order)
        delivery_free(list_owner(node, struct delivery, node));
    free(inflight->slots);
    inflight_init(inflight);
}

static struct delivery **slot_of(const struct inflight *inflight, uint16_t packet_id)
{
    return &inflight->slots[packet_id & (inflight->capacity - 1)];
}

static bool grow(struct inflight *inflight)
{
    uint32_t capacity = inflight->capacity == 0 ? CAPACITY_MIN : inflight->capacity * 2;
    check(capacity <= CAPACITY_MAX);
    struct delivery **slots = calloc(capacity, sizeof(struct delivery *));
    if (slots == NULL)
        return false;
    free(inflight->slots);
    inflight->slots = slots;
    inflight->capacity = capacity;
    /* Ids that differ in the low bits of the old size still do in the new one. */
    list_for_each(node, &inflight->order) {
        struct delivery *d = list_owner(node, struct delivery, node);
        *slot_of(inflight, d->packet_id) = d;
    }
    return true;
}

static uint16_t next_id(struct inflight *inflight)
{
    uint16_t id = inflight->next_id;
    inflight->next_id = id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
    return id;
}

/* Room for one more, so that the table is at most half full. */
static bool make_room(struct inflight *inflight)
{
    if (inflight->count * 2U < inflight->capacity || inflight->capacity == CAPACITY_MAX)
        return true;
    return grow(inflight);
}

static void take(struct inflight *inflight, struct delivery *delivery, uint16_t packet_id)
{
    delivery->packet_id = packet_id;
    *slot_of(inflight, packet_id) = delivery;
    inflight->count++;
    list_remove(&delivery->node);
    list_push_back(&inflight->order, &delivery->node);
}

bool inflight_take(struct inflight *inflight, struct delivery *delivery)
{
    if (inflight->count == UINT16_MAX || !make_room(inflight))
        return false;
    uint16_t id = next_id(inflight);
    while (*slot_of(inflight, id) != NULL)
        id = next_id(inflight);
    take(inflight, delivery, id);
    return true;
}

bool inflight_put(struct inflight *inflight, struct delivery *delivery, uint16_t packet_id)
{
    check(packet_id != 0);
    if (inflight_find(inflight, packet_id) != NULL || !make_room(inflight))
        return false;
    /* Not chosen to fit: another one may have its slot until the table is larger. */
    while (*slot_of(inflight, packet_id) != NULL)
        if (!grow(inflight))
            return false;
    take(inflight, delivery, packet_id);
    return true;
}

struct delivery *inflight_find(const struct inflight *inflight, uint16_t packet_id)
{
    if (inflight->capacity == 0)
        return NULL;
    struct delivery *d = *slot_of(inflight, packet_id);
    return d != NULL && d->packet_id == packet_id ? d : NULL;
}

void inflight_remove(struct inflight *inflight, struct delivery *delivery)
{
    check(*slot_of(inflight, delivery->packet_id) == delivery);
    *slot_of(inflight, delivery->packet_id) = NULL;
    inflight->count--;
    list_remove(&delivery->node);
    if (inflight->count == 0 && inflight->capacity > CAPACITY_KEPT) {
        /* A large burst is over: an idle session keeps a small table. */
        free(inflight->slots);
        inflight->slots = NULL;
        inflight->capacity = 0;
    }
}

void inflight_drop(struct inflight *inflight, struct delivery *delivery)
{
    inflight_remove(inflight, delivery);
    delivery_free(delivery);
}
