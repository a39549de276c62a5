#include "worker/route/had.h"

#include <stdlib.h>

enum { ROOM_MIN = 16 };

void had_done(struct had *had)
{
    free(had->list);
    *had = (struct had){0};
}

bool had_add(struct had *had, uint64_t session, uint64_t message_id)
{
    if (had->count == had->room) {
        unsigned room = had->room == 0 ? ROOM_MIN : had->room * 2;
        struct had_message *list = realloc(had->list, room * sizeof(list[0]));
        if (list == NULL)
            return false;
        had->list = list;
        had->room = room;
    }
    had->list[had->count++] = (struct had_message){session, message_id};
    had->is_sorted = false;
    return true;
}

static int order_of(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *one, const void *other)
{
    const struct had_message *a = one;
    const struct had_message *b = other;
    int order = order_of(a->message_id, b->message_id);
    return order != 0 ? order : order_of(a->session, b->session);
}

bool had_contains(struct had *had, uint64_t session, uint64_t message_id)
{
    const struct had_message wanted = {session, message_id};
    if (had->count == 0)
        return false;
    if (!had->is_sorted)
        qsort(had->list, had->count, sizeof(had->list[0]), compare);
    had->is_sorted = true;
    return bsearch(&wanted, had->list, had->count, sizeof(had->list[0]), compare) != NULL;
}
