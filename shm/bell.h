#ifndef COURTIER_SHM_BELL_H
#define COURTIER_SHM_BELL_H

/*
 * A doorbell per process: an eventfd that is written only when the process has
 * said that it sleeps. Sleeper: flag, full fence, look at the inboxes again.
 * Ringer: publish, full fence, look at the flag. One of the two always sees the
 * other (Dekker), on weak memory too.
 */

#include "shm/layout.h"

#include <stdbool.h>

struct bell {
    struct layout_slot *slot;
    int fd; /* eventfd, non-blocking; inherited by all */
};

/* Full fence, then wakes the process if it sleeps. True when it wrote. */
bool bell_ring(struct bell *bell);
/* Says that this process is about to sleep; full fence. The caller looks at its
 * inboxes once more and calls bell_wake() if it found something. */
void bell_sleep(struct bell *bell);
/* This process is awake again: nobody needs to write. */
void bell_wake(struct bell *bell);
/* Empties the eventfd's counter after it woke us. */
void bell_drain(struct bell *bell);

#endif
