#include "worker/protocol/sys_topics.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "shm/times.h"
#include "worker/protocol/sys_day.h"
#include "worker/protocol/sys_load.h"
#include "worker/route/route.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE_MAX = 64, TOPIC_MAX = 96 };

/* What one round works with. */
struct round {
    const struct region *region;
    uint64_t clients_maximum;
    uint64_t bytes_per_day; /* to the disk */
    struct times commits;   /* since the last round */
};

static uint64_t sum(const struct round *round, enum stat_id stat)
{
    return stats_sum(round->region, stat);
}

/* -- values that are not just one counter -- */

static uint64_t disconnected(const struct round *round)
{
    uint64_t total = sum(round, STAT_clients_total);
    uint64_t connected = sum(round, STAT_clients_connected);
    return total > connected ? total - connected : 0;
}

static uint64_t maximum(const struct round *round)
{
    return round->clients_maximum;
}

static uint64_t workers(const struct round *round)
{
    return round->region->worker_count;
}

static uint64_t bytes_per_day(const struct round *round)
{
    return round->bytes_per_day;
}

static uint64_t copy_age(const struct round *round)
{
    uint64_t made_s = sum(round, STAT_durable_copy_made);
    return made_s == 0 ? 0 : clock_now_ms() / 1000 - made_s;
}

static uint64_t commit_p50(const struct round *round)
{
    return times_percentile_us(&round->commits, 50);
}

static uint64_t commit_p90(const struct round *round)
{
    return times_percentile_us(&round->commits, 90);
}

static uint64_t commit_p99(const struct round *round)
{
    return times_percentile_us(&round->commits, 99);
}

static uint64_t commit_max(const struct round *round)
{
    return times_percentile_us(&round->commits, 100);
}

/* One row per number: a counter, or a function where it takes more than one. */
struct number_topic {
    const char *name; /* below $SYS/broker/ */
    enum stat_id stat;
    uint64_t (*compute)(const struct round *round); /* NULL: the counter */
};

static const struct number_topic NUMBERS[] = {
    {"clients/total", STAT_clients_total, NULL},
    {"clients/connected", STAT_clients_connected, NULL},
    {"clients/active", STAT_clients_connected, NULL},
    {"clients/disconnected", 0, disconnected},
    {"clients/inactive", 0, disconnected},
    {"clients/maximum", 0, maximum},
    {"clients/expired", STAT_clients_expired, NULL},
    {"messages/received", STAT_messages_received, NULL},
    {"messages/sent", STAT_messages_sent, NULL},
    {"messages/stored", STAT_stored_messages, NULL},
    {"store/messages/count", STAT_stored_messages, NULL},
    {"store/messages/bytes", STAT_stored_bytes, NULL},
    {"store/durable/records", STAT_durable_records, NULL},
    {"store/durable/commits", STAT_durable_commits, NULL},
    {"store/durable/commit_us", STAT_durable_commit_us, NULL},
    {"store/durable/commit_us/p50", 0, commit_p50},
    {"store/durable/commit_us/p90", 0, commit_p90},
    {"store/durable/commit_us/p99", 0, commit_p99},
    {"store/durable/commit_us/max", 0, commit_max},
    {"store/durable/bytes", STAT_durable_bytes, NULL},
    {"store/durable/bytes_per_day", 0, bytes_per_day},
    {"store/durable/used_bytes", STAT_durable_used, NULL},
    {"store/durable/sessions", STAT_durable_sessions, NULL},
    {"store/durable/messages", STAT_durable_messages, NULL},
    {"store/durable/message_bytes", STAT_durable_queued_bytes, NULL},
    {"store/durable/waiting_bytes", STAT_durable_waiting, NULL},
    {"store/durable/damaged", STAT_durable_damaged, NULL},
    {"store/durable/salvages", STAT_durable_salvages, NULL},
    {"store/durable/copy/bytes", STAT_durable_copy_bytes, NULL},
    {"store/durable/copy/age", 0, copy_age},
    {"store/durable/state", STAT_durable_state, NULL},
    {"subscriptions/count", STAT_subscriptions, NULL},
    {"shared_subscriptions/count", STAT_shared_subscriptions, NULL},
    {"retained messages/count", STAT_retained_messages, NULL},
    {"publish/messages/received", STAT_publish_received, NULL},
    {"publish/messages/sent", STAT_publish_sent, NULL},
    {"publish/messages/dropped", STAT_publish_dropped, NULL},
    {"publish/bytes/received", STAT_publish_bytes_received, NULL},
    {"publish/bytes/sent", STAT_publish_bytes_sent, NULL},
    {"bytes/received", STAT_bytes_received, NULL},
    {"bytes/sent", STAT_bytes_sent, NULL},
    {"connections/socket/count", STAT_sockets_open, NULL},
    {"courtier/workers", 0, workers},
    {"courtier/handoffs", STAT_handoffs, NULL},
    {"courtier/forwarded", STAT_forwarded, NULL},
    {"courtier/ring_full", STAT_ring_full, NULL},
    {"courtier/publishers_held", STAT_publishers_held, NULL},
    {"courtier/clients_held", STAT_clients_held, NULL},
    {"courtier/route/hits", STAT_route_hits, NULL},
    {"courtier/route/misses", STAT_route_misses, NULL},
    {"courtier/quarantined", STAT_quarantined, NULL},
    {"courtier/log_dropped", STAT_log_dropped, NULL},
    {"courtier/respawns", STAT_respawns, NULL},
    {"courtier/live_refused", STAT_live_refused, NULL},
    {"courtier/retained_bytes", STAT_retained_bytes, NULL},
};

enum { NUMBER_COUNT = sizeof(NUMBERS) / sizeof(NUMBERS[0]) };

struct sys_topics {
    struct protocol *protocol;
    struct wheel_timer timer;
    uint64_t start_ms;
    uint64_t clients_maximum;
    uint64_t last[NUMBER_COUNT];
    bool was_sent[NUMBER_COUNT];
    struct sys_load load;
    struct sys_day written; /* to the disk */
    struct times commits;   /* up to the last round */
};

static void publish(void *context, const char *name, const char *value)
{
    struct sys_topics *sys = context;
    struct router *router = sys->protocol->router;
    char topic[TOPIC_MAX];
    (void)snprintf(topic, sizeof(topic), "$SYS/broker/%s", name);
    struct publication p = {
        .topic = bytes_of(topic),
        .payload = bytes_of(value),
        .message_id = router_next_message_id(router),
        .origin = (uint16_t)router->self,
        .qos = QOS_EXACTLY_ONCE, /* so that each subscriber gets the QoS it asked for */
        .retain = true,
    };
    (void)route_publish(router, &p);
    publication_done(&p);
}

static void publish_numbers(struct sys_topics *sys, const struct round *round)
{
    for (unsigned i = 0; i < NUMBER_COUNT; i++) {
        const struct number_topic *t = &NUMBERS[i];
        uint64_t value = t->compute != NULL ? t->compute(round) : sum(round, t->stat);
        if (sys->was_sent[i] && sys->last[i] == value)
            continue;
        char text[VALUE_MAX];
        (void)snprintf(text, sizeof(text), "%" PRIu64, value);
        publish(sys, t->name, text);
        sys->last[i] = value;
        sys->was_sent[i] = true;
    }
}

static void start_timer(struct sys_topics *sys)
{
    struct loop *loop = sys->protocol->router->loop;
    uint32_t interval_s = sys->protocol->tunable->sys_interval_s;
    if (interval_s == 0)
        wheel_stop(loop_wheel(loop), &sys->timer);
    else
        wheel_start(loop_wheel(loop), &sys->timer, loop_now_ms(loop) + interval_s * 1000ULL);
}

static void read_commits(const struct region *region, struct times *ret_commits)
{
    if (region_has_committer(region))
        times_read(stats_of(region, region_committer_slot(region)), ret_commits);
}

/* What the committer did since the last round. */
static void look_at_disk(struct sys_topics *sys, struct round *round, uint64_t now_ms)
{
    struct times before = sys->commits;
    read_commits(round->region, &sys->commits);
    times_since(&round->commits, &sys->commits, &before);
    round->bytes_per_day = sys_day_update(&sys->written, now_ms, sum(round, STAT_durable_bytes));
}

static void publish_round(struct sys_topics *sys)
{
    uint64_t now = clock_now_ms();
    struct round round = {.region = sys->protocol->region};
    look_at_disk(sys, &round, now);
    uint64_t connected = sum(&round, STAT_clients_connected);
    if (connected > sys->clients_maximum)
        sys->clients_maximum = connected;
    round.clients_maximum = sys->clients_maximum;
    char text[VALUE_MAX];
    (void)snprintf(text, sizeof(text), "%" PRIu64 " seconds", (now - sys->start_ms) / 1000);
    publish(sys, "uptime", text);
    publish_numbers(sys, &round);
    sys_load_publish(&sys->load, round.region, now, publish, sys);
}

static void on_timer(struct wheel_timer *timer, void *context)
{
    (void)context;
    struct sys_topics *sys = list_owner(timer, struct sys_topics, timer);
    publish_round(sys);
    start_timer(sys);
}

struct sys_topics *sys_topics_start(struct protocol *protocol, const char *version)
{
    struct sys_topics *sys = calloc(1, sizeof(*sys));
    if (sys == NULL)
        fatal("no memory at start");
    sys->protocol = protocol;
    sys->start_ms = clock_now_ms();
    sys_load_init(&sys->load, protocol->region, sys->start_ms);
    read_commits(protocol->region, &sys->commits);
    sys_day_init(&sys->written, sys->start_ms, stats_sum(protocol->region, STAT_durable_bytes));
    wheel_timer_init(&sys->timer, on_timer);
    char text[VALUE_MAX];
    (void)snprintf(text, sizeof(text), "courtier version %s", version);
    if (protocol->tunable->sys_interval_s > 0) {
        publish(sys, "version", text);
        publish_round(sys);
    }
    start_timer(sys);
    return sys;
}

void sys_topics_update(struct sys_topics *sys)
{
    start_timer(sys);
}

void sys_topics_free(struct sys_topics *sys)
{
    if (sys == NULL)
        return;
    wheel_stop(loop_wheel(sys->protocol->router->loop), &sys->timer);
    free(sys);
}
