/*
 * One producer and one consumer on one ring, as threads so that ThreadSanitizer
 * sees both. The ring is small, so that it is full and empty all the time, and
 * its positions pass 2^32 on the way. Both sides sleep on their bells; a wake-up
 * that got lost ends the test by its timeout.
 */

#include "shm/bell.h"
#include "shm/ring.h"
#include "tests/stress/stamped.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum {
    RING_SIZE = 4096,
    RECORD_COUNT = 400000,
    PHASE_BITS = 10, /* numbers with the same upper bits are sent at one pace */
    WAKE_TIMEOUT_MS = 10000
};

#define FIRST_POSITION (UINT32_MAX - 1000007U) /* a multiple of 8 */

struct world {
    struct layout_ring *shared;
    struct layout_slot slots[2];
    struct bell producer_bell;
    struct bell consumer_bell;
};

static void expect(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "stress_ring_threads: %s\n", what);
    exit(1);
}

/* Three paces: the producer is slow, the consumer is slow, neither is. */
static void dawdle(uint32_t number, uint32_t pace)
{
    if ((number >> PHASE_BITS) % 3 == pace && stamped_mix(number) % 4 == 0)
        sched_yield();
}

static void await(struct bell *bell)
{
    struct pollfd poll_fd = {.fd = bell->fd, .events = POLLIN};

    expect(poll(&poll_fd, 1, WAKE_TIMEOUT_MS) == 1, "a wake-up was lost");
    bell_wake(bell);
    bell_drain(bell);
}

static void publish(struct world *w, struct ring *ring)
{
    if (ring_publish(ring))
        bell_ring(&w->consumer_bell);
}

static uint8_t *reserve(struct world *w, struct ring *ring, uint32_t size)
{
    uint8_t *room;

    while ((room = ring_reserve(ring, size)) == NULL) {
        publish(w, ring);
        bell_sleep(&w->producer_bell);
        if (ring_want_room(ring, size))
            bell_wake(&w->producer_bell);
        else
            await(&w->producer_bell);
    }
    return room;
}

static void *produce(void *context)
{
    struct world *w = context;
    struct ring ring;

    ring_open_producer(&ring, w->shared, RING_SIZE);
    for (uint32_t number = 0; number < RECORD_COUNT; number++) {
        uint32_t size = stamped_size(number, ring_record_max(&ring));

        stamped_fill(reserve(w, &ring, size), size, number);
        ring_commit(&ring, size, (uint16_t)(1 + number % 100));
        if (stamped_mix(~number) % 3 == 0)
            publish(w, &ring);
        dawdle(number, 0);
    }
    publish(w, &ring);
    while (!ring_has_settled(&ring, ring_position(&ring)))
        sched_yield();
    return NULL;
}

static void take(const struct ring_record *record, uint32_t expected)
{
    uint32_t number;

    expect(stamped_read(record->data, record->size, &number), "a record is torn");
    expect(number == expected, "records are lost, doubled or out of order");
    expect(record->kind == 1 + number % 100, "a kind is wrong");
    expect(!record->quarantined, "a record is in quarantine");
}

static void release(struct world *w, struct ring *ring)
{
    ring_settle(ring);
    if (ring_release(ring))
        bell_ring(&w->producer_bell);
}

static void *consume(void *context)
{
    struct world *w = context;
    struct ring ring;
    struct ring_record record;
    uint32_t number = 0;

    ring_open_consumer(&ring, w->shared, RING_SIZE);
    while (number < RECORD_COUNT) {
        if (ring_next(&ring, &record)) {
            take(&record, number++);
            if (stamped_mix(number) % 5 == 0)
                release(w, &ring);
            dawdle(number, 1);
            continue;
        }
        release(w, &ring);
        bell_sleep(&w->consumer_bell);
        if (ring_has_next(&ring))
            bell_wake(&w->consumer_bell);
        else
            await(&w->consumer_bell);
    }
    release(w, &ring);
    return NULL;
}

static void set_up(struct world *w)
{
    size_t size = sizeof *w->shared + RING_SIZE;

    w->shared = aligned_alloc(LAYOUT_LINE, size);
    expect(w->shared != NULL, "no memory");
    memset(w->shared, 0, size);
    w->shared->head = FIRST_POSITION;
    w->shared->tail = FIRST_POSITION;
    w->shared->working = FIRST_POSITION;
    w->shared->settled = FIRST_POSITION;
    w->producer_bell = (struct bell){&w->slots[0], eventfd(0, EFD_NONBLOCK)};
    w->consumer_bell = (struct bell){&w->slots[1], eventfd(0, EFD_NONBLOCK)};
    expect(w->producer_bell.fd >= 0 && w->consumer_bell.fd >= 0, "no eventfd");
}

int main(void)
{
    static struct world w;
    pthread_t threads[2];

    set_up(&w);
    expect(pthread_create(&threads[0], NULL, produce, &w) == 0, "no thread");
    expect(pthread_create(&threads[1], NULL, consume, &w) == 0, "no thread");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    expect(w.shared->tail == w.shared->head, "records are left");
    expect(w.shared->head < FIRST_POSITION, "positions did not pass 2^32");
    printf("%d records, %u bytes\n", RECORD_COUNT, w.shared->head - FIRST_POSITION);
    free(w.shared);
    return 0;
}
