#include "shm/bell.h"

#include "tests/unit/shm/shm_fixture.h"

/* Has the bell been rung since it was last drained? */
static bool was_rung(const struct bell *bell)
{
    uint64_t count = 0;

    return read(bell->fd, &count, sizeof count) == (ssize_t)sizeof count;
}

static int set_up(void **state)
{
    static struct layout_slot slot;
    static struct bell bell;

    slot.sleeping = 0;
    bell = (struct bell){&slot, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    *state = &bell;
    return bell.fd < 0;
}

static int tear_down(void **state)
{
    struct bell *bell = *state;

    return close(bell->fd);
}

static void test_bell_ring_awake_writes_nothing(void **state)
{
    assert_false(bell_ring(*state));
    assert_false(was_rung(*state));
}

static void test_bell_ring_asleep_writes_once(void **state)
{
    bell_sleep(*state);
    assert_true(bell_ring(*state));
    assert_false(bell_ring(*state));
    assert_true(was_rung(*state));
}

static void test_bell_ring_after_wake_writes_nothing(void **state)
{
    bell_sleep(*state);
    bell_wake(*state);
    assert_false(bell_ring(*state));
    assert_false(was_rung(*state));
}

static void test_bell_ring_next_sleep(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        bell_sleep(*state);
        assert_true(bell_ring(*state));
        bell_wake(*state);
        assert_true(was_rung(*state));
    }
}

/* The sleeper died; its successor sleeps again. */
static void test_bell_sleep_twice_without_wake(void **state)
{
    bell_sleep(*state);
    bell_sleep(*state);
    assert_true(bell_ring(*state));
}

/* The counter is at its limit: the sleeper can't miss it. */
static void test_bell_ring_full_counter(void **state)
{
    struct bell *bell = *state;
    uint64_t most = UINT64_MAX - 1;

    assert_int_equal(write(bell->fd, &most, sizeof most), sizeof most);
    bell_sleep(bell);
    assert_true(bell_ring(bell));
}

static void test_bell_drain(void **state)
{
    bell_drain(*state); /* nothing there */
    bell_sleep(*state);
    bell_ring(*state);
    bell_drain(*state);
    assert_false(was_rung(*state));
}

#define WITH_BELL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BELL(test_bell_ring_awake_writes_nothing),
        WITH_BELL(test_bell_ring_asleep_writes_once),
        WITH_BELL(test_bell_ring_after_wake_writes_nothing),
        WITH_BELL(test_bell_ring_next_sleep),
        WITH_BELL(test_bell_sleep_twice_without_wake),
        WITH_BELL(test_bell_ring_full_counter),
        WITH_BELL(test_bell_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
