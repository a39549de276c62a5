#include "worker/protocol/sys_day.h"

enum { HOUR_MS = 3600 * 1000 };

void sys_day_init(struct sys_day *day, uint64_t now_ms, uint64_t counter)
{
    *day = (struct sys_day){.start_ms = now_ms, .marks = {counter}};
}

uint64_t sys_day_update(struct sys_day *day, uint64_t now_ms, uint64_t counter)
{
    uint64_t hour = (now_ms - day->start_ms) / HOUR_MS;
    while (day->hour < hour) {
        day->hour++;
        day->marks[day->hour % SYS_DAY_HOURS] = counter;
    }
    uint64_t first = hour < SYS_DAY_HOURS ? 0 : hour - SYS_DAY_HOURS + 1;
    uint64_t span_ms = now_ms - day->start_ms - first * HOUR_MS;
    if (span_ms < HOUR_MS)
        span_ms = HOUR_MS;
    double amount = (double)(counter - day->marks[first % SYS_DAY_HOURS]);
    return (uint64_t)(amount * SYS_DAY_HOURS * HOUR_MS / (double)span_ms);
}
