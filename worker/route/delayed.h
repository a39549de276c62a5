#ifndef COURTIER_WORKER_ROUTE_DELAYED_H
#define COURTIER_WORKER_ROUTE_DELAYED_H

/*
 * Records of the journal that have their serials, but are not put yet: entries of
 * deliveries that are likely to be acknowledged in a moment, and then need not be
 * put at all; and DONEs, which nobody waits for. They are the latest ones of the
 * journal, so their serials follow one another.
 */

#include <stdbool.h>
#include <stdint.h>

struct delivery;
struct session;

enum { DELAYED_MAX = 16384 };

struct delayed_record {
    uint64_t until_ms;         /* when it is to be put */
    struct session *session;   /* whose */
    struct delivery *delivery; /* entry it is; NULL: it is none, or not wanted any more */
    uint64_t number;           /* a DONE: the session's, */
    uint64_t seq;              /* and the entry's that it is about; 0: it is none */
};

struct delayed {
    struct delayed_record *records; /* circular, by serial */
    uint32_t capacity;              /* 0 or a power of two */
    uint64_t first;                 /* serial of the first, if there is any; */
    uint64_t end;                   /* and the one behind the last */
    uint64_t open;                  /* of the first entry that is wanted, or `end` */
};

void delayed_done(struct delayed *delayed);
/* Adds one; false when there are too many. `serial` is the one behind the last, if
 * there is any. */
bool delayed_add(struct delayed *delayed, uint64_t serial, const struct delayed_record *record);
/* The entry with this serial is not wanted any more. */
void delayed_cancel(struct delayed *delayed, uint64_t serial);
/* The first one that is to be put some time, borrowed until the next call; NULL: none. */
const struct delayed_record *delayed_first(struct delayed *delayed);
/* Takes that one out, and returns its serial. */
uint64_t delayed_take_first(struct delayed *delayed, struct delayed_record *ret_record);
/* Is an entry wanted? Then all before delayed->open is not, or was taken. */
bool delayed_is_open(const struct delayed *delayed);

#endif
