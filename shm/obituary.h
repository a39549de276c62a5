#ifndef COURTIER_SHM_OBITUARY_H
#define COURTIER_SHM_OBITUARY_H

/*
 * Last words: what a dying process leaves in its slot for the master to log.
 * Written by the hook of check() and by the handler of fatal signals; readable
 * after the death on purpose.
 */

#include "shm/region.h"

#include <stddef.h>

/* Sends the words of failed checks, and "signal N at ADDRESS" of SIGSEGV,
 * SIGBUS, SIGILL, SIGFPE and SIGABRT, into this slot. Once per process. */
void obituary_start(const struct region *region, unsigned slot);
/* Copies the words into `text` (NUL-terminated, cut to fit); empty when none. */
void obituary_read(const struct region *region, unsigned slot, char *text, size_t size);
void obituary_clear(const struct region *region, unsigned slot);

#endif
