#include "shm/listener_count.h"

#include "tests/unit/shm/shm_fixture.h"

static void test_listener_count_sum_over_all_slots(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    listener_count_add(stats_of(&f.region, 0), 0);
    listener_count_add(stats_of(&f.region, 0), 1);
    listener_count_add(stats_of(&f.region, 1), 1);
    assert_int_equal(listener_count_sum(&f.region, 0), 1);
    assert_int_equal(listener_count_sum(&f.region, 1), 2);
    listener_count_subtract(stats_of(&f.region, 1), 1);
    assert_int_equal(listener_count_sum(&f.region, 1), 1);
    fixture_close(&f);
}

static void test_listener_count_reset_leaves_other_slots(void **state)
{
    struct fixture f;
    const unsigned last = LAYOUT_LISTENERS - 1;

    (void)state;
    fixture_open(&f);
    listener_count_add(stats_of(&f.region, 0), last);
    listener_count_add(stats_of(&f.region, 1), last);
    listener_count_reset(stats_of(&f.region, 0));
    assert_int_equal(listener_count_sum(&f.region, last), 1);
    fixture_close(&f);
}

static void add_beyond(void *context)
{
    listener_count_add(stats_of(context, 0), LAYOUT_LISTENERS);
}

static void subtract_from_none(void *context)
{
    listener_count_subtract(stats_of(context, 0), 0);
}

static void test_listener_count_checks_its_callers(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(fixture_signal_of(add_beyond, &f.region), SIGABRT);
    assert_int_equal(fixture_signal_of(subtract_from_none, &f.region), SIGABRT);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listener_count_sum_over_all_slots),
        cmocka_unit_test(test_listener_count_reset_leaves_other_slots),
        cmocka_unit_test(test_listener_count_checks_its_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
