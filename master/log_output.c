#include "master/log_output.h"

#include "master/syslog_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_MAX = 96 };

struct log_output {
    unsigned targets; /* of enum conf_log_dest bits */
    bool repeat_errors;
    enum conf_timestamp stamp;
    char *stamp_format;
    char *file_path;
    int file_fd; /* -1: not open */
    struct syslog_link syslog;
    uint64_t dropped;
};

struct log_output *log_output_new(void)
{
    struct log_output *output = calloc(1, sizeof *output);
    if (output == NULL)
        return NULL;
    output->targets = CONF_LOG_STDERR;
    output->repeat_errors = true;
    output->stamp = CONF_STAMP_EPOCH;
    output->file_fd = -1;
    output->syslog.fd = -1;
    return output;
}

static void close_targets(struct log_output *output)
{
    if (output->file_fd >= 0)
        close(output->file_fd);
    output->file_fd = -1;
    syslog_link_close(&output->syslog);
}

void log_output_free(struct log_output *output)
{
    if (output == NULL)
        return;
    close_targets(output);
    free(output->stamp_format);
    free(output->file_path);
    free(output);
}

/* Replaces an owned string; without memory the old one stays. */
static void replace(char **owned, const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        return;
    free(*owned);
    *owned = copy;
}

int log_output_use(struct log_output *output, const struct conf *conf)
{
    close_targets(output);
    output->targets = conf->log_dest;
    output->stamp = conf->log_timestamp;
    replace(&output->stamp_format, conf->log_timestamp_format);
    replace(&output->file_path, conf->log_file);
    if (output->targets & CONF_LOG_SYSLOG)
        syslog_link_open(&output->syslog, conf->log_facility);
    int r = log_output_reopen(output);
    if (r < 0)
        output->targets |= CONF_LOG_STDERR;
    return r;
}

int log_output_reopen(struct log_output *output)
{
    if (!(output->targets & CONF_LOG_FILE) || output->file_path == NULL)
        return 0;
    int fd = open(output->file_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno; /* the old file, if any, stays in use */
    if (output->file_fd >= 0)
        close(output->file_fd);
    output->file_fd = fd;
    return 0;
}

void log_output_repeat_errors(struct log_output *output, bool repeat)
{
    output->repeat_errors = repeat;
}

/* The format comes from the operator's file, not from a client. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t format_time(char *text, size_t size, const char *format, const struct tm *when)
{
    return strftime(text, size, format, when);
}
#pragma GCC diagnostic pop

/* "1718000000: ", or what log_timestamp_format makes of it; returns its length. */
static size_t write_stamp(const struct log_output *output, char stamp[STAMP_MAX])
{
    time_t now = time(NULL);
    struct tm local;
    size_t size = 0;
    if (output->stamp == CONF_STAMP_NONE)
        return 0;
    if (output->stamp == CONF_STAMP_FORMAT && output->stamp_format != NULL &&
        localtime_r(&now, &local) != NULL)
        size = format_time(stamp, STAMP_MAX - 2, output->stamp_format, &local);
    if (size == 0)
        size = (size_t)snprintf(stamp, STAMP_MAX - 2, "%lld", (long long)now);
    stamp[size] = ':';
    stamp[size + 1] = ' ';
    return size + 2;
}

/* We share stdout and stderr with others, so O_NONBLOCK would hit them too; a
 * pipe that polls as writable takes at least PIPE_BUF bytes, more than a line. */
static bool write_line(int fd, const char *text, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return false;
    return write(fd, text, size) == (ssize_t)size;
}

void log_output_sink(enum log_level level, const char *line, size_t size, void *context)
{
    struct log_output *output = context;
    char text[STAMP_MAX + LOG_LINE_MAX + 1];
    bool all_took = true;
    if (size > LOG_LINE_MAX)
        size = LOG_LINE_MAX;
    size_t length = write_stamp(output, text);
    memcpy(text + length, line, size);
    length += size;
    text[length++] = '\n';

    bool repeat = output->repeat_errors && level == LOG_LEVEL_ERROR;
    if ((output->targets & CONF_LOG_STDERR) || repeat)
        all_took = write_line(STDERR_FILENO, text, length);
    if (output->targets & CONF_LOG_STDOUT)
        all_took = write_line(STDOUT_FILENO, text, length) && all_took;
    if (output->file_fd >= 0)
        all_took = write_line(output->file_fd, text, length) && all_took;
    if (output->targets & CONF_LOG_SYSLOG)
        all_took = syslog_link_send(&output->syslog, level, line, size) && all_took;
    if (!all_took)
        output->dropped++;
}

uint64_t log_output_dropped(const struct log_output *output)
{
    return output->dropped;
}
