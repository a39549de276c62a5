#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/bench/bench_histogram.h"

static int make(void **state)
{
    *state = calloc(1, sizeof(struct bench_histogram));
    return *state ? 0 : -1;
}

static int drop(void **state)
{
    free(*state);
    return 0;
}

/* The reported value may differ from the true one by half a bucket: 1/128. */
static void assert_near(uint64_t reported, uint64_t true_value)
{
    uint64_t error = reported > true_value ? reported - true_value : true_value - reported;
    assert_true(error * 128 <= true_value);
}

static void test_percentile_is_zero_when_empty(void **state)
{
    assert_int_equal(bench_histogram_percentile(*state, 50), 0);
    assert_true(bench_histogram_mean(*state) >= 0 && bench_histogram_mean(*state) <= 0);
}

static void test_percentile_is_exact_for_small_values(void **state)
{
    struct bench_histogram *h = *state;
    for (uint64_t i = 1; i <= 100; i++)
        bench_histogram_add(h, i);
    assert_int_equal(bench_histogram_percentile(h, 0), 1);
    assert_int_equal(bench_histogram_percentile(h, 50), 50);
    assert_int_equal(bench_histogram_percentile(h, 99), 99);
    assert_int_equal(bench_histogram_percentile(h, 100), 100);
}

static void test_percentile_keeps_its_precision_over_the_range(void **state)
{
    struct bench_histogram *h = *state;
    for (uint64_t value = 1; value < UINT64_C(1) << 39; value = value * 9 / 8 + 1) {
        *h = (struct bench_histogram){0};
        bench_histogram_add(h, value);
        bench_histogram_add(h, UINT64_C(1) << 39);
        assert_near(bench_histogram_percentile(h, 50), value);
    }
}

static void test_percentile_splits_at_bucket_borders(void **state)
{
    struct bench_histogram *h = *state;
    for (unsigned shift = 7; shift < 39; shift++) {
        *h = (struct bench_histogram){0};
        bench_histogram_add(h, (UINT64_C(1) << shift) - 1);
        bench_histogram_add(h, UINT64_C(1) << shift);
        bench_histogram_add(h, UINT64_C(1) << 39);
        assert_true(bench_histogram_percentile(h, 33) < UINT64_C(1) << shift);
        assert_true(bench_histogram_percentile(h, 66) >= UINT64_C(1) << shift);
    }
}

static void test_percentile_of_huge_values_is_the_maximum(void **state)
{
    struct bench_histogram *h = *state;
    bench_histogram_add(h, 10);
    bench_histogram_add(h, UINT64_C(1) << 50);
    assert_int_equal(bench_histogram_percentile(h, 99), UINT64_C(1) << 50);
    assert_int_equal(h->max, UINT64_C(1) << 50);
}

static void test_percentile_of_a_known_distribution(void **state)
{
    struct bench_histogram *h = *state;
    for (uint64_t i = 1; i <= 100000; i++)
        bench_histogram_add(h, i * 1000);
    assert_near(bench_histogram_percentile(h, 50), 50000000);
    assert_near(bench_histogram_percentile(h, 99), 99000000);
    assert_near(bench_histogram_percentile(h, 99.9), 99900000);
    assert_near((uint64_t)bench_histogram_mean(h), 50000500);
}

static void test_merge_adds_counts_and_keeps_the_maximum(void **state)
{
    struct bench_histogram *h = *state;
    struct bench_histogram *other = calloc(1, sizeof(*other));
    assert_non_null(other);
    bench_histogram_add(h, 10);
    bench_histogram_add(other, 20);
    bench_histogram_add(other, 30);
    bench_histogram_merge(h, other);
    assert_int_equal(h->count, 3);
    assert_int_equal(h->max, 30);
    assert_int_equal(bench_histogram_percentile(h, 50), 20);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_percentile_is_zero_when_empty, make, drop),
        cmocka_unit_test_setup_teardown(test_percentile_is_exact_for_small_values, make, drop),
        cmocka_unit_test_setup_teardown(test_percentile_keeps_its_precision_over_the_range, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_percentile_splits_at_bucket_borders, make, drop),
        cmocka_unit_test_setup_teardown(test_percentile_of_huge_values_is_the_maximum, make, drop),
        cmocka_unit_test_setup_teardown(test_percentile_of_a_known_distribution, make, drop),
        cmocka_unit_test_setup_teardown(test_merge_adds_counts_and_keeps_the_maximum, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
