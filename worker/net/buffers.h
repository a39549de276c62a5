#ifndef COURTIER_WORKER_NET_BUFFERS_H
#define COURTIER_WORKER_NET_BUFFERS_H

/*
 * Receive buffers that the kernel picks from when bytes arrive, so that an idle
 * connection owns none.
 *
 * The kernel takes buffers first in, first out: with all of them in its ring, a
 * trickle of small packets would walk through the whole memory and find none of
 * it in the cache. So only as many are in the ring as recent turns have used;
 * the others rest on a stack. When the kernel finds the ring empty, their number
 * doubles (buffers_run_short), and it falls again after a quiet time.
 */

#include "common/base/bytes.h"

#include <liburing.h>

struct buffers {
    struct io_uring *ring;
    struct io_uring_buf_ring *shared; /* NULL: not open */
    uint8_t *memory;
    uint16_t *spare; /* stack of the ids that rest */
    unsigned spare_count;
    unsigned count;    /* of all, a power of two */
    unsigned size;     /* of one */
    unsigned lent;     /* in the kernel's ring, or filled and not given back */
    unsigned lent_max; /* how many are to be lent */
    unsigned used;     /* given back in this turn */
    unsigned used_max; /* in one turn of the current period */
    unsigned turns;    /* of the current period */
};

enum { BUFFERS_GROUP = 1 };

/* 0 or -errno: the kernel has no buffer rings, or no memory. */
int buffers_open(struct buffers *ret_buffers, struct io_uring *ring, unsigned count, unsigned size);
/* Before the ring's end. */
void buffers_close(struct buffers *buffers);
/* The first `size` bytes of a buffer that a completion has named. */
struct bytes buffers_bytes(const struct buffers *buffers, unsigned id, size_t size);
void buffers_give_back(struct buffers *buffers, unsigned id);
/* The kernel wanted one more than it had. */
void buffers_run_short(struct buffers *buffers);
void buffers_end_turn(struct buffers *buffers);

#endif
