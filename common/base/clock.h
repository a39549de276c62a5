#ifndef COURTIER_COMMON_BASE_CLOCK_H
#define COURTIER_COMMON_BASE_CLOCK_H

/*
 * The two clocks. Durations and deadlines use the boot clock, which is the same
 * in all processes, goes on while the machine sleeps and never jumps. The wall
 * clock is for people only: a Raspberry Pi starts in 1970.
 */

#include <stdint.h>

/* Milliseconds since boot (CLOCK_BOOTTIME). */
uint64_t clock_now_ms(void);
/* Nanoseconds since boot. */
uint64_t clock_now_ns(void);
/* Wall clock in microseconds since the epoch. */
uint64_t clock_wall_us(void);
/* For tests: adds to what the first two return from now on. */
void clock_skew_ms(uint64_t ms);

#endif
