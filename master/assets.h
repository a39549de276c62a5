#ifndef COURTIER_MASTER_ASSETS_H
#define COURTIER_MASTER_ASSETS_H

/*
 * What the master opens once, before its first child, and holds until the end:
 * signals, pid file, shared region, listening sockets, the live store's folder,
 * the sockets between processes. In an order that fails early and cleanly.
 */

#include "common/conf/conf.h"
#include "master/listener.h"
#include "master/live_folder.h"
#include "master/notify.h"
#include "master/privs.h"
#include "master/spawn.h"
#include "shm/region.h"

struct assets {
    int signal_fd;        /* SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGUSR2, SIGRTMIN */
    const char *pid_file; /* written by us; or NULL */
    struct notify notify;
    struct privs privs;
    struct region region;
    struct listener_set listeners;
    struct live_folder live;
    char *durable_path; /* owned; NULL: nothing is kept on disk */
    struct spawn spawn; /* points at the others: the assets must not move */
};

/* Opens all that `conf` asks for; conf, roles and title are borrowed. MASTER_EXIT_DONE,
 * or another exit code of master.h after an error line; assets_close() in either
 * case. */
int assets_open(struct assets *ret_assets, const struct conf *conf, const struct spawn_role *roles,
                const struct title *title);
/* Idempotent. */
void assets_close(struct assets *assets);

#endif
