#ifndef COURTIER_WORKER_PROTOCOL_SYS_TOPICS_H
#define COURTIER_WORKER_PROTOCOL_SYS_TOPICS_H

/*
 * The $SYS topics, with Mosquitto's names and formats, from the counters of all
 * processes; ours are below $SYS/broker/courtier/. Published by worker 0 as
 * retained messages every sys_interval, and only what changed since.
 */

#include "worker/protocol/protocol.h"

struct sys_topics;

/* Publishes the first round at once. Aborts without memory. */
struct sys_topics *sys_topics_start(struct protocol *protocol, const char *version);
/* A reload changed sys_interval. */
void sys_topics_update(struct sys_topics *sys);
/* NULL is allowed. */
void sys_topics_free(struct sys_topics *sys);

#endif
