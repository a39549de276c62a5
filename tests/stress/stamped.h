#ifndef COURTIER_TESTS_STRESS_STAMPED_H
#define COURTIER_TESTS_STRESS_STAMPED_H

/*
 * Records that tell when they are torn, lost or doubled: a number, bytes that
 * follow from it, and a sum over both. Sizes follow from the number too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STAMPED_SIZE_MIN = 8 };

/* Spreads the bits of a number. */
static inline uint32_t stamped_mix(uint32_t value)
{
    value = (value ^ (value >> 16)) * 0x7FEB352DU;
    value = (value ^ (value >> 15)) * 0x846CA68BU;
    return value ^ (value >> 16);
}

static inline uint32_t stamped_size(uint32_t number, uint32_t size_max)
{
    return STAMPED_SIZE_MIN + stamped_mix(number) % (size_max - STAMPED_SIZE_MIN + 1);
}

static inline uint32_t stamped_sum(const uint8_t *data, size_t size)
{
    uint32_t sum = 0x811C9DC5U;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 0x01000193U;
    return sum;
}

/* Fills `size` bytes, at least STAMPED_SIZE_MIN: number | bytes | sum. */
static inline void stamped_fill(uint8_t *data, size_t size, uint32_t number)
{
    uint32_t sum;

    memcpy(data, &number, sizeof number);
    for (size_t i = sizeof number; i < size - sizeof sum; i++)
        data[i] = (uint8_t)(number + i);
    sum = stamped_sum(data, size - sizeof sum);
    memcpy(data + size - sizeof sum, &sum, sizeof sum);
}

/* Is the record whole? Then *ret_number is its number. */
static inline bool stamped_read(const uint8_t *data, size_t size, uint32_t *ret_number)
{
    uint32_t sum;

    if (size < STAMPED_SIZE_MIN)
        return false;
    memcpy(ret_number, data, sizeof *ret_number);
    memcpy(&sum, data + size - sizeof sum, sizeof sum);
    return sum == stamped_sum(data, size - sizeof sum);
}

#endif
