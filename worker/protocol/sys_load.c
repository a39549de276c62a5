#include "worker/protocol/sys_load.h"

#include "shm/stats.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

struct load_topic {
    const char *name;
    enum stat_id stat;
};

static const struct load_topic TOPICS[] = {
    {"load/messages/received", STAT_messages_received},
    {"load/messages/sent", STAT_messages_sent},
    {"load/publish/received", STAT_publish_received},
    {"load/publish/sent", STAT_publish_sent},
    {"load/publish/dropped", STAT_publish_dropped},
    {"load/bytes/received", STAT_bytes_received},
    {"load/bytes/sent", STAT_bytes_sent},
    {"load/sockets", STAT_connections_opened},
    {"load/connections", STAT_connects_received},
};
static_assert(sizeof(TOPICS) / sizeof(TOPICS[0]) == SYS_LOAD_COUNT, "one row per average");

static const struct {
    const char *name;
    double seconds;
} SPANS[SYS_LOAD_SPANS] = {{"1min", 60}, {"5min", 300}, {"15min", 900}};

void sys_load_init(struct sys_load *load, const struct region *region, uint64_t now_ms)
{
    *load = (struct sys_load){.last_ms = now_ms};
    for (unsigned i = 0; i < SYS_LOAD_COUNT; i++)
        load->last[i] = stats_sum(region, TOPICS[i].stat);
}

static void update(struct sys_load *load, const struct region *region, uint64_t now_ms)
{
    double seconds = (double)(now_ms - load->last_ms) / 1000.0;
    if (seconds <= 0)
        return;
    load->last_ms = now_ms;
    for (unsigned i = 0; i < SYS_LOAD_COUNT; i++) {
        uint64_t count = stats_sum(region, TOPICS[i].stat);
        double per_minute = (double)(count - load->last[i]) * 60.0 / seconds;
        load->last[i] = count;
        for (unsigned j = 0; j < SYS_LOAD_SPANS; j++) {
            double keep = exp(-seconds / SPANS[j].seconds);
            double *average = &load->average[i][j];
            *average = per_minute + keep * (*average - per_minute);
        }
    }
}

void sys_load_publish(struct sys_load *load, const struct region *region, uint64_t now_ms,
                      void (*publish)(void *context, const char *name, const char *value),
                      void *context)
{
    update(load, region, now_ms);
    for (unsigned i = 0; i < SYS_LOAD_COUNT; i++) {
        for (unsigned j = 0; j < SYS_LOAD_SPANS; j++) {
            char name[64];
            char value[32];
            (void)snprintf(name, sizeof(name), "%s/%s", TOPICS[i].name, SPANS[j].name);
            (void)snprintf(value, sizeof(value), "%.2f", load->average[i][j]);
            publish(context, name, value);
        }
    }
}
