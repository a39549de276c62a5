#include "worker/protocol/sys_day.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { START_MS = 5000, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

/* A counter that grows by `per_minute` for so many minutes, looked at each minute. */
static uint64_t run(struct sys_day *day, uint64_t *now_ms, uint64_t *counter, unsigned minutes,
                    uint64_t per_minute)
{
    uint64_t per_day = 0;
    for (unsigned i = 0; i < minutes; i++) {
        *now_ms += MINUTE_MS;
        *counter += per_minute;
        per_day = sys_day_update(day, *now_ms, *counter);
    }
    return per_day;
}

static void test_sys_day_update_takes_the_start_for_an_hour(void **state)
{
    struct sys_day day;
    (void)state;
    sys_day_init(&day, START_MS, 1000);
    assert_int_equal(sys_day_update(&day, START_MS, 1000), 0);
    assert_int_equal(sys_day_update(&day, START_MS, 1010), 240);
    assert_int_equal(sys_day_update(&day, START_MS + HOUR_MS / 2, 1010), 240);
}

static void test_sys_day_update_of_steady_growth_is_steady(void **state)
{
    struct sys_day day;
    uint64_t now_ms = START_MS;
    uint64_t counter = 77;
    (void)state;
    sys_day_init(&day, now_ms, counter);
    assert_int_equal(run(&day, &now_ms, &counter, 60, 10), 14400);
    for (unsigned hour = 1; hour < 60; hour++)
        assert_in_range(run(&day, &now_ms, &counter, 60, 10), 14399, 14400);
}

static void test_sys_day_update_forgets_after_a_day(void **state)
{
    struct sys_day day;
    uint64_t now_ms = START_MS;
    uint64_t counter = 0;
    (void)state;
    sys_day_init(&day, now_ms, counter);
    run(&day, &now_ms, &counter, 60, 1000);
    assert_in_range(run(&day, &now_ms, &counter, 22 * 60, 0), 60000, 63000);
    assert_int_equal(run(&day, &now_ms, &counter, 61, 0), 0);
}

/* Nobody asked for a while. */
static void test_sys_day_update_takes_a_gap(void **state)
{
    struct sys_day day;
    (void)state;
    sys_day_init(&day, START_MS, 0);
    (void)sys_day_update(&day, START_MS + 100 * (uint64_t)HOUR_MS, 24);
    assert_int_equal(sys_day_update(&day, START_MS + 100 * (uint64_t)HOUR_MS + 1, 24), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sys_day_update_takes_the_start_for_an_hour),
        cmocka_unit_test(test_sys_day_update_of_steady_growth_is_steady),
        cmocka_unit_test(test_sys_day_update_forgets_after_a_day),
        cmocka_unit_test(test_sys_day_update_takes_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
