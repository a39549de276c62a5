#ifndef COURTIER_WORKER_WORKER_H
#define COURTIER_WORKER_WORKER_H

/* The process that speaks MQTT, one per core. */

#include "shm/inherit.h"

/*
 * Entry of the process. Called with an empty descriptor table but for what stands
 * in `inherit`, without privileges, with the log's sink and mask set, the
 * obituary started, and SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE ignored.
 *
 * Waits itself for the live environment (live_open_reader() until it is not
 * -ENOENT). Says heartbeat_answer(HEARTBEAT_READY) when it serves, and answers
 * CONTROL_PING with its number. Runs until CONTROL_STOP: closes its listening
 * sockets, drains, and returns the process's exit code: INHERIT_EXIT_DONE, or
 * INHERIT_EXIT_IMPOSSIBLE when the configuration can't work on this machine.
 */
int worker_run(const struct inherit *inherit);

#endif
