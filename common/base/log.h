#ifndef COURTIER_COMMON_BASE_LOG_H
#define COURTIER_COMMON_BASE_LOG_H

/*
 * Log lines. Every process formats its own lines, but only the master writes
 * them to files, terminals and syslog: a child puts each line as one datagram
 * into a non-blocking socket that leads to the master, so a slow disk or a full
 * pipe costs a worker nothing but the line, which is then counted as dropped.
 *
 * Wording follows Mosquitto where tools parse it. Strings from clients go
 * through log_text(), which escapes them.
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_SUBSCRIBE,
    LOG_LEVEL_UNSUBSCRIBE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_COUNT
};

enum { LOG_LINE_MAX = 1024 };

/* Bit of a level in a mask of levels (`log_type`). */
#define LOG_MASK(level) (1U << (level))

/* Receives a finished line without newline, at most LOG_LINE_MAX bytes. */
typedef void (*log_sink_fn)(enum log_level level, const char *line, size_t size, void *context);

/* Before the first call lines go to stderr. `context` is borrowed for ever. */
void log_set_sink(log_sink_fn sink, void *context);
/* Levels that are let through; all but DEBUG, SUBSCRIBE, UNSUBSCRIBE at start. */
void log_set_mask(uint32_t mask);
bool log_is_on(enum log_level level);
/* One line: controls become blanks, what is too long is cut and ends in "...". */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) \
    do { \
        if (log_is_on(LOG_LEVEL_DEBUG)) \
            log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
    } while (0)

/* At most `burst` lines per 10 s from one call site; the state is the caller's
 * (static, zeroed). Returns true when the line may go out, and then sets
 * *ret_suppressed to how many were held back since the last one. */
struct log_rate {
    uint64_t window_start_ms;
    unsigned count;
    unsigned suppressed;
};
bool log_rate_allows(struct log_rate *rate, unsigned burst, unsigned *ret_suppressed);

enum { LOG_TEXT_MAX = 272 };
/* Text from a client made safe for one log line: control, bidirectional and
 * invalid bytes as \xNN, cut at 64 source bytes with "..."; returned in memory
 * of the caller. */
struct log_text {
    char text[LOG_TEXT_MAX];
};
struct log_text log_text(struct bytes b);

#endif
