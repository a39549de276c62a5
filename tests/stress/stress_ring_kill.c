/*
 * kill -9 at every instruction: a child goes through its part one instruction at
 * a time (ptrace). All that a killed process leaves is the shared memory, so a
 * copy of it after the k-th instruction is what a kill there would have left. A
 * successor goes on in the copy, and what must hold is looked up: no record torn,
 * none lost that was published, none seen again that was released, and in
 * quarantine just those that were in hand at two deaths.
 *
 * Exit status 77, skipped: no single steps on this machine.
 */

#include "shm/ring.h"
#include "tests/stress/stamped.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RING_SIZE = 256,
    RECORD_SIZE = 24, /* 32 with its header */
    RECORD_SPACE = RECORD_SIZE + RING_HEADER_SIZE,
    KIND = 1,
    EARLIER_COUNT = 2, /* records that are there before the producer's part */
    WAITING_COUNT = 4, /* ... before the consumer's */
    STEPS_MAX = 500000,
    SKIPPED = 77
};

/* So that the wrap, with a filler of 16 bytes, comes after EARLIER_COUNT records
 * and one more, and is that of 32 bits too. */
#define FIRST_POSITION (0U - (EARLIER_COUNT + 1) * RECORD_SPACE - 16)

/* What a process shares with its successors: the ring, and the notes that it
 * takes for the test. They lag behind what it did. */
struct stage {
    volatile bool is_done;
    volatile bool has_opened;
    volatile bool is_idle;           /* no record is in hand, for sure */
    volatile uint32_t in_hand;       /* number + 1 of a record that is in hand, for sure */
    volatile uint32_t published;     /* of its own records */
    volatile uint32_t released;      /* number of the first record that was not, by anybody */
    uint8_t stamped[8][RECORD_SIZE]; /* records of numbers 0 to 7 */
    _Alignas(LAYOUT_LINE) unsigned char ring[sizeof(struct layout_ring) + RING_SIZE];
};

/* Looks at what a process would have left that died after `step`. */
typedef void (*look_fn)(struct stage *left, unsigned step, void *context);

static struct layout_ring *ring_of(struct stage *stage)
{
    return (struct layout_ring *)(void *)stage->ring;
}

static void expect(bool truth, const char *what, unsigned step)
{
    if (truth)
        return;
    fprintf(stderr, "stress_ring_kill: after step %u: %s\n", step, what);
    exit(1);
}

/* -- the child's parts -- */

static void push(struct stage *stage, struct ring *ring, uint32_t number)
{
    uint8_t *room = ring_reserve(ring, RECORD_SIZE);

    memcpy(room, stage->stamped[number], RECORD_SIZE);
    ring_commit(ring, RECORD_SIZE, KIND);
}

/* Two records in one publication, then another. */
static void produce(struct stage *stage)
{
    struct ring ring;

    ring_open_producer(&ring, ring_of(stage), RING_SIZE);
    push(stage, &ring, EARLIER_COUNT);
    push(stage, &ring, EARLIER_COUNT + 1);
    ring_publish(&ring);
    stage->published = 2;
    push(stage, &ring, EARLIER_COUNT + 2);
    ring_publish(&ring);
    stage->published = 3;
}

static uint32_t number_of(const struct ring_record *record)
{
    uint32_t number;

    memcpy(&number, record->data, sizeof number);
    return number;
}

/* Takes a record into its hand, if there is one. */
static void pop(struct stage *stage, struct ring *ring)
{
    struct ring_record record;

    stage->is_idle = false;
    stage->in_hand = 0;
    if (ring_next(ring, &record) && !record.quarantined)
        stage->in_hand = number_of(&record) + 1;
}

static void note_release(struct stage *stage, struct ring *ring, uint32_t released)
{
    stage->in_hand = 0;
    ring_release(ring);
    stage->is_idle = true;
    if (released > stage->released)
        stage->released = released;
}

/* Takes two records, puts the second down, releases; then one by one. */
static void consume(struct stage *stage)
{
    struct ring ring;
    uint32_t next;

    ring_open_consumer(&ring, ring_of(stage), RING_SIZE);
    stage->has_opened = true;
    next = (ring.own - FIRST_POSITION) / RECORD_SPACE;
    pop(stage, &ring);
    pop(stage, &ring);
    stage->in_hand = 0;
    ring_put_down(&ring);
    stage->is_idle = true;
    note_release(stage, &ring, next + 2 < WAITING_COUNT ? next + 2 : WAITING_COUNT);
    while (stage->released < WAITING_COUNT) {
        pop(stage, &ring);
        note_release(stage, &ring, stage->released + 1);
    }
    pop(stage, &ring);
}

/* -- steps -- */

static void await_stop(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
        return;
    fprintf(stderr, "stress_ring_kill: the child ended by itself\n");
    exit(1);
}

static void step(pid_t child)
{
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0) {
        int error = errno;

        kill(child, SIGKILL);
        fprintf(stderr, "stress_ring_kill: no single steps: %s\n", strerror(error));
        exit(SKIPPED);
    }
    await_stop(child);
}

static void run_child(struct stage *stage, void (*part)(struct stage *))
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(SKIPPED);
    raise(SIGSTOP);
    part(stage);
    stage->is_done = true;
    for (;;)
        pause();
}

static void *map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    expect(memory != MAP_FAILED, "no memory", 0);
    return memory;
}

/* Runs `part` in a child, from what `start` has, and looks each time that an
 * instruction changed anything. Returns how often that was. */
static unsigned walk(const struct stage *start, void (*part)(struct stage *), look_fn look,
                     void *context)
{
    struct stage *stage = map_shared(sizeof *stage);
    struct stage before = *start;
    struct stage left;
    unsigned looks = 0;
    pid_t child;

    *stage = before;
    child = fork();
    expect(child >= 0, "no process", 0);
    if (child == 0)
        run_child(stage, part);
    await_stop(child);
    for (unsigned i = 0; !before.is_done; i++) {
        expect(i < STEPS_MAX, "it never gets through", i);
        step(child);
        if (memcmp(stage, &before, sizeof before) == 0)
            continue;
        memcpy(&before, stage, sizeof before);
        memcpy(&left, stage, sizeof left);
        look(&left, i, context);
        looks++;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    munmap(stage, sizeof *stage);
    return looks;
}

/* -- what must hold -- */

/* A ring in which the given number of records wait. */
static void set_up(struct stage *stage, uint32_t record_count)
{
    struct layout_ring *shared = ring_of(stage);
    struct ring ring;

    memset(stage, 0, sizeof *stage);
    for (uint32_t number = 0; number < 8; number++)
        stamped_fill(stage->stamped[number], RECORD_SIZE, number);
    shared->head = FIRST_POSITION;
    shared->tail = FIRST_POSITION;
    shared->working = FIRST_POSITION;
    ring_open_producer(&ring, shared, RING_SIZE);
    for (uint32_t number = 0; number < record_count; number++)
        push(stage, &ring, number);
    ring_publish(&ring);
}

/* Takes the next record; it must be whole. False when there is none. */
static bool take(struct ring *ring, uint32_t *ret_number, unsigned k)
{
    struct ring_record record;

    if (!ring_next(ring, &record))
        return false;
    expect(!record.quarantined, "a record is in quarantine", k);
    expect(record.kind == KIND, "a kind is wrong", k);
    expect(stamped_read(record.data, record.size, ret_number), "a record is torn", k);
    return true;
}

static void look_after_producer(struct stage *stage, unsigned k, void *context)
{
    struct ring in;
    struct ring out;
    uint32_t number;
    uint32_t count = 0;

    (void)context;
    ring_open_consumer(&in, ring_of(stage), RING_SIZE);
    while (take(&in, &number, k))
        expect(number == count++, "records are out of order", k);
    expect(count >= EARLIER_COUNT + stage->published, "a published record is lost", k);
    expect(count != EARLIER_COUNT + 1, "half a publication is seen", k);
    ring_open_producer(&out, ring_of(stage), RING_SIZE);
    push(stage, &out, 7);
    ring_publish(&out);
    expect(take(&in, &number, k) && number == 7, "the successor's record is lost", k);
    ring_release(&in);
    expect(ring_of(stage)->head == ring_of(stage)->tail, "something is left", k);
}

/* Number + 1 of the record that was in hand at the death, or 0. */
static uint32_t look_at_hand(struct stage *stage, unsigned k)
{
    uint32_t working = ring_of(stage)->working;
    uint32_t tail = ring_of(stage)->tail;
    uint32_t in_hand = 0;

    if (stage->has_opened && working != tail && working - tail <= RING_SIZE)
        in_hand = (working - FIRST_POSITION) / RECORD_SPACE;
    expect(!stage->is_idle || in_hand == 0, "a record seems in hand", k);
    expect(stage->in_hand == 0 || stage->in_hand == in_hand, "no record seems in hand", k);
    return in_hand;
}

/* What the deaths of two consumers, one after the other, come to. */
struct deaths {
    uint32_t first; /* number + 1 of the record that was in hand, or 0 */
    unsigned pairs;
    unsigned quarantines;
};

static void look_after_second(struct stage *stage, unsigned k, void *context)
{
    struct deaths *deaths = context;
    uint32_t second = look_at_hand(stage, k);
    uint32_t suspect = second == deaths->first ? second : 0;
    struct ring in;
    struct ring_record record;
    uint32_t number;
    uint32_t next;

    ring_open_consumer(&in, ring_of(stage), RING_SIZE);
    next = (in.own - FIRST_POSITION) / RECORD_SPACE;
    expect(next >= stage->released, "a released record is seen again", k);
    for (; next < WAITING_COUNT; next++) {
        if (next + 1 == suspect) {
            expect(ring_next(&in, &record) && record.quarantined, "no quarantine", k);
            continue;
        }
        expect(take(&in, &number, k), "a record is lost", k);
        expect(number == next, "records are out of order", k);
    }
    expect(!ring_next(&in, &record), "a record comes from nowhere", k);
    deaths->quarantines += suspect != 0;
}

static void look_after_first(struct stage *stage, unsigned k, void *context)
{
    struct deaths *deaths = context;

    deaths->first = look_at_hand(stage, k);
    stage->is_done = false;
    stage->has_opened = false;
    stage->is_idle = false;
    stage->in_hand = 0;
    deaths->pairs += walk(stage, consume, look_after_second, deaths);
}

int main(void)
{
    struct deaths deaths = {0};
    struct stage stage;
    unsigned producers;

    set_up(&stage, EARLIER_COUNT);
    producers = walk(&stage, produce, look_after_producer, NULL);
    set_up(&stage, WAITING_COUNT);
    walk(&stage, consume, look_after_first, &deaths);
    expect(deaths.quarantines > 0, "nothing was ever in quarantine", 0);
    printf("deaths of %u producers, %u pairs of consumers; %u records in quarantine\n", producers,
           deaths.pairs, deaths.quarantines);
    return 0;
}
