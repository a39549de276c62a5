#ifndef COURTIER_SHM_INHERIT_H
#define COURTIER_SHM_INHERIT_H

/*
 * Everything that a child owns at birth; nothing else leaks through the fork.
 * Made by the master; descriptors that a role has no use for are closed before
 * its entry function runs.
 */

#include "common/conf/conf.h"
#include "shm/region.h"

#include <stdint.h>

enum role { ROLE_MASTER, ROLE_STORE, ROLE_WORKER };

/* Exit codes of a child that have a meaning for the master. */
enum {
    INHERIT_EXIT_DONE = 0,
    INHERIT_EXIT_IMPOSSIBLE = 78 /* EX_CONFIG: starting it again would not help */
};

/* A listening socket: one per address that a listener resolved to. */
struct inherit_listener {
    int fd;
    unsigned listener_index; /* struct conf_listener's index */
};

struct inherit {
    enum role role;
    unsigned slot;
    const struct region *region;
    const struct conf *conf;
    const int *bell_fds;                      /* eventfd per slot, all of them */
    const struct inherit_listener *listeners; /* worker: its listening sockets */
    unsigned listener_count;
    int handoff_in;           /* worker: connections that come home; SOCK_SEQPACKET, non-blocking */
    const int *handoff_out;   /* worker: per slot, where to send a connection; -1 for itself */
    int control_fd;           /* the master's word (common/ipc/control.h), non-blocking */
    const char *live_path;    /* folder of the live store */
    uint64_t live_size_max;   /* its map size: the conf's, or less on a small file system */
    const char *durable_path; /* folder of the durable store; NULL: nothing is kept */
    uint64_t epoch;           /* rises with every process that the master starts */
    bool is_successor;        /* the slot had a process before */
    unsigned deaths;          /* of such, in a row */
};

#endif
