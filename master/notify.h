#ifndef COURTIER_MASTER_NOTIFY_H
#define COURTIER_MASTER_NOTIFY_H

/*
 * What the service manager hears from us: sd_notify's datagrams, without its
 * library. Where no manager listens, all functions do nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd;               /* -1: nobody listens */
    uint64_t watchdog_ms; /* how often it wants to hear from us; 0: never */
    socklen_t address_size;
    struct sockaddr_un address;
};

/* Reads NOTIFY_SOCKET (a path, or "@name" for an abstract one), WATCHDOG_USEC and
 * WATCHDOG_PID. 0 also without them; -errno when they make no sense: `ret_notify`
 * then does nothing. */
int notify_open(struct notify *ret_notify);
void notify_close(struct notify *notify);

void notify_ready(const struct notify *notify);
/* A reload begins; notify_ready() ends it. */
void notify_reloading(const struct notify *notify);
void notify_stopping(const struct notify *notify);
/* "I am alive." */
void notify_watchdog(const struct notify *notify);
/* One line for `systemctl status`. */
void notify_status(const struct notify *notify, const char *text);

#endif
