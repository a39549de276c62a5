#ifndef COURTIER_MASTER_SYSLOG_LINK_H
#define COURTIER_MASTER_SYSLOG_LINK_H

/*
 * The system log without syslog(3): that one waits when the logger stands still,
 * and the master must not.
 */

#include "common/base/log.h"

#include <stdbool.h>
#include <stddef.h>

struct syslog_link {
    int fd; /* -1: not connected; tried again with the next line */
    int facility;
};

/* `facility` is a name such as "daemon" or "local0"; NULL: daemon. */
void syslog_link_open(struct syslog_link *ret_link, const char *facility);
void syslog_link_close(struct syslog_link *link);
/* False when the line could not be sent without waiting. */
bool syslog_link_send(struct syslog_link *link, enum log_level level, const char *line,
                      size_t size);

#endif
