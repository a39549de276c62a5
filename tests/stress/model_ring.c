/*
 * shm/ring.c and shm/bell.c on the machine of model.h: no interleaving, no
 * reordering that C11 allows, and no death of a process at any step tears or
 * loses a record, hands one out twice after its release, or leaves somebody
 * asleep who has work to do.
 *
 * The negative control: each acquire, release and fence is taken out in turn,
 * and some scenario must notice.
 */

#include "tests/stress/model.h"

#include "shm/bell.c"
#include "shm/ring.c"

#include <stdio.h>
#include <stdlib.h>

enum {
    RING_SIZE = 16, /* one record at a time: full or empty after each step */
    PAYLOAD_SIZE = RING_SIZE / 8,
    PRODUCER = 0, /* thread, slot and eventfd */
    CONSUMER = 1,
    RECORD_COUNT = 2,
    CELL_OF_DATA = 0,    /* the ring's data */
    CELL_OF_OUTCOME = 1, /* what the consumer does with a record */
    CELL_OF_LETTER = 2   /* ... and what ringers leave for the sleeper */
};

static _Alignas(LAYOUT_LINE) unsigned char memory[sizeof(struct layout_ring) + RING_SIZE];
static struct layout_slot slots[MODEL_THREADS_MAX];
static _Atomic uint32_t letters[MODEL_THREADS_MAX];

static struct layout_ring *shared(void)
{
    return (struct layout_ring *)(void *)memory;
}

static struct bell bell_of(int thread)
{
    return (struct bell){.slot = &slots[thread], .fd = thread};
}

/* -- a ring with sleepers on both sides -- */

/* Positions end where 32 bits do. */
#define FIRST_POSITION (0U - RING_SIZE)

static void set_up_ring_of(unsigned record_count)
{
    struct record_header header = {.size = PAYLOAD_SIZE, .kind = 1};

    memset(memory, 0, sizeof memory);
    memcpy(shared()->data, &header, sizeof header); /* and the number 0 */
    model_add_object(&shared()->head, FIRST_POSITION + record_count * RING_SIZE);
    model_add_object(&shared()->tail, FIRST_POSITION);
    model_add_object(&shared()->settled, FIRST_POSITION);
    model_add_object(&shared()->waiting, 0);
    shared()->working = FIRST_POSITION;
    model_add_object(&slots[PRODUCER].sleeping, 0);
    model_add_object(&slots[CONSUMER].sleeping, 0);
}

static void set_up_empty_ring(void)
{
    set_up_ring_of(0);
}

static void set_up_full_ring(void)
{
    set_up_ring_of(1);
}

static uint32_t number_at(uint32_t position)
{
    return (position - FIRST_POSITION) / RING_SIZE;
}

/* All that a thread knows at such a place is in its ring. */
static void forget_all_but(const struct ring *ring)
{
    const uint32_t numbers[] = {ring->own,   ring->shown,    ring->cached,
                                ring->start, ring->reserved, ring->answered};

    model_private(numbers, sizeof numbers);
}

static uint8_t *reserve(struct ring *ring, struct bell *own)
{
    uint8_t *room;

    while ((room = ring_reserve(ring, PAYLOAD_SIZE)) == NULL) {
        forget_all_but(ring);
        bell_sleep(own);
        if (!ring_want_room(ring, PAYLOAD_SIZE))
            model_await(own->fd);
        bell_wake(own);
        bell_drain(own);
    }
    return room;
}

/* Sends what has not been published yet. */
static void produce_rest(struct ring *ring)
{
    struct bell own = bell_of(PRODUCER);
    struct bell other = bell_of(CONSUMER);

    for (uint32_t number = number_at(ring_position(ring)); number < RECORD_COUNT; number++) {
        uint8_t *room = reserve(ring, &own);

        model_plain_write(CELL_OF_DATA);
        room[0] = (uint8_t)number;
        ring_commit(ring, PAYLOAD_SIZE, 1);
        if (ring_publish(ring))
            bell_ring(&other);
        forget_all_but(ring);
    }
}

static void produce(void)
{
    struct ring ring;

    ring_open_producer(&ring, shared(), RING_SIZE);
    produce_rest(&ring);
}

/* As mesh_open() does it. */
static void produce_again(void)
{
    struct bell own = bell_of(PRODUCER);
    struct bell other = bell_of(CONSUMER);
    struct ring ring;

    ring_open_producer(&ring, shared(), RING_SIZE);
    bell_wake(&own);
    bell_ring(&other);
    produce_rest(&ring);
}

static void take(struct ring *ring, const struct ring_record *record, struct bell *other)
{
    model_plain_read(CELL_OF_DATA);
    model_expect(!record->quarantined && record->size == PAYLOAD_SIZE, "a record is torn");
    model_expect(record->data[0] == number_at(ring->own - RING_SIZE), "a record is not the next");
    if (ring_release(ring))
        bell_ring(other);
}

static void await_next(struct ring *ring, struct ring_record *ret_record)
{
    struct bell own = bell_of(CONSUMER);

    forget_all_but(ring);
    while (!ring_next(ring, ret_record)) {
        bell_sleep(&own);
        if (!ring_has_next(ring))
            model_await(own.fd);
        bell_wake(&own);
        bell_drain(&own);
        forget_all_but(ring);
    }
}

/* Takes what has not been released yet. */
static void consume_rest(struct ring *ring)
{
    struct bell other = bell_of(PRODUCER);
    struct ring_record record;

    while (number_at(ring->own) < RECORD_COUNT) {
        await_next(ring, &record);
        take(ring, &record, &other);
    }
}

static void consume(void)
{
    struct ring ring;

    ring_open_consumer(&ring, shared(), RING_SIZE);
    ring.answered = 0; /* as if it had released before; else the first one rings */
    consume_rest(&ring);
}

static void consume_again(void)
{
    struct bell own = bell_of(CONSUMER);
    struct bell other = bell_of(PRODUCER);
    struct ring ring;

    ring_open_consumer(&ring, shared(), RING_SIZE);
    bell_wake(&own);
    bell_ring(&other);
    consume_rest(&ring);
}

/* -- what is settled is done -- */

static void send_and_await_outcome(void)
{
    struct bell own = bell_of(PRODUCER);
    struct bell other = bell_of(CONSUMER);
    struct ring ring;

    ring_open_producer(&ring, shared(), RING_SIZE);
    model_expect(ring_reserve(&ring, PAYLOAD_SIZE) != NULL, "no room");
    ring_commit(&ring, PAYLOAD_SIZE, 1);
    if (ring_publish(&ring))
        bell_ring(&other);
    while (!ring_has_settled(&ring, ring_position(&ring))) {
        forget_all_but(&ring);
        bell_sleep(&own);
        if (!ring_want_settled(&ring, ring_position(&ring)))
            model_await(own.fd);
        bell_wake(&own);
        bell_drain(&own);
    }
    model_plain_read(CELL_OF_OUTCOME);
}

static void take_and_settle(void)
{
    struct bell other = bell_of(PRODUCER);
    struct ring_record record;
    struct ring ring;

    ring_open_consumer(&ring, shared(), RING_SIZE);
    ring.answered = 0;
    await_next(&ring, &record);
    model_plain_write(CELL_OF_OUTCOME);
    ring_settle(&ring);
    if (ring_release(&ring))
        bell_ring(&other);
}

/* -- one sleeper, two who ring -- */

enum { SLEEPER = 2 };

static void set_up_bell(void)
{
    model_add_object(&letters[0], 0);
    model_add_object(&letters[1], 0);
    model_add_object(&slots[SLEEPER].sleeping, 0);
}

static void leave_letter(unsigned ringer)
{
    struct bell bell = bell_of(SLEEPER);

    model_plain_write(CELL_OF_LETTER + ringer);
    atomic_store_explicit(&letters[ringer], 1, memory_order_release);
    bell_ring(&bell);
}

static void leave_first_letter(void)
{
    leave_letter(0);
}

static void leave_second_letter(void)
{
    leave_letter(1);
}

/* The dead one may have left it already. */
static void leave_first_letter_again(void)
{
    struct bell bell = bell_of(SLEEPER);

    if (atomic_load_explicit(&letters[0], memory_order_relaxed) == 0)
        leave_letter(0);
    bell_ring(&bell);
}

static bool has_letter(unsigned ringer)
{
    if (atomic_load_explicit(&letters[ringer], memory_order_acquire) == 0)
        return false;
    model_plain_read(CELL_OF_LETTER + ringer);
    return true;
}

static void await_letters(void)
{
    struct bell own = bell_of(SLEEPER);
    bool has[2] = {false, false};

    for (;;) {
        bool news = false;

        model_private(has, sizeof has);
        bell_sleep(&own);
        for (unsigned ringer = 0; ringer < 2; ringer++) {
            if (!has[ringer] && has_letter(ringer))
                has[ringer] = news = true;
        }
        if (!news)
            model_await(own.fd);
        bell_wake(&own);
        bell_drain(&own);
        if (has[0] && has[1])
            return;
    }
}

static const struct model_scenario scenarios[] = {
    {.name = "settled",
     .thread_count = 2,
     .threads = {{send_and_await_outcome, NULL}, {take_and_settle, NULL}},
     .set_up = set_up_empty_ring},
    {.name = "ring",
     .thread_count = 2,
     .threads = {{produce, NULL}, {consume, NULL}},
     .set_up = set_up_empty_ring},
    {.name = "ring, the producer dies",
     .thread_count = 2,
     .threads = {{produce, produce_again}, {consume, NULL}},
     .set_up = set_up_full_ring,
     .mortal = true},
    {.name = "ring, the consumer dies",
     .thread_count = 2,
     .threads = {{produce, NULL}, {consume, consume_again}},
     .set_up = set_up_full_ring,
     .mortal = true},
    {.name = "bell, one who rings dies",
     .thread_count = 3,
     .threads = {{leave_first_letter, leave_first_letter_again},
                 {leave_second_letter, NULL},
                 {await_letters, NULL}},
     .set_up = set_up_bell,
     .mortal = true},
};

enum { SCENARIO_COUNT = sizeof scenarios / sizeof scenarios[0] };

/* Nothing goes wrong as the code stands. */
static bool holds(const struct model_scenario *scenario)
{
    struct model_result result = model_run(scenario, NULL);

    printf("%s: %zu states, %zu executions: %s\n", scenario->name, result.states, result.executions,
           result.violation == NULL ? "holds" : result.violation);
    return result.violation == NULL;
}

/* Something goes wrong without the order at this site. */
static bool is_needed(const struct model_site *site)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        struct model_result result = model_run(&scenarios[i], site);

        if (result.violation != NULL) {
            printf("without %s:%d: %s: %s\n", site->file, site->line, scenarios[i].name,
                   result.violation);
            return true;
        }
    }
    printf("without %s:%d: nobody notices\n", site->file, site->line);
    return false;
}

int main(void)
{
    struct model_site sites[MODEL_SITES_MAX];
    size_t site_count;
    bool good = true;

    if (!MODEL_CAN_RUN)
        return MODEL_SKIPPED;
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        good = holds(&scenarios[i]) && good;
    site_count = model_sites(sites);
    for (size_t i = 0; i < site_count; i++)
        good = is_needed(&sites[i]) && good;
    return good ? 0 : 1;
}
