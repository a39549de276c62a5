#ifndef COURTIER_MASTER_DAEMONIZE_H
#define COURTIER_MASTER_DAEMONIZE_H

/*
 * -d: going to the background. The command that was started stays until the
 * broker serves or has failed, and ends with the right code, so that a script can
 * trust it.
 */

/* Returns in the background process only: a descriptor for daemonize_ready(), or
 * -errno. */
int daemonize_start(void);
/* The broker serves: the foreground process ends with 0; from here on stdin,
 * stdout and stderr lead nowhere. -1 is allowed: not in the background. */
void daemonize_ready(int fd);

#endif
