#ifndef COURTIER_WORKER_NET_OUTPUT_H
#define COURTIER_WORKER_NET_OUTPUT_H

/*
 * What waits to be sent on one connection: a chain of chunks. Small packets are
 * encoded straight into a chunk; a large body is a reference to memory that
 * several connections share. An output without bytes owns nothing; chunks come
 * from a free list of the worker that keeps the last used ones hot.
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct output_chunk;

enum { OUTPUT_KINDS = 3 };

/* The worker's free lists, one per kind of chunk; their sizes are bounded, the
 * rest is freed. */
struct output_pool {
    struct output_chunk *free[OUTPUT_KINDS];
    unsigned free_count[OUTPUT_KINDS];
};
void output_pool_init(struct output_pool *pool);
void output_pool_done(struct output_pool *pool);

struct output {
    struct output_chunk *first;
    struct output_chunk *last;
    size_t size; /* bytes that wait, shared ones too */
};

void output_init(struct output *output);
/* Lets go of everything. */
void output_clear(struct output *output, struct output_pool *pool);

/* Memory for `size` bytes in one piece, to be followed by output_commit() before
 * any other call. NULL without memory. */
uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t size);
/* Keeps the first `size` bytes of the reservation. */
void output_commit(struct output *output, size_t size);
/* Appends memory that somebody else keeps alive; `give_back(owner)` is called
 * when it was sent or dropped. False without memory (give_back is not called). */
bool output_append_shared(struct output *output, struct output_pool *pool, struct bytes body,
                          void (*give_back)(void *owner), void *owner);

/* Up to `max` pieces from the front; returns how many. */
unsigned output_iov(const struct output *output, struct iovec *iov, unsigned max);
/* The first `size` bytes are gone. */
void output_consume(struct output *output, struct output_pool *pool, size_t size);

#endif
