/*
 * The counters, one row each: STAT(name, kind). A COUNT only grows; a GAUGE
 * goes up and down. $SYS sums a row over all slots. Names follow $SYS where it
 * has one. Include with STAT defined for the rows; without it, for STATS_COUNT.
 */
#ifndef STATS_ROWS
#define STATS_ROWS(STAT) \
    STAT(bytes_received, COUNT) \
    STAT(bytes_sent, COUNT) \
    STAT(messages_received, COUNT) /* packets of any type */ \
    STAT(messages_sent, COUNT) \
    STAT(publish_received, COUNT) \
    STAT(publish_sent, COUNT) \
    STAT(publish_dropped, COUNT)        /* for one subscriber each */ \
    STAT(publish_bytes_received, COUNT) /* payloads */ \
    STAT(publish_bytes_sent, COUNT) \
    STAT(connections_opened, COUNT) \
    STAT(connects_received, COUNT) \
    STAT(clients_connected, GAUGE) \
    STAT(clients_total, GAUGE) /* sessions, connected or not */ \
    STAT(clients_expired, COUNT) \
    STAT(sockets_open, GAUGE) \
    STAT(subscriptions, GAUGE) \
    STAT(shared_subscriptions, GAUGE) \
    STAT(retained_messages, GAUGE) \
    STAT(retained_bytes, GAUGE) \
    STAT(stored_messages, GAUGE) /* queued and in flight, per subscriber */ \
    STAT(stored_bytes, GAUGE) \
    STAT(handoffs, COUNT)        /* connections passed to their home */ \
    STAT(forwarded, COUNT)       /* records put into other workers' rings */ \
    STAT(ring_full, COUNT)       /* times a producer found no room */ \
    STAT(publishers_held, COUNT) /* times a publisher was pushed back */ \
    STAT(clients_held, COUNT)    /* times a client was not read because the disk stood */ \
    STAT(route_hits, COUNT) \
    STAT(route_misses, COUNT) \
    STAT(quarantined, COUNT) /* records set aside */ \
    STAT(log_dropped, COUNT) \
    STAT(restored, GAUGE)   /* of a worker: 1 when what was on disk is back */ \
    STAT(drained, GAUGE)    /* of a worker that stops: 1 when its connections are gone */ \
    STAT(stop_steps, COUNT) /* what a process has finished of its stop: grows while it goes on */ \
    STAT(turns, COUNT)      /* passes of the event loop */ \
    STAT(respawns, COUNT) \
    STAT(live_refused, COUNT)         /* writes that the live store had no room for */ \
    STAT(durable_records, COUNT)      /* of the journal, taken by the committer */ \
    STAT(durable_commits, COUNT)      /* that wrote something */ \
    STAT(durable_commit_us, COUNT)    /* time that they took, in microseconds */ \
    STAT(durable_bytes, COUNT)        /* written by them, in pages */ \
    STAT(durable_used, GAUGE)         /* bytes of the file that are in use */ \
    STAT(durable_sessions, GAUGE)     /* on disk */ \
    STAT(durable_messages, GAUGE)     /* deliveries on disk, waiting or in flight */ \
    STAT(durable_waiting, GAUGE)      /* bytes of the journal that wait in the workers */ \
    STAT(durable_queued_bytes, GAUGE) /* of their messages */ \
    STAT(durable_damaged, COUNT)      /* rows that were dropped */ \
    STAT(durable_copy_made, GAUGE)    /* the older copy: second of the boot clock, 0: none */ \
    STAT(durable_copy_bytes, GAUGE) \
    STAT(durable_salvages, COUNT) /* times the database was made anew */ \
    STAT(durable_state, GAUGE)    /* enum record_journal_state */

enum {
#define STAT_ONE(name, kind) +1
    STATS_COUNT = 0 STATS_ROWS(STAT_ONE)
#undef STAT_ONE
};
#endif
