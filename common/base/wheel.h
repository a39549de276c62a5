#ifndef COURTIER_COMMON_BASE_WHEEL_H
#define COURTIER_COMMON_BASE_WHEEL_H

/*
 * Hierarchical timer wheel of eleven levels of 64 slots with a tick of 1 ms, so
 * that every deadline has its slot and none is rounded: never early, and never
 * later than the first advance that reaches the deadline. Start and stop are
 * O(1), a jump in time costs no more than the timers that it passes; time comes
 * in as an argument, so a test needs no clock.
 */

#include "common/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct wheel_timer;
/* May start or stop any timer, this one too, and free the timer's owner. */
typedef void (*wheel_fn)(struct wheel_timer *timer, void *context);

struct wheel_timer {
    struct list_node node;
    uint64_t deadline_ms;
    wheel_fn on_expiry;
};

struct wheel;

/* `now_ms` is the time that the wheel starts at; `context` goes to each
 * callback. Aborts without memory. */
struct wheel *wheel_new(uint64_t now_ms, void *context);
/* Timers that still run must not be touched any more. */
void wheel_free(struct wheel *wheel);

void wheel_timer_init(struct wheel_timer *timer, wheel_fn on_expiry);
bool wheel_timer_is_running(const struct wheel_timer *timer);
/* (Re)starts the timer; a deadline in the past expires at the next advance. */
void wheel_start(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms);
/* Does nothing when the timer is not running. */
void wheel_stop(struct wheel *wheel, struct wheel_timer *timer);
/* Moves time on (back does nothing) and runs what has expired, at most `limit`
 * callbacks; returns how many ran. What this call finds expired runs in the
 * order of the deadlines, behind what the last call left over. What a callback
 * starts in the past waits for the next call. Not to be called from a callback. */
unsigned wheel_advance(struct wheel *wheel, uint64_t now_ms, unsigned limit);
/* When wheel_advance next has work: never later than the earliest deadline
 * (it may be earlier, when a slot is only to be sorted down); 0 when something
 * is due already, UINT64_MAX when no timer runs. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
