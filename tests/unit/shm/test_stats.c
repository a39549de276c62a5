#include "shm/stats.h"

#include "tests/unit/shm/shm_fixture.h"

#include <string.h>

static void test_stats_add_counts_in_own_slot(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    stats_add(stats_of(&f.region, 1), STAT_bytes_sent, 5);
    stats_add(stats_of(&f.region, 1), STAT_bytes_sent, UINT64_C(1) << 40);
    assert_true(stats_get(stats_of(&f.region, 1), STAT_bytes_sent) == (UINT64_C(1) << 40) + 5);
    assert_true(stats_get(stats_of(&f.region, 0), STAT_bytes_sent) == 0);
    assert_true(stats_get(stats_of(&f.region, 1), STAT_bytes_received) == 0);
    fixture_close(&f);
}

static void test_stats_sum_over_all_slots(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (unsigned slot = 0; slot < FIXTURE_SLOTS; slot++)
        stats_add(stats_of(&f.region, slot), STAT_turns, slot + 1);
    assert_true(stats_sum(&f.region, STAT_turns) == 1 + 2 + 3 + 4);
    fixture_close(&f);
}

static void test_stats_sum_gauge_is_signed(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    stats_set(stats_of(&f.region, 0), STAT_clients_connected, 7);
    stats_subtract(stats_of(&f.region, 1), STAT_clients_connected, 3);
    assert_true(stats_sum(&f.region, STAT_clients_connected) == 4);
    stats_subtract(stats_of(&f.region, 1), STAT_clients_connected, 5);
    assert_true(stats_sum(&f.region, STAT_clients_connected) == 0);
    fixture_close(&f);
}

static void test_stats_reset_gauges_keeps_counts(void **state)
{
    struct fixture f;
    struct stats stats;

    (void)state;
    fixture_open(&f);
    stats = stats_of(&f.region, 0);
    stats_set(stats, STAT_sockets_open, 9);
    stats_add(stats, STAT_handoffs, 9);
    stats_reset_gauges(stats);
    assert_true(stats_get(stats, STAT_sockets_open) == 0);
    assert_true(stats_get(stats, STAT_handoffs) == 9);
    fixture_close(&f);
}

static void test_stats_name_of_all(void **state)
{
    (void)state;
    for (unsigned stat = 0; stat < STATS_COUNT; stat++)
        assert_true(strlen(stats_name((enum stat_id)stat)) > 0);
    assert_string_equal(stats_name(STAT_live_refused), "live_refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_add_counts_in_own_slot),
        cmocka_unit_test(test_stats_sum_over_all_slots),
        cmocka_unit_test(test_stats_sum_gauge_is_signed),
        cmocka_unit_test(test_stats_reset_gauges_keeps_counts),
        cmocka_unit_test(test_stats_name_of_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
