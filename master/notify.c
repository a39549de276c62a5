#include "master/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int read_address(struct notify *notify, const char *text)
{
    size_t size = strlen(text);
    if (text[0] != '/' && text[0] != '@')
        return -EAFNOSUPPORT; /* AF_VSOCK is for virtual machines */
    if (size < 2 || size >= sizeof notify->address.sun_path)
        return -EINVAL;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, size);
    notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    else
        notify->address_size++; /* the NUL belongs to a path, not to an abstract name */
    return 0;
}

/* Milliseconds between two signs of life, if they are asked of this process. */
static uint64_t read_watchdog(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *interval = getenv("WATCHDOG_USEC");
    if (interval == NULL)
        return 0;
    if (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    return strtoull(interval, NULL, 10) / 1000;
}

int notify_open(struct notify *ret_notify)
{
    *ret_notify = (struct notify){.fd = -1};
    const char *text = getenv("NOTIFY_SOCKET");
    if (text == NULL || text[0] == '\0')
        return 0;
    int r = read_address(ret_notify, text);
    if (r < 0)
        return r;
    ret_notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ret_notify->fd < 0)
        return -errno;
    ret_notify->watchdog_ms = read_watchdog();
    return 0;
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

/* A manager that does not read must not hold us up: then it misses a line. */
static void tell(const struct notify *notify, const char *text)
{
    if (notify->fd < 0)
        return;
    (void)sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify->address, notify->address_size);
}

void notify_ready(const struct notify *notify)
{
    tell(notify, "READY=1\n");
}

void notify_reloading(const struct notify *notify)
{
    struct timespec now;
    char text[96];
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", now_us);
    tell(notify, text);
}

void notify_stopping(const struct notify *notify)
{
    tell(notify, "STOPPING=1\n");
}

void notify_watchdog(const struct notify *notify)
{
    tell(notify, "WATCHDOG=1\n");
}

void notify_status(const struct notify *notify, const char *text)
{
    char line[256];
    snprintf(line, sizeof line, "STATUS=%s\n", text);
    tell(notify, line);
}
