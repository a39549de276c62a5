#ifndef COURTIER_COMMON_IPC_LOG_CHANNEL_H
#define COURTIER_COMMON_IPC_LOG_CHANNEL_H

/*
 * The way of a log line from a child to the master: one packet per line (level,
 * text) on a non-blocking SOCK_SEQPACKET socketpair. When the master is slower
 * than the child, lines are dropped and counted; nobody ever waits. (SOCK_DGRAM
 * would drop after net.unix.max_dgram_qlen, often 10 lines.)
 */

#include "common/base/log.h"

#include <stddef.h>

/* Child's side. `on_dropped` is called for each line that did not fit. */
struct log_channel {
    int fd;
    void (*on_dropped)(void *context);
    void *context;
};

/* Master's side: a line as it arrived, NUL-terminated, without control bytes. */
struct log_channel_line {
    enum log_level level;
    size_t size;
    char text[LOG_LINE_MAX + 1];
};

/* Makes a pair of close-on-exec, non-blocking ends. 0 or -errno. */
int log_channel_open_pair(int *ret_master_fd, int *ret_child_fd);

/* A log_sink_fn; `context` is the struct log_channel. */
void log_channel_sink(enum log_level level, const char *line, size_t size, void *context);

/* Takes one line without waiting. 0; -EAGAIN when there is none; -EPIPE when the
 * child is gone and all its lines were taken; -EPROTO for a malformed packet. */
int log_channel_receive(int fd, struct log_channel_line *ret_line);

#endif
