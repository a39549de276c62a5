#include "worker/net/buffers.h"

#include "common/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    LENT_MIN = 32,
    PERIOD_TURNS = 4096,
    /* Buffers of a whole number of pages would begin in the same few cache sets. */
    COLOUR = 128
};

static size_t stride(const struct buffers *b)
{
    return b->size + COLOUR;
}

/* Untouched pages cost nothing. NULL without memory. */
static void *map_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static int register_ring(const struct buffers *b)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)b->shared,
        .ring_entries = b->count,
        .bgid = BUFFERS_GROUP,
    };

    return io_uring_register_buf_ring(b->ring, &reg, 0);
}

static void lend(struct buffers *b, unsigned id)
{
    io_uring_buf_ring_add(b->shared, b->memory + id * stride(b), b->size, (unsigned short)id,
                          io_uring_buf_ring_mask(b->count), 0);
    io_uring_buf_ring_advance(b->shared, 1);
    b->lent++;
}

static void lend_spares(struct buffers *b)
{
    while (b->lent < b->lent_max && b->spare_count > 0)
        lend(b, b->spare[--b->spare_count]);
}

static void free_memory(struct buffers *b)
{
    free(b->spare);
    if (b->memory != NULL)
        munmap(b->memory, b->count * stride(b));
    if (b->shared != NULL)
        munmap(b->shared, b->count * sizeof(struct io_uring_buf));
    *b = (struct buffers){0};
}

int buffers_open(struct buffers *ret_buffers, struct io_uring *ring, unsigned count, unsigned size)
{
    struct buffers b = {.ring = ring, .count = count, .size = size};
    int r = -ENOMEM;

    check((count & (count - 1)) == 0);
    check(count <= UINT16_MAX / 2 + 1);
    b.shared = map_memory(count * sizeof(struct io_uring_buf));
    b.memory = map_memory(count * stride(&b));
    b.spare = malloc(count * sizeof(*b.spare));
    if (b.shared != NULL && b.memory != NULL && b.spare != NULL)
        r = register_ring(&b);
    if (r < 0) {
        free_memory(&b);
        return r;
    }
    io_uring_buf_ring_init(b.shared);
    while (b.spare_count < count) {
        b.spare[b.spare_count] = (uint16_t)(count - 1 - b.spare_count);
        b.spare_count++;
    }
    b.lent_max = count < LENT_MIN ? count : LENT_MIN;
    lend_spares(&b);
    *ret_buffers = b;
    return 0;
}

void buffers_close(struct buffers *b)
{
    if (b->shared == NULL)
        return;
    io_uring_unregister_buf_ring(b->ring, BUFFERS_GROUP);
    free_memory(b);
}

struct bytes buffers_bytes(const struct buffers *b, unsigned id, size_t size)
{
    check(id < b->count);
    check(size <= b->size);
    return (struct bytes){.data = b->memory + id * stride(b), .size = size};
}

void buffers_give_back(struct buffers *b, unsigned id)
{
    check(id < b->count);
    check(b->lent > 0);
    b->used++;
    b->lent--;
    if (b->lent < b->lent_max)
        lend(b, id);
    else
        b->spare[b->spare_count++] = (uint16_t)id;
}

static void set_lent_max(struct buffers *b, unsigned wanted)
{
    if (wanted < LENT_MIN)
        wanted = LENT_MIN;
    b->lent_max = wanted < b->count ? wanted : b->count;
    lend_spares(b);
}

void buffers_run_short(struct buffers *b)
{
    set_lent_max(b, 2 * b->lent_max);
}

void buffers_end_turn(struct buffers *b)
{
    if (b->used > b->used_max)
        b->used_max = b->used;
    b->used = 0;
    if (++b->turns < PERIOD_TURNS)
        return;
    if (2 * b->used_max < b->lent_max)
        set_lent_max(b, 2 * b->used_max);
    b->turns = 0;
    b->used_max = 0;
}
