#ifndef COURTIER_MASTER_SPAWN_H
#define COURTIER_MASTER_SPAWN_H

/*
 * Making a child: fork, hand it its struct inherit, close all that is not in it,
 * give up power, run its entry function. The eventfds and the hand-off sockets are
 * made once and kept by the master, so that a successor finds what its predecessor
 * had not read yet.
 */

#include "common/conf/conf.h"
#include "master/listener.h"
#include "master/live_folder.h"
#include "master/privs.h"
#include "master/title.h"
#include "shm/inherit.h"
#include "shm/region.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a role is called, and its program. */
struct spawn_role {
    const char *name; /* "worker" */
    int (*run)(const struct inherit *inherit);
};

/* A slot and the process in it. */
struct child {
    enum role role;
    unsigned slot;
    char name[24];    /* "worker 0", for people */
    pid_t pid;        /* 0: none runs */
    int control_fd;   /* -1: none runs */
    int log_fd;       /* its lines; -1: none runs */
    bool had_process; /* the next one is a successor */
    bool conf_wanted; /* to be sent as soon as there is room */
    bool stop_wanted;
    bool dump_wanted;
    bool save_wanted;
    bool is_stopping; /* was asked to; it need not answer pings */
    bool is_killed;   /* SIGKILL was sent */
    uint64_t started_ms;
    uint64_t restart_at_ms; /* without a process: when to start one */
    unsigned deaths;        /* in a row, without a minute of life between */
    uint32_t ping;          /* number of the last ping; 0: none yet */
    uint64_t unanswered_ms; /* since when a ping waits for its answer; 0: none does */
};

/* What all children are made from. Pointers are borrowed for the whole life. */
struct spawn {
    const struct spawn_role *roles; /* by enum role */
    const struct region *region;
    const struct conf *conf;
    const struct listener_set *listeners;
    const struct live_folder *live;
    const char *durable_path; /* NULL: nothing is kept on disk */
    const struct privs *privs;
    const struct title *title;
    uint64_t epoch;   /* of the last process */
    int *bell_fds;    /* per slot */
    int *handoff_in;  /* per worker: the end that it reads */
    int *handoff_out; /* per worker: the end that the others write */
};

/* Makes eventfds and hand-off sockets; the borrowed members are set before. 0 or
 * -errno. */
int spawn_open(struct spawn *spawn);
void spawn_close(struct spawn *spawn);

/* Starts a process in the child's slot, which has none. 0 or -errno, in the master
 * only. */
int spawn_child(struct spawn *spawn, struct child *child);

#endif
