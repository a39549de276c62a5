#include "worker/route/delayed.h"

#include "common/base/check.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void delayed_done(struct delayed *delayed)
{
    free(delayed->records);
    *delayed = (struct delayed){0};
}

static struct delayed_record *at(const struct delayed *delayed, uint64_t serial)
{
    return &delayed->records[serial & (delayed->capacity - 1)];
}

static void grow(struct delayed *delayed)
{
    struct delayed old = *delayed;
    delayed->capacity = old.capacity == 0 ? CAPACITY_MIN : old.capacity * 2;
    delayed->records = malloc(delayed->capacity * sizeof(delayed->records[0]));
    if (delayed->records == NULL)
        fatal("no memory for the journal");
    for (uint64_t serial = old.first; serial != old.end; serial++)
        *at(delayed, serial) = *at(&old, serial);
    free(old.records);
}

/* Past entries that are not wanted any more, and DONEs, which nobody waits for. */
static void move_open(struct delayed *delayed)
{
    while (delayed->open < delayed->end && at(delayed, delayed->open)->delivery == NULL)
        delayed->open++;
}

bool delayed_add(struct delayed *delayed, uint64_t serial, const struct delayed_record *record)
{
    if (delayed->first == delayed->end)
        delayed->first = delayed->end = delayed->open = serial;
    check(serial == delayed->end);
    if (delayed->end - delayed->first == delayed->capacity)
        (void)delayed_first(delayed); /* those that are not wanted go */
    if (delayed->end - delayed->first == DELAYED_MAX)
        return false;
    if (delayed->end - delayed->first == delayed->capacity)
        grow(delayed);
    *at(delayed, delayed->end++) = *record;
    move_open(delayed);
    return true;
}

void delayed_cancel(struct delayed *delayed, uint64_t serial)
{
    check(serial >= delayed->first && serial < delayed->end);
    check(at(delayed, serial)->delivery != NULL);
    at(delayed, serial)->delivery = NULL;
    move_open(delayed);
}

const struct delayed_record *delayed_first(struct delayed *delayed)
{
    for (; delayed->first < delayed->end; delayed->first++) {
        const struct delayed_record *record = at(delayed, delayed->first);
        if (record->delivery != NULL || record->seq != 0)
            return record;
    }
    return NULL;
}

uint64_t delayed_take_first(struct delayed *delayed, struct delayed_record *ret_record)
{
    *ret_record = *at(delayed, delayed->first++);
    if (delayed->open < delayed->first)
        delayed->open = delayed->first;
    move_open(delayed);
    return delayed->first - 1;
}

bool delayed_is_open(const struct delayed *delayed)
{
    return delayed->open < delayed->end;
}
