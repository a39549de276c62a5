#ifndef COURTIER_TESTS_POWER_POWER_DISK_H
#define COURTIER_TESTS_POWER_POWER_DISK_H

/*
 * A disk that loses its power: what is on it for sure, and what was written since and
 * not synced. Each of these writes may be there after a cut or not, whole or in part,
 * and one whose sector was under way may be garbage. Names change in their order, as
 * a journal keeps it; the rest in any.
 */

#include "tests/power/power_image.h"
#include "tests/power/power_log.h"
#include "tests/power/power_random.h"

/* How the disk breaks its word: for the tests that must fail. */
enum power_lie { POWER_HONEST, POWER_NO_SYNC, POWER_NO_META_SYNC };

struct power_disk {
    enum power_lie lie;
    struct power_image sure;
    struct power_event **pending; /* borrowed from the log, which changes with it */
    size_t pending_count;
    size_t pending_room;
};

/* What the event does begins: nothing of it is sure, and all may be. */
void power_disk_begin(struct power_disk *disk, struct power_event *event);
/* It has returned. */
void power_disk_end(struct power_disk *disk, struct power_event *event);
void power_disk_done(struct power_disk *disk);

/* How many kinds of cuts there are now. */
unsigned power_disk_cut_count(const struct power_disk *disk);
/* What a cut of this kind leaves, into *image. */
void power_disk_cut(const struct power_disk *disk, unsigned cut, struct power_random *random,
                    struct power_image *image);
/* The latest pending write is garbage, the others are there. */
void power_disk_garble(const struct power_disk *disk, struct power_random *random,
                       struct power_image *image);
/* Everything is there. */
void power_disk_all(const struct power_disk *disk, struct power_image *image);

#endif
