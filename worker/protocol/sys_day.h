#ifndef COURTIER_WORKER_PROTOCOL_SYS_DAY_H
#define COURTIER_WORKER_PROTOCOL_SYS_DAY_H

/*
 * How much of something there is in a day, from a counter: over the last 24 hours,
 * or, as long as there were not so many, as if all the day went on like that. What
 * came in the first hour is taken for an hour's, so that a start does not look like
 * a flood.
 */

#include <stdint.h>

enum { SYS_DAY_HOURS = 24 };

struct sys_day {
    uint64_t start_ms;
    uint64_t hour;                 /* the current one, counted from the start */
    uint64_t marks[SYS_DAY_HOURS]; /* the counter when the latest hours began */
};

void sys_day_init(struct sys_day *day, uint64_t now_ms, uint64_t counter);
/* Per day, now that the counter is there. To be asked more than once an hour. */
uint64_t sys_day_update(struct sys_day *day, uint64_t now_ms, uint64_t counter);

#endif
