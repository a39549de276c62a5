#ifndef COURTIER_TESTS_POWER_POWER_RANDOM_H
#define COURTIER_TESTS_POWER_POWER_RANDOM_H

/* Numbers that a seed repeats (splitmix64). */

#include <stdint.h>

struct power_random {
    uint64_t state;
};

static inline uint64_t power_random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

static inline uint64_t power_random_next(struct power_random *random)
{
    random->state += 0x9E3779B97F4A7C15U;
    return power_random_mix(random->state);
}

/* 0 to below-1. */
static inline unsigned power_random_below(struct power_random *random, unsigned below)
{
    return (unsigned)(power_random_next(random) % below);
}

#endif
