#ifndef COURTIER_MASTER_MASTER_H
#define COURTIER_MASTER_MASTER_H

/*
 * The supervisor: makes what the processes share, starts them in order, replaces
 * those that die, reloads, and stops all in order. One loop turns signals and
 * deaths into actions; it waits for nothing else.
 */

#include "common/conf/conf.h"
#include "master/log_output.h"
#include "master/spawn.h"
#include "master/title.h"

#include <stdbool.h>

/* Exit codes of the broker, named in --help. */
enum {
    MASTER_EXIT_DONE = 0,
    MASTER_EXIT_FAILED = 1,    /* could not start, or had to give up */
    MASTER_EXIT_ARGUMENTS = 2, /* wrong command line */
    MASTER_EXIT_CONF = 3       /* the configuration is wrong, or impossible here */
};

/* What main() found out; borrowed until master_run() returns. */
struct master_setup {
    const struct conf_arguments *arguments; /* to read the file again */
    bool quiet;                             /* -q: no log lines at all */
    const char *version;
    const struct spawn_role *roles; /* by enum role */
    struct title title;
    struct log_output *output; /* in use as the log's sink */
};

/* Runs the broker with `conf`, which it takes, until it is told to stop; returns
 * its exit code. */
int master_run(struct conf *conf, const struct master_setup *setup);

#endif
