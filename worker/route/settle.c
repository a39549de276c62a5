/*
 * An entry is a run of words:
 *
 *   handle of the publisher (32) | packet id (16) | type (8) | reason (8)
 *   number of workers n
 *   n times: worker (32) | position in the ring to it (32)
 */
#include "worker/route/settle.h"

#include "common/base/check.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 256, HEAD_WORDS = 2 };

void settle_init(struct settle *settle, struct mesh *mesh, struct publishers *publishers)
{
    *settle = (struct settle){.mesh = mesh, .publishers = publishers};
}

void settle_done(struct settle *settle)
{
    free(settle->words);
    settle->words = NULL;
}

static uint64_t *word(const struct settle *s, size_t index)
{
    return &s->words[index & (s->capacity - 1)];
}

static void grow(struct settle *s, size_t need)
{
    size_t capacity = s->capacity == 0 ? CAPACITY_MIN : s->capacity;
    while (capacity - (s->end - s->first) < need)
        capacity *= 2;
    if (capacity == s->capacity)
        return;
    uint64_t *words = malloc(capacity * sizeof(words[0]));
    if (words == NULL)
        fatal("no memory for acknowledgements");
    for (size_t i = s->first; i != s->end; i++)
        words[i & (capacity - 1)] = *word(s, i);
    free(s->words);
    s->words = words;
    s->capacity = capacity;
}

static void push(struct settle *s, uint64_t value)
{
    *word(s, s->end++) = value;
}

static void append(struct settle *s, uint32_t handle, const struct publisher_ack *ack,
                   uint64_t workers)
{
    size_t count = (size_t)__builtin_popcountll(workers);
    grow(s, HEAD_WORDS + count);
    push(s, (uint64_t)handle << 32 | (uint64_t)ack->packet_id << 16 | (uint64_t)ack->type << 8 |
                ack->reason);
    push(s, count);
    for (; workers != 0; workers &= workers - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(workers);
        push(s, (uint64_t)worker << 32 | ring_position(&s->mesh->out[worker]));
    }
}

void settle_acknowledge(struct settle *settle, struct publisher *publisher,
                        const struct publisher_ack *ack, uint64_t workers)
{
    if (workers == 0 && publisher->unsettled == 0) {
        settle->publishers->on_ack(publisher->conn, ack);
        return;
    }
    publisher->unsettled++;
    append(settle, publisher->handle, ack, workers);
}

/* The first worker of the first entry that has not settled yet, or NULL. */
static const uint64_t *find_unsettled(const struct settle *s)
{
    size_t count = *word(s, s->first + 1);
    for (size_t i = 0; i < count; i++) {
        const uint64_t *w = word(s, s->first + HEAD_WORDS + i);
        if (!ring_has_settled(&s->mesh->out[*w >> 32], (uint32_t)*w))
            return w;
    }
    return NULL;
}

static void send_first(struct settle *s)
{
    uint64_t head = *word(s, s->first);
    struct publisher_ack ack = {
        .packet_id = (uint16_t)(head >> 16),
        .type = (uint8_t)(head >> 8),
        .reason = (uint8_t)head,
    };
    s->first += HEAD_WORDS + *word(s, s->first + 1);
    publishers_settled(s->publishers, (uint32_t)(head >> 32), &ack);
}

void settle_release(struct settle *settle)
{
    while (settle->first != settle->end && find_unsettled(settle) == NULL)
        send_first(settle);
}

bool settle_may_sleep(struct settle *settle)
{
    if (settle->first == settle->end)
        return true;
    const uint64_t *w = find_unsettled(settle);
    return w != NULL && !ring_want_settled(&settle->mesh->out[*w >> 32], (uint32_t)*w);
}
