#include "shm/listener_count.h"

#include "common/base/check.h"
#include "common/conf/conf.h"

#include <assert.h>
#include <stdatomic.h>

static_assert((int)CONF_LISTENERS_MAX <= (int)LAYOUT_LISTENERS, "each listener has its counter");

/* All relaxed, for the reasons of stats.c. */

static _Atomic uint32_t *counter_of(struct stats stats, unsigned listener)
{
    check(listener < LAYOUT_LISTENERS);
    return &stats.slot->listener_connections[listener];
}

static uint32_t get(struct stats stats, unsigned listener)
{
    return atomic_load_explicit(counter_of(stats, listener), memory_order_relaxed);
}

static void set(struct stats stats, unsigned listener, uint32_t value)
{
    atomic_store_explicit(counter_of(stats, listener), value, memory_order_relaxed);
}

void listener_count_add(struct stats own, unsigned listener)
{
    set(own, listener, get(own, listener) + 1);
}

void listener_count_subtract(struct stats own, unsigned listener)
{
    uint32_t count = get(own, listener);

    check(count > 0);
    set(own, listener, count - 1);
}

uint32_t listener_count_sum(const struct region *region, unsigned listener)
{
    uint32_t sum = 0;

    for (unsigned slot = 0; slot < region->slot_count; slot++)
        sum += get(stats_of(region, slot), listener);
    return sum;
}

void listener_count_reset(struct stats stats)
{
    for (unsigned listener = 0; listener < LAYOUT_LISTENERS; listener++)
        set(stats, listener, 0);
}
