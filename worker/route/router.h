#ifndef COURTIER_WORKER_ROUTE_ROUTER_H
#define COURTIER_WORKER_ROUTE_ROUTER_H

/*
 * What routing needs, in one place: the worker's end of everything shared, its
 * own subscribers, and the ways in and out. One per worker; its parts are handed
 * down, never reached for.
 */

#include "common/conf/conf.h"
#include "shm/live/live.h"
#include "shm/mesh.h"
#include "shm/stats.h"
#include "worker/net/loop.h"
#include "worker/route/announce.h"
#include "worker/route/await.h"
#include "worker/route/cache.h"
#include "worker/route/fetch.h"
#include "worker/route/filters.h"
#include "worker/route/had.h"
#include "worker/route/journal.h"
#include "worker/route/lately.h"
#include "worker/route/outbound.h"
#include "worker/route/pass_on.h"
#include "worker/route/publisher.h"
#include "worker/route/settle.h"

#include <stdint.h>

struct router {
    const struct region *region;
    const struct conf_tunable *tunable;
    struct loop *loop;
    struct stats stats;
    unsigned self;  /* slot */
    unsigned store; /* slot */
    struct mesh mesh;
    struct live *live;
    uint32_t live_seen;   /* generation of the snapshot in hand */
    bool live_is_resting; /* no snapshot in hand */
    struct session_table *sessions;
    struct filters filters;
    struct announcer announcer;
    struct publishers publishers;
    struct settle settle;
    struct outbound outbound;
    struct journal journal;
    struct fetch fetch;
    struct route_cache *cache;
    struct lookup_scratch *scratch; /* room for one look-up */
    struct list_node holds;         /* sessions with publishers to let go on (hold.h) */
    struct list_node backlog;       /* sessions that wait for the disk (backlog.h) */
    struct list_node replays;       /* retained messages on their way, all sessions */
    struct list_node leaving;       /* sessions' deliveries to be moved to others, */
    struct list_node moves;         /* and those that were (redistribute.h) */
    uint32_t move_count;
    struct session *passing_on;             /* keeps what is passed on; NULL: nothing */
    struct passing passing[MESH_PEERS_MAX]; /* by the process that they came from */
    uint64_t unsettled;                     /* bit per process: records of it are not settled */
    struct await await;                     /* packets that wait for the journal */
    struct had had;                         /* what must not be delivered once more, */
    struct lately lately;                   /* nor this */
    uint64_t message_id_base;               /* slot and epoch */
    uint64_t message_count;
    uint64_t asked_at_ms; /* for shared groups (shared.c): when others were asked, */
    uint32_t ask_count;   /* and how often in that millisecond */
    uint32_t turn;        /* spreads the picks of shared groups */
};

/* A snapshot that is at least as new as every commit that this process can know
 * of. Renews only when the live data moved. False when LMDB can't (logged). */
bool router_renew(struct router *router);
/* Lets go of the snapshot before the process sleeps. */
void router_rest(struct router *router);
/* State is kept on disk, and a run's number is never used twice: message ids are made
 * from it, so that none ever comes again. */
void router_use_run(struct router *router, uint32_t run);
/* A message id that no other process gives out: epoch (18 bits) and slot (6), or run
 * (24); count. */
uint64_t router_next_message_id(struct router *router);

#endif
