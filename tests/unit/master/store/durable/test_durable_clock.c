#include "master/store/durable/durable_clock.h"

#include "tests/unit/master/store/durable/durable_fixture.h"

#include "common/base/clock.h"

#define HOUR_MS (UINT64_C(3600) * 1000)

/* A clock taken up from a note with these values. */
static struct durable_clock load(struct durable_env *env, uint64_t at_ms, uint64_t wall_us,
                                 uint64_t boot_ms, uint64_t boot_id)
{
    uint8_t memory[32];
    struct writer w = writer_of(memory, sizeof memory);
    struct durable_key key = durable_key_of(DURABLE_CLOCK);
    struct durable_clock clock;
    writer_u64(&w, at_ms);
    writer_u64(&w, wall_us);
    writer_u64(&w, boot_ms);
    writer_u64(&w, boot_id);
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_put(env, &key, (struct bytes){memory, sizeof memory}), 0);
    assert_int_equal(durable_clock_load(&clock, env), 0);
    durable_env_abort(env);
    return clock;
}

static void assert_now(const struct durable_clock *clock, uint64_t at_ms)
{
    uint64_t now_ms = durable_clock_to_disk(clock, clock_now_ms());
    assert_in_range(now_ms, at_ms, at_ms + 2000);
}

static void test_durable_clock_load_goes_on_over_a_reboot(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    uint64_t wall_us = clock_wall_us();
    const uint64_t at_ms = 1000 * HOUR_MS;
    struct durable_clock clock;
    clock = load(env, at_ms, wall_us - 5 * HOUR_MS * 1000, 1, 7);
    assert_now(&clock, at_ms + 5 * HOUR_MS);
    clock = load(env, at_ms, wall_us + HOUR_MS * 1000, 1, 7); /* the wall clock went back */
    assert_now(&clock, at_ms);
    clock = load(env, at_ms, 1000000, 1, 7); /* it was 1970 when it was noted */
    assert_now(&clock, at_ms);
    durable_env_close(env);
}

static void test_durable_clock_load_trusts_the_boot_clock(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct durable_clock clock = load(env, 1, 1, 1, 7);
    uint64_t boot_id = clock.boot_id;
    if (boot_id == 0)
        skip();
    clock = load(env, 5 * HOUR_MS, clock_wall_us() - 90 * HOUR_MS * 1000, clock_now_ms() - 1000,
                 boot_id);
    assert_now(&clock, 5 * HOUR_MS + 1000);
    durable_env_close(env);
}

static void test_durable_clock_note_is_taken_up(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct durable_clock clock = load(env, 700 * HOUR_MS, clock_wall_us(), 1, 7);
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_clock_note(&clock, env), 0);
    assert_int_equal(durable_env_commit(env), 0);
    assert_int_equal(durable_env_begin_read(env), 0);
    assert_int_equal(durable_clock_load(&clock, env), 0);
    durable_env_abort(env);
    assert_now(&clock, 700 * HOUR_MS);
    durable_env_close(env);
}

static void test_durable_clock_from_disk_and_back(void **state)
{
    const struct durable_clock clocks[] = {{0}, {.ahead_ms = HOUR_MS}, {.ahead_ms = 0 - HOUR_MS}};
    (void)state;
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        uint64_t at_ms = 2 * HOUR_MS;
        assert_int_equal(durable_clock_to_disk(&clocks[i], 0), 0);
        assert_int_equal(durable_clock_from_disk(&clocks[i], 0), 0);
        uint64_t on_disk = durable_clock_to_disk(&clocks[i], at_ms);
        assert_int_equal(durable_clock_from_disk(&clocks[i], on_disk), at_ms);
    }
    assert_int_equal(durable_clock_from_disk(&clocks[1], HOUR_MS / 2), 1);
}

int main(void)
{
#define FIXTURED(test) \
    cmocka_unit_test_setup_teardown(test, durable_fixture_open, durable_fixture_close)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_durable_clock_load_goes_on_over_a_reboot),
        FIXTURED(test_durable_clock_load_trusts_the_boot_clock),
        FIXTURED(test_durable_clock_note_is_taken_up),
        FIXTURED(test_durable_clock_from_disk_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
