#ifndef COURTIER_TESTS_FAKE_FAKE_LOOP_H
#define COURTIER_TESTS_FAKE_FAKE_LOOP_H

/*
 * Stands in for worker/net/loop.h where a test wants time and timers alone: time
 * moves when the test says so.
 */

#include "common/base/wheel.h"
#include "worker/net/loop.h"

#include <stdint.h>

struct loop {
    uint64_t now_ms;
    struct wheel *wheel;
};

void fake_loop_open(struct loop *loop, uint64_t now_ms);
void fake_loop_close(struct loop *loop);
/* Moves time on and runs the timers that are due. */
void fake_loop_advance(struct loop *loop, uint64_t ms);

#endif
