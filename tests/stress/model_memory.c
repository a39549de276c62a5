#include "tests/stress/model_memory.h"

#include "common/base/check.h"
#include "tests/stress/model.h"

#include <string.h>

enum {
    OBJECTS_MAX = 8,
    VALUES_MAX = 48, /* that one object takes in one execution */
    CELLS_MAX = 8
};

/* What a thread, or whoever reads its release, can't be ignorant of. */
struct view {
    uint8_t seen[OBJECTS_MAX];         /* number of a value of each object */
    uint8_t clocks[MODEL_THREADS_MAX]; /* plain accesses of each thread */
};

struct value {
    uint32_t bits;
    struct view view;   /* for who acquires it */
    uint8_t rank;       /* in the order of the object's values */
    bool follows_first; /* put there by an exchange: nothing comes between */
};

struct object {
    const void *address;
    unsigned count;
    struct value values[VALUES_MAX]; /* as they were made */
};

struct cell {
    uint8_t writer;
    uint8_t written; /* the writer's clock then */
    uint8_t read[MODEL_THREADS_MAX];
};

struct knowledge {
    struct view now;
    struct view acquired; /* what it would know after a fence */
    struct view released; /* what its relaxed stores tell: as of its last fence */
};

static struct {
    struct object objects[OBJECTS_MAX];
    unsigned object_count;
    unsigned thread_count;
    struct knowledge threads[MODEL_THREADS_MAX];
    struct cell cells[CELLS_MAX];
    struct view fences;
    struct view fds[MODEL_THREADS_MAX];
} memory;

void model_memory_reset(unsigned thread_count)
{
    memset(&memory, 0, sizeof memory);
    memory.thread_count = thread_count;
}

/* -- objects -- */

static struct object *find_object(const void *address)
{
    for (unsigned i = 0; i < memory.object_count; i++) {
        if (memory.objects[i].address == address)
            return &memory.objects[i];
    }
    return NULL;
}

bool model_memory_has(const void *address)
{
    return find_object(address) != NULL;
}

void model_memory_add(const void *address, uint32_t value)
{
    struct object *object = &memory.objects[memory.object_count++];

    check(memory.object_count <= OBJECTS_MAX);
    object->address = address;
    object->count = 1;
    object->values[0].bits = value;
}

static unsigned index_of(const struct object *object)
{
    return (unsigned)(object - memory.objects);
}

static struct value *value_at_rank(struct object *object, unsigned rank)
{
    unsigned i = 0;

    while (object->values[i].rank != rank)
        i++;
    return &object->values[i];
}

static unsigned rank_seen(const struct view *view, const struct object *object)
{
    return object->values[view->seen[index_of(object)]].rank;
}

/* The value after which `value` is the next, once exchanges are followed. */
static struct value *last_exchange(struct object *object, struct value *value)
{
    while (value->rank + 1U < object->count) {
        struct value *next = value_at_rank(object, value->rank + 1U);

        if (!next->follows_first)
            break;
        value = next;
    }
    return value;
}

/* -- views -- */

static void join(struct view *view, const struct view *other)
{
    for (unsigned i = 0; i < memory.object_count; i++) {
        if (rank_seen(other, &memory.objects[i]) > rank_seen(view, &memory.objects[i]))
            view->seen[i] = other->seen[i];
    }
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++) {
        if (other->clocks[i] > view->clocks[i])
            view->clocks[i] = other->clocks[i];
    }
}

/* The thread has seen, or made, this value. */
static void see(unsigned thread, struct object *object, const struct value *value)
{
    struct knowledge *k = &memory.threads[thread];

    k->now.seen[index_of(object)] = (uint8_t)(value - object->values);
    join(&k->acquired, &k->now);
    join(&k->acquired, &value->view);
}

static struct value *choose_value(unsigned thread, struct object *object)
{
    unsigned oldest = rank_seen(&memory.threads[thread].now, object);

    return value_at_rank(object, oldest + model_choose(object->count - oldest));
}

/* Adds a value behind `previous`; those from there on move up. Whoever acquires
 * it gets to know `view`. */
static struct value *add_value(struct object *object, const struct value *previous, uint32_t bits,
                               const struct view *view)
{
    struct value *value = &object->values[object->count];

    check(object->count < VALUES_MAX);
    for (unsigned i = 0; i < object->count; i++) {
        if (object->values[i].rank > previous->rank)
            object->values[i].rank++;
    }
    object->count++;
    value->bits = bits;
    value->rank = (uint8_t)(previous->rank + 1);
    value->view = *view;
    value->view.seen[index_of(object)] = (uint8_t)(value - object->values);
    return value;
}

uint32_t model_memory_load(unsigned thread, const void *address, bool acquire)
{
    struct object *object = find_object(address);
    struct value *value = choose_value(thread, object);

    see(thread, object, value);
    if (acquire)
        join(&memory.threads[thread].now, &value->view);
    return value->bits;
}

void model_memory_store(unsigned thread, const void *address, uint32_t value, bool release)
{
    struct object *object = find_object(address);
    struct knowledge *k = &memory.threads[thread];
    struct value *previous = last_exchange(object, choose_value(thread, object));

    see(thread, object, add_value(object, previous, value, release ? &k->now : &k->released));
}

uint32_t model_memory_exchange_if(unsigned thread, const void *address, uint32_t expected,
                                  uint32_t value)
{
    struct object *object = find_object(address);
    /* Of two exchanges of one value, the second finds what the first left. */
    struct value *old = last_exchange(object, choose_value(thread, object));
    struct value *made;

    see(thread, object, old);
    if (old->bits != expected)
        return old->bits;
    made = add_value(object, old, value, &memory.threads[thread].released);
    made->follows_first = true;
    join(&made->view, &old->view);
    see(thread, object, made);
    return expected;
}

void model_memory_fence(unsigned thread)
{
    struct knowledge *k = &memory.threads[thread];

    join(&memory.fences, &k->acquired);
    k->now = memory.fences;
    k->acquired = memory.fences;
    k->released = memory.fences;
}

void model_memory_tell(unsigned thread, int fd)
{
    join(&memory.fds[fd], &memory.threads[thread].now);
}

void model_memory_hear(unsigned thread, int fd)
{
    join(&memory.threads[thread].now, &memory.fds[fd]);
    join(&memory.threads[thread].acquired, &memory.fds[fd]);
}

/* -- plain memory -- */

static void tick(unsigned thread)
{
    struct knowledge *k = &memory.threads[thread];

    check(++k->now.clocks[thread] < UINT8_MAX);
    k->acquired.clocks[thread] = k->now.clocks[thread];
}

const char *model_memory_write_plain(unsigned thread, unsigned cell)
{
    const struct view *now = &memory.threads[thread].now;
    struct cell *c = &memory.cells[cell];

    check(cell < CELLS_MAX);
    if (c->written > now->clocks[c->writer])
        return "a write races a write";
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++) {
        if (c->read[i] > now->clocks[i])
            return "a write races a read";
    }
    tick(thread);
    c->writer = (uint8_t)thread;
    c->written = now->clocks[thread];
    return NULL;
}

const char *model_memory_read_plain(unsigned thread, unsigned cell)
{
    const struct view *now = &memory.threads[thread].now;
    struct cell *c = &memory.cells[cell];

    check(cell < CELLS_MAX);
    if (c->written > now->clocks[c->writer])
        return "a read races a write";
    tick(thread);
    c->read[thread] = now->clocks[thread];
    return NULL;
}

/* -- hash -- */

uint64_t model_memory_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ (hash >> 29);
}

/* The lowest rank of the object's values that a thread alive may still see. */
static unsigned oldest_rank(const struct object *object, unsigned alive)
{
    unsigned oldest = VALUES_MAX;

    for (unsigned i = 0; i < memory.thread_count; i++) {
        unsigned rank = rank_seen(&memory.threads[i].now, object);

        if ((alive >> i & 1) != 0 && rank < oldest)
            oldest = rank;
    }
    return oldest;
}

/* Views by rank from `oldest` on: what nobody can see any more is all the same. */
static uint64_t hash_view(uint64_t hash, const struct view *view, const unsigned *oldest)
{
    for (unsigned i = 0; i < memory.object_count; i++) {
        unsigned rank = rank_seen(view, &memory.objects[i]);

        hash = model_memory_mix(hash, rank > oldest[i] ? rank - oldest[i] : 0);
    }
    for (unsigned i = 0; i < memory.thread_count; i++)
        hash = model_memory_mix(hash, view->clocks[i]);
    return hash;
}

static uint64_t hash_object(uint64_t hash, struct object *object, const unsigned *oldest)
{
    for (unsigned rank = oldest[index_of(object)]; rank < object->count; rank++) {
        const struct value *value = value_at_rank(object, rank);

        hash = model_memory_mix(hash, value->bits);
        hash = model_memory_mix(hash, value->follows_first);
        hash = hash_view(hash, &value->view, oldest);
    }
    return model_memory_mix(hash, object->count);
}

static uint64_t hash_cell(uint64_t hash, const struct cell *cell)
{
    hash = model_memory_mix(hash, cell->writer);
    hash = model_memory_mix(hash, cell->written);
    for (unsigned i = 0; i < memory.thread_count; i++)
        hash = model_memory_mix(hash, cell->read[i]);
    return hash;
}

uint64_t model_memory_hash(uint64_t hash, unsigned alive)
{
    unsigned oldest[OBJECTS_MAX];

    for (unsigned i = 0; i < memory.object_count; i++)
        oldest[i] = oldest_rank(&memory.objects[i], alive);
    for (unsigned i = 0; i < memory.object_count; i++)
        hash = hash_object(hash, &memory.objects[i], oldest);
    for (unsigned i = 0; i < CELLS_MAX; i++)
        hash = hash_cell(hash, &memory.cells[i]);
    for (unsigned i = 0; i < memory.thread_count; i++) {
        hash = hash_view(hash, &memory.fds[i], oldest);
        if ((alive >> i & 1) == 0)
            continue;
        hash = hash_view(hash, &memory.threads[i].now, oldest);
        hash = hash_view(hash, &memory.threads[i].acquired, oldest);
        hash = hash_view(hash, &memory.threads[i].released, oldest);
    }
    return hash_view(hash, &memory.fences, oldest);
}
