#ifndef COURTIER_TESTS_POWER_POWER_SHIM_H
#define COURTIER_TESTS_POWER_POWER_SHIM_H

/*
 * Stands between the program, LMDB with it, and libc: the calls that change files are
 * defined here, do what they always do, and are noted if they concern the watched
 * folder. Time stands still but for power_shim_sleep(), so that a run can be
 * repeated. One thread.
 */

#include "tests/power/power_log.h"

/* From now on notes what happens in folders whose path begins like this. */
void power_shim_record(struct power_log *log, const char *prefix);
/* This file is there already, and has this number. */
void power_shim_know(const char *name, unsigned file);
/* From now on only notes whether anything happens there. */
void power_shim_watch(const char *prefix);
bool power_shim_is_touched(void);
/* No longer notes anything. */
void power_shim_stop(void);

void power_shim_sleep(unsigned ms);

#endif
