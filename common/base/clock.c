#include "common/base/clock.h"

#include "common/base/check.h"

#include <time.h>

static uint64_t skew_ns;

static struct timespec now_of(clockid_t clock)
{
    struct timespec now;
    int error = clock_gettime(clock, &now);

    check(error == 0);
    return now;
}

uint64_t clock_now_ns(void)
{
    /* Widened before it is multiplied: tv_sec has 32 bits on 32-bit arm. */
    struct timespec now = now_of(CLOCK_BOOTTIME);

    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec + skew_ns;
}

uint64_t clock_now_ms(void)
{
    return clock_now_ns() / 1000000U;
}

uint64_t clock_wall_us(void)
{
    struct timespec now = now_of(CLOCK_REALTIME);

    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

void clock_skew_ms(uint64_t ms)
{
    skew_ns += ms * 1000000U;
}
