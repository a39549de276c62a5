#ifndef COURTIER_TESTS_UNIT_SHM_SHM_FIXTURE_H
#define COURTIER_TESTS_UNIT_SHM_SHM_FIXTURE_H

/*
 * What several tests of shm/ need: cmocka with its headers in the order that it
 * asks for, a small region with its bells, and a way to see a process die.
 */

#include "common/base/hash.h"
#include "shm/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIXTURE_WORKERS = 2,
    FIXTURE_STORE = FIXTURE_WORKERS,
    FIXTURE_SLOTS = FIXTURE_WORKERS + 2,
    FIXTURE_RING_SIZE = 64 * 1024
};

struct fixture {
    struct region region;
    int bell_fds[FIXTURE_SLOTS];
};

static inline void fixture_open(struct fixture *ret_fixture)
{
    hash_start();
    assert_int_equal(region_open(&ret_fixture->region, FIXTURE_WORKERS, FIXTURE_RING_SIZE, false),
                     0);
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++) {
        ret_fixture->bell_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_true(ret_fixture->bell_fds[i] >= 0);
    }
}

static inline void fixture_close(struct fixture *fixture)
{
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++)
        close(fixture->bell_fds[i]);
    region_close(&fixture->region);
}

/* Number of the signal that ends a child which runs `body`, or 0. */
static inline int fixture_signal_of(void (*body)(void *), void *context)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka has handlers of its own */
        signal(SIGSEGV, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        body(context);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
