#include "shm/bell.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

/*
 *   D  full fences, Dekker: the ringer publishes (A or B of ring.c) and looks
 *      at `sleeping`; the sleeper sets `sleeping` and looks at its rings.
 *
 * The low bit of `sleeping` says that the process sleeps, the bits above count
 * its sleeps. A ringer clears the bit so that the next one saves the system call,
 * but only after its write, so that its death between the two leaves nobody
 * asleep for ever; and only in the sleep that it saw, because by then the
 * process may have woken and gone to sleep again.
 */

enum { ASLEEP = 1, NEXT_SLEEP = 2 };

bool bell_ring(struct bell *bell)
{
    const uint64_t one = 1;
    uint32_t sleeping;
    ssize_t size;

    atomic_thread_fence(memory_order_seq_cst); /* D */
    sleeping = atomic_load_explicit(&bell->slot->sleeping, memory_order_relaxed);
    if ((sleeping & ASLEEP) == 0)
        return false;
    size = write(bell->fd, &one, sizeof one);
    check(size == (ssize_t)sizeof one || errno == EAGAIN);
    atomic_compare_exchange_strong_explicit(&bell->slot->sleeping, &sleeping,
                                            sleeping & ~(uint32_t)ASLEEP, memory_order_relaxed,
                                            memory_order_relaxed);
    return true;
}

void bell_sleep(struct bell *bell)
{
    uint32_t sleeping = atomic_load_explicit(&bell->slot->sleeping, memory_order_relaxed);

    atomic_store_explicit(&bell->slot->sleeping, (sleeping + NEXT_SLEEP) | ASLEEP,
                          memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* D */
}

void bell_wake(struct bell *bell)
{
    uint32_t sleeping = atomic_load_explicit(&bell->slot->sleeping, memory_order_relaxed);

    atomic_store_explicit(&bell->slot->sleeping, sleeping & ~(uint32_t)ASLEEP,
                          memory_order_relaxed);
}

void bell_drain(struct bell *bell)
{
    uint64_t count;
    ssize_t size = read(bell->fd, &count, sizeof count);

    check(size == (ssize_t)sizeof count || errno == EAGAIN);
}
