#include "shm/heartbeat.h"

#include "common/base/check.h"

void heartbeat_answer(const struct region *region, unsigned slot, uint32_t number)
{
    check(slot < region->slot_count);
    check(number >= HEARTBEAT_READY);
    /* Release: who reads "ready" sees all that was made ready before. Pairs with
     * the acquire in heartbeat_read(). */
    atomic_store_explicit(&region->slots[slot].heartbeat, number, memory_order_release);
}

uint32_t heartbeat_read(const struct region *region, unsigned slot)
{
    check(slot < region->slot_count);
    return atomic_load_explicit(&region->slots[slot].heartbeat, memory_order_acquire);
}

void heartbeat_clear(const struct region *region, unsigned slot)
{
    check(slot < region->slot_count);
    atomic_store_explicit(&region->slots[slot].heartbeat, 0, memory_order_relaxed);
}
