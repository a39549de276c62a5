/*
 * An entry is a run of words:
 *
 *   packet id (16) | reason (16) | type (8) | number of workers n (24)
 *   n times: worker (32) | position in the ring to it (32)
 */
#include "worker/route/settle.h"

#include "common/base/check.h"
#include "common/mqtt/packet.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 16, TYPE_SHIFT = 24, COUNT_MASK = (1 << TYPE_SHIFT) - 1 };

void settle_init(struct settle *settle, struct mesh *mesh,
                 void (*on_ack)(struct conn *conn, const struct publisher_ack *ack))
{
    *settle = (struct settle){.mesh = mesh, .on_ack = on_ack};
    list_init(&settle->waiting);
}

void settle_queue_init(struct settle_queue *queue, struct conn *conn)
{
    *queue = (struct settle_queue){.conn = conn};
    list_init(&queue->node);
}

void settle_queue_done(struct settle_queue *queue)
{
    list_remove(&queue->node);
    free(queue->words);
    settle_queue_init(queue, NULL);
}

static uint64_t *word(const struct settle_queue *q, uint32_t index)
{
    return &q->words[index & (q->capacity - 1)];
}

bool settle_queue_is_empty(const struct settle_queue *queue)
{
    return queue->first == queue->end;
}

static void make_room(struct settle_queue *q, uint32_t need)
{
    uint32_t capacity = q->capacity == 0 ? CAPACITY_MIN : q->capacity;
    while (capacity - (q->end - q->first) < need)
        capacity *= 2;
    if (capacity == q->capacity)
        return;
    uint64_t *words = malloc(capacity * sizeof(words[0]));
    if (words == NULL)
        fatal("no memory for acknowledgements");
    for (uint32_t i = q->first; i != q->end; i++)
        words[i & (capacity - 1)] = *word(q, i);
    free(q->words);
    q->words = words;
    q->capacity = capacity;
}

static void append(const struct settle *s, struct settle_queue *q, const struct publisher_ack *ack,
                   uint64_t workers)
{
    uint32_t count = (uint32_t)__builtin_popcountll(workers);
    make_room(q, 1 + count);
    *word(q, q->end++) = (uint64_t)ack->packet_id << 48 | (uint64_t)ack->reason << 32 |
                         (uint64_t)ack->type << TYPE_SHIFT | count;
    for (; workers != 0; workers &= workers - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(workers);
        *word(q, q->end++) = (uint64_t)worker << 32 | ring_position(&s->mesh->out[worker]);
    }
    q->puback_count += ack->type == PACKET_PUBACK;
}

void settle_acknowledge(struct settle *settle, struct settle_queue *queue,
                        const struct publisher_ack *ack, uint64_t workers)
{
    if (workers == 0 && settle_queue_is_empty(queue)) {
        settle->on_ack(queue->conn, ack);
        return;
    }
    append(settle, queue, ack, workers);
    if (!list_is_linked(&queue->node))
        list_push_back(&settle->waiting, &queue->node);
}

/* The first worker that has not settled the first entry, or NULL. */
static const uint64_t *find_unsettled(const struct settle *s, const struct settle_queue *q)
{
    uint32_t count = (uint32_t)*word(q, q->first) & COUNT_MASK;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *w = word(q, q->first + 1 + i);
        if (!ring_has_settled(&s->mesh->out[*w >> 32], (uint32_t)*w))
            return w;
    }
    return NULL;
}

static void send_first(struct settle *s, struct settle_queue *q)
{
    uint64_t head = *word(q, q->first);
    struct publisher_ack ack = {
        .packet_id = (uint16_t)(head >> 48),
        .reason = (uint16_t)(head >> 32),
        .type = (uint8_t)(head >> TYPE_SHIFT),
    };
    q->first += 1 + ((uint32_t)head & COUNT_MASK);
    q->puback_count -= ack.type == PACKET_PUBACK;
    s->on_ack(q->conn, &ack);
}

void settle_release(struct settle *settle)
{
    list_for_each(node, &settle->waiting) {
        struct settle_queue *q = list_owner(node, struct settle_queue, node);
        while (!settle_queue_is_empty(q) && find_unsettled(settle, q) == NULL)
            send_first(settle, q);
        if (settle_queue_is_empty(q))
            list_remove(&q->node);
    }
}

/* One worker that a first entry waits for, by queue; asks each for its bell once. */
static void ask_for_bells(struct settle *s)
{
    uint64_t asked = 0;
    list_for_each(node, &s->waiting) {
        const uint64_t *w = find_unsettled(s, list_owner(node, struct settle_queue, node));
        if (w == NULL || (asked >> (*w >> 32) & 1) != 0)
            continue;
        asked |= 1ULL << (*w >> 32);
        (void)ring_want_settled(&s->mesh->out[*w >> 32], (uint32_t)*w);
    }
}

bool settle_may_sleep(struct settle *settle)
{
    if (list_is_empty(&settle->waiting))
        return true;
    ask_for_bells(settle);
    list_for_each(node, &settle->waiting)
        if (find_unsettled(settle, list_owner(node, struct settle_queue, node)) == NULL)
            return false;
    return true;
}
