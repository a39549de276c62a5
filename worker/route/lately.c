#include "worker/route/lately.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOT_BITS = 13 };

static_assert(LATELY_SLOTS == 1 << SLOT_BITS, "slots are numbered by so many bits");

struct lately_message {
    const void *session;
    uint64_t message_id;
};

void lately_done(struct lately *lately)
{
    free(lately->slots);
    lately->slots = NULL;
}

/* Numbers of messages follow each other, and so may addresses: both are spread. */
static unsigned slot_of(const void *session, uint64_t message_id)
{
    uint64_t mixed = message_id * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= (uint64_t)(uintptr_t)session * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (unsigned)(mixed >> (64 - SLOT_BITS));
}

void lately_note(struct lately *lately, const void *session, uint64_t message_id)
{
    if (lately->slots == NULL)
        lately->slots = calloc(LATELY_SLOTS, sizeof(lately->slots[0]));
    if (lately->slots == NULL)
        return; /* a repeat is not likely, and does less harm than an end */
    lately->slots[slot_of(session, message_id)] = (struct lately_message){session, message_id};
}

bool lately_has(const struct lately *lately, const void *session, uint64_t message_id)
{
    if (lately->slots == NULL)
        return false;
    const struct lately_message *m = &lately->slots[slot_of(session, message_id)];
    return m->session == session && m->message_id == message_id;
}
