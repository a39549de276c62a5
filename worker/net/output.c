#include "worker/net/output.h"

#include "common/base/check.h"

#include <stdlib.h>

/*
 * Three kinds of chunk have a free list: references to shared memory, small ones
 * for the first bytes of an idle connection (a fan-out to ten thousand clients
 * takes ten thousand of them at once) and for what stands between shared bodies,
 * and large ones for the rest. A packet over the large size gets a chunk of its
 * own.
 */

enum kind { SHARED, SMALL, LARGE, ODD };

struct output_chunk {
    struct output_chunk *next;
    const uint8_t *data; /* what is not sent yet */
    size_t size;
    size_t room; /* own memory behind it */
    void (*give_back)(void *owner);
    void *owner;
    enum kind kind;
    uint8_t memory[];
};

/* With malloc's own bytes they fill 1 and 8 KiB. */
enum {
    SMALL_SIZE = 1024 - 16 - sizeof(struct output_chunk),
    LARGE_SIZE = 8192 - 16 - sizeof(struct output_chunk)
};

static const struct {
    size_t size;
    unsigned free_max;
} kinds[OUTPUT_KINDS] = {
    [SHARED] = {0, 4096},
    [SMALL] = {SMALL_SIZE, 1024},
    [LARGE] = {LARGE_SIZE, 256},
};

void output_pool_init(struct output_pool *pool)
{
    *pool = (struct output_pool){0};
}

void output_pool_done(struct output_pool *pool)
{
    for (unsigned kind = 0; kind < OUTPUT_KINDS; kind++) {
        while (pool->free[kind] != NULL) {
            struct output_chunk *chunk = pool->free[kind];
            pool->free[kind] = chunk->next;
            free(chunk);
        }
        pool->free_count[kind] = 0;
    }
}

static struct output_chunk *lend(struct output_pool *pool, enum kind kind)
{
    struct output_chunk *chunk = pool->free[kind];

    if (chunk == NULL)
        return malloc(sizeof(*chunk) + kinds[kind].size);
    pool->free[kind] = chunk->next;
    pool->free_count[kind]--;
    return chunk;
}

static void give_back(struct output_pool *pool, struct output_chunk *chunk)
{
    enum kind kind = chunk->kind;

    if (kind == SHARED)
        chunk->give_back(chunk->owner);
    if (kind == ODD || pool->free_count[kind] == kinds[kind].free_max) {
        free(chunk);
        return;
    }
    chunk->next = pool->free[kind];
    pool->free[kind] = chunk;
    pool->free_count[kind]++;
}

void output_init(struct output *output)
{
    *output = (struct output){0};
}

static void drop_first(struct output *output, struct output_pool *pool)
{
    struct output_chunk *chunk = output->first;

    output->first = chunk->next;
    if (output->first == NULL)
        output->last = NULL;
    give_back(pool, chunk);
}

void output_clear(struct output *output, struct output_pool *pool)
{
    while (output->first != NULL)
        drop_first(output, pool);
    output->size = 0;
}

static void append(struct output *output, struct output_chunk *chunk)
{
    chunk->next = NULL;
    if (output->last == NULL)
        output->first = chunk;
    else
        output->last->next = chunk;
    output->last = chunk;
}

static struct output_chunk *new_chunk(const struct output *output, struct output_pool *pool,
                                      size_t size)
{
    struct output_chunk *chunk;
    enum kind kind = LARGE;

    if (size > LARGE_SIZE)
        kind = ODD;
    else if (size <= SMALL_SIZE && (output->last == NULL || output->last->kind == SHARED))
        kind = SMALL;
    chunk = kind == ODD ? malloc(sizeof(*chunk) + size) : lend(pool, kind);
    if (chunk == NULL)
        return NULL;
    chunk->kind = kind;
    chunk->data = chunk->memory;
    chunk->size = 0;
    chunk->room = kind == ODD ? size : kinds[kind].size;
    return chunk;
}

/* Where the room of a chunk begins. */
static uint8_t *room_of(struct output_chunk *chunk)
{
    return chunk->memory + (chunk->data - chunk->memory) + chunk->size;
}

uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t size)
{
    struct output_chunk *chunk = output->last;

    if (chunk == NULL || chunk->room < size) {
        chunk = new_chunk(output, pool, size);
        if (chunk == NULL)
            return NULL;
        append(output, chunk);
    }
    return room_of(chunk);
}

void output_commit(struct output *output, size_t size)
{
    struct output_chunk *chunk = output->last;

    check(chunk != NULL);
    check(size <= chunk->room);
    chunk->size += size;
    chunk->room -= size;
    output->size += size;
}

bool output_append_shared(struct output *output, struct output_pool *pool, struct bytes body,
                          void (*give_back_fn)(void *owner), void *owner)
{
    struct output_chunk *chunk = lend(pool, SHARED);

    if (chunk == NULL)
        return false;
    *chunk = (struct output_chunk){
        .data = body.data,
        .size = body.size,
        .give_back = give_back_fn,
        .owner = owner,
        .kind = SHARED,
    };
    append(output, chunk);
    output->size += body.size;
    return true;
}

unsigned output_iov(const struct output *output, struct iovec *iov, unsigned max)
{
    unsigned count = 0;

    for (const struct output_chunk *c = output->first; c != NULL && count < max; c = c->next) {
        if (c->size == 0)
            continue;
        iov[count++] = (struct iovec){
            .iov_base = (void *)(uintptr_t)c->data,
            .iov_len = c->size,
        };
    }
    return count;
}

void output_consume(struct output *output, struct output_pool *pool, size_t size)
{
    check(size <= output->size);
    output->size -= size;
    while (output->first != NULL) {
        struct output_chunk *chunk = output->first;
        size_t taken = size < chunk->size ? size : chunk->size;
        chunk->data += taken;
        chunk->size -= taken;
        size -= taken;
        if (chunk->size > 0)
            return;
        drop_first(output, pool);
    }
}
