#ifndef COURTIER_MASTER_LOG_OUTPUT_H
#define COURTIER_MASTER_LOG_OUTPUT_H

/*
 * The only writer of log lines: to terminal, file and system log, with
 * Mosquitto's time stamps. A target that is not ready (a full pipe, a stopped
 * logger, a full disk) costs the line and nothing else: the master never waits
 * for it, and trouble with a log never ends the broker.
 */

#include "common/base/log.h"
#include "common/conf/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct log_output;

/* Before a configuration is known: stderr, with epoch stamps. NULL without
 * memory. */
struct log_output *log_output_new(void);
void log_output_free(struct log_output *output);

/* Writes to the targets of `conf` from now on; copies what it needs. Used again
 * after a reload, and then opens a file that was moved away anew. 0, or -errno of
 * a log file that can't be opened: stderr then takes its place. */
int log_output_use(struct log_output *output, const struct conf *conf);
/* Opens the file anew, after logrotate moved it. 0 or -errno. */
int log_output_reopen(struct log_output *output);

/* Errors also go to stderr, whatever the targets are: true at start, so that who
 * starts a broker that can't sees why. */
void log_output_repeat_errors(struct log_output *output, bool repeat);

/* A log_sink_fn; `context` is the struct log_output. */
void log_output_sink(enum log_level level, const char *line, size_t size, void *context);
/* Lines that no target took, since the start. */
uint64_t log_output_dropped(const struct log_output *output);

#endif
