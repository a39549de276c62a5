#ifndef COURTIER_TESTS_POWER_POWER_REPLAY_H
#define COURTIER_TESTS_POWER_POWER_REPLAY_H

/*
 * Cuts the power behind each event of a log, in every way that power_disk.h knows,
 * and looks at what is left: it must be what the model says for the serials that the
 * store has kept, and those at least that it had confirmed.
 */

#include "tests/power/power_disk.h"
#include "tests/power/power_log.h"
#include "tests/power/power_model.h"

#include <stdbool.h>
#include <stdint.h>

/* Shared with the process that waits for this one, in case that it dies. */
struct power_progress {
    bool is_recorded; /* the log is whole */
    uint64_t images;  /* looked at */
    uint64_t image;   /* the one in hand, or the last that is wrong */
    uint64_t failed;
    char what[256]; /* about the last that is wrong */
};

struct power_replay {
    const struct power_log *log; /* power_disk.h changes its data: used up */
    const struct power_model *model;
    const char *folder; /* empty, in memory */
    uint64_t seed;
    enum power_lie lie;
    bool confirms_early; /* as if all that is said were confirmed */
    uint64_t only;       /* this image alone; UINT64_MAX: all */
    uint64_t failures_max;
    struct power_progress *progress;
};

/* Ends early when so many images are wrong. */
void power_replay_run(const struct power_replay *replay);
/* Does the log account for all that is in the files? */
bool power_replay_is_complete(const struct power_log *log, const struct power_image *left);

#endif
