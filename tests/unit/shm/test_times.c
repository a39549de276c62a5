#include "shm/times.h"

#include "tests/unit/shm/shm_fixture.h"

#include <string.h>

struct scene {
    struct fixture f;
    struct stats stats;
    struct times times;
};

static void open_scene(struct scene *s)
{
    fixture_open(&s->f);
    s->stats = stats_of(&s->f.region, 1);
}

static uint64_t percentile(struct scene *s, unsigned percent)
{
    times_read(s->stats, &s->times);
    return times_percentile_us(&s->times, percent);
}

static void test_times_percentile_of_nothing_is_zero(void **state)
{
    struct scene s;
    (void)state;
    open_scene(&s);
    for (unsigned percent = 0; percent <= 100; percent += 50)
        assert_int_equal(percentile(&s, percent), 0);
    fixture_close(&s.f);
}

static void test_times_percentile_is_rounded_up_by_a_quarter_at_most(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << 29; us = us * 9 / 8 + 1) {
        struct scene s;
        open_scene(&s);
        times_add(s.stats, us);
        assert_in_range(percentile(&s, 50), us, us + us / 4);
        assert_int_equal(percentile(&s, 50), percentile(&s, 100));
        fixture_close(&s.f);
    }
}

static void test_times_add_puts_what_is_too_long_into_last_bucket(void **state)
{
    struct scene s;
    (void)state;
    open_scene(&s);
    times_add(s.stats, UINT64_MAX);
    assert_int_equal(percentile(&s, 100), (1 << 29) - 1);
    fixture_close(&s.f);
}

static void test_times_percentile_counts_from_below(void **state)
{
    struct scene s;
    (void)state;
    open_scene(&s);
    for (unsigned i = 0; i < 98; i++)
        times_add(s.stats, 2);
    times_add(s.stats, 1000);
    times_add(s.stats, 100000);
    assert_int_equal(percentile(&s, 50), 2);
    assert_int_equal(percentile(&s, 98), 2);
    assert_in_range(percentile(&s, 99), 1000, 1250);
    assert_in_range(percentile(&s, 100), 100000, 125000);
    fixture_close(&s.f);
}

static void test_times_since_leaves_what_came_between(void **state)
{
    struct scene s;
    struct times before;
    (void)state;
    open_scene(&s);
    s.stats.slot->times[3] = UINT32_MAX; /* it wraps */
    times_add(s.stats, 500000);
    times_read(s.stats, &before);
    times_add(s.stats, 3);
    times_read(s.stats, &s.times);
    times_since(&s.times, &s.times, &before);
    assert_int_equal(times_percentile_us(&s.times, 100), 3);
    times_since(&s.times, &before, &before);
    assert_int_equal(times_percentile_us(&s.times, 100), 0);
    fixture_close(&s.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_percentile_of_nothing_is_zero),
        cmocka_unit_test(test_times_percentile_is_rounded_up_by_a_quarter_at_most),
        cmocka_unit_test(test_times_add_puts_what_is_too_long_into_last_bucket),
        cmocka_unit_test(test_times_percentile_counts_from_below),
        cmocka_unit_test(test_times_since_leaves_what_came_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
