#ifndef COURTIER_TESTS_POWER_POWER_WORKLOAD_H
#define COURTIER_TESTS_POWER_POWER_WORKLOAD_H

/*
 * Two workers that tell the real committer, through real rings, all that a journal can
 * hold: sessions, subscriptions, messages for one or several of them, QoS 2 both ways,
 * retained messages, wills, and the end of each. The same seed says the same.
 */

#include "tests/power/power_image.h"
#include "tests/power/power_log.h"
#include "tests/power/power_model.h"

/* Runs it from an empty folder on, and notes in the log what happens to the files and
 * what was confirmed, in the model what was said, in *ret_left what the files hold at
 * the end. A failure ends the process. */
void power_workload_run(uint64_t seed, struct power_log *log, struct power_model *model,
                        struct power_image *ret_left);

#endif
