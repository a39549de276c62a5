#include "tests/power/power_log.h"

#include <stdio.h>
#include <stdlib.h>

void *power_memory(void *old, size_t size)
{
    void *memory = realloc(old, size == 0 ? 1 : size);
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        abort();
    }
    return memory;
}

struct power_event *power_log_add(struct power_log *log, enum power_kind kind)
{
    if (log->count == log->room) {
        log->room = log->room == 0 ? 1024 : log->room * 2;
        log->events = power_memory(log->events, log->room * sizeof log->events[0]);
    }
    struct power_event *event = &log->events[log->count++];
    *event = (struct power_event){.kind = kind};
    return event;
}

void power_log_mark(struct power_log *log, enum power_kind kind, unsigned worker, uint64_t number)
{
    struct power_event *event = power_log_add(log, kind);
    event->worker = worker;
    event->number = number;
}

void power_log_done(struct power_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        free(log->events[i].data);
    free(log->events);
    *log = (struct power_log){0};
}
