#include "master/syslog_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int facility_of(const char *name)
{
    static const char local[] = "local"; /* "local0" to "local7", or "daemon" */
    if (name == NULL || strncmp(name, local, strlen(local)) != 0)
        return LOG_DAEMON;
    return LOG_LOCAL0 + ((name[strlen(local)] - '0') << 3);
}

static int priority_of(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return LOG_ERR;
    case LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case LOG_LEVEL_NOTICE:
        return LOG_NOTICE;
    case LOG_LEVEL_INFO:
        return LOG_INFO;
    case LOG_LEVEL_DEBUG:
    case LOG_LEVEL_SUBSCRIBE:
    case LOG_LEVEL_UNSUBSCRIBE:
    case LOG_LEVEL_COUNT:
        break;
    }
    return LOG_DEBUG;
}

static void connect_link(struct syslog_link *link)
{
    const struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    link->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd >= 0 && connect(link->fd, (const struct sockaddr *)&where, sizeof where) < 0)
        syslog_link_close(link);
}

void syslog_link_open(struct syslog_link *ret_link, const char *facility)
{
    ret_link->facility = facility_of(facility);
    connect_link(ret_link);
}

void syslog_link_close(struct syslog_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

bool syslog_link_send(struct syslog_link *link, enum log_level level, const char *line, size_t size)
{
    char stamp[32];
    char text[LOG_LINE_MAX + 96];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%h %e %T", &local);
    int length = snprintf(text, sizeof text, "<%d>%s courtier[%ld]: %.*s",
                          link->facility | priority_of(level), stamp, (long)getpid(), (int)size,
                          line);
    if (link->fd < 0)
        connect_link(link);
    if (link->fd < 0)
        return false;
    if (send(link->fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno != EAGAIN)
        syslog_link_close(link); /* the logger was started anew: connect again */
    return false;
}
