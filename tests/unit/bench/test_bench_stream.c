#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/bench/bench_stream.h"

/*
 * The control of all measurements: forged streams must be found out. Each row
 * is what arrives of `sent` messages, and the faults that must be counted.
 */
struct forgery {
    const char *what;
    uint32_t sent;
    uint32_t count;
    uint32_t arrivals[12];
    struct bench_faults expected;
};

#define FAULTS(l, d, r, c) \
    { \
        .lost = (l), .duplicates = (d), .reordered = (r), .corrupt = (c) \
    }

static const struct forgery exact[] = {
    {"whole", 5, 5, {0, 1, 2, 3, 4}, FAULTS(0, 0, 0, 0)},
    {"nothing sent", 0, 0, {0}, FAULTS(0, 0, 0, 0)},
    {"nothing came", 3, 0, {0}, FAULTS(3, 0, 0, 0)},
    {"head lost", 5, 3, {2, 3, 4}, FAULTS(2, 0, 0, 0)},
    {"middle lost", 5, 4, {0, 1, 3, 4}, FAULTS(1, 0, 0, 0)},
    {"tail lost", 5, 3, {0, 1, 2}, FAULTS(2, 0, 0, 0)},
    {"two gaps", 8, 4, {0, 3, 4, 7}, FAULTS(4, 0, 0, 0)},
    {"doubled", 3, 4, {0, 1, 1, 2}, FAULTS(0, 1, 0, 0)},
    {"old one again", 4, 5, {0, 1, 2, 3, 0}, FAULTS(0, 1, 0, 0)},
    {"neighbours swapped", 4, 4, {0, 2, 1, 3}, FAULTS(0, 0, 1, 0)},
    {"one late, to the front of a gap", 5, 4, {0, 4, 1, 2}, FAULTS(1, 0, 2, 0)},
    {"one late, to the end of a gap", 5, 3, {0, 4, 3}, FAULTS(2, 0, 1, 0)},
    {"one late, to the middle of a gap", 6, 3, {0, 5, 3}, FAULTS(3, 0, 1, 0)},
    {"backwards", 4, 4, {3, 2, 1, 0}, FAULTS(0, 0, 3, 0)},
    {"late and doubled", 4, 5, {0, 2, 1, 1, 3}, FAULTS(0, 1, 1, 0)},
    {"lost one, doubled another", 4, 4, {0, 1, 1, 3}, FAULTS(1, 1, 0, 0)},
    {"never sent", 2, 3, {0, 1, 2}, FAULTS(0, 0, 0, 1)},
};

static const struct forgery tallied[] = {
    {"whole", 4, 4, {0, 1, 2, 3}, FAULTS(0, 0, 0, 0)},
    {"any order", 4, 4, {2, 0, 3, 1}, FAULTS(0, 0, 0, 0)},
    {"lost", 4, 3, {0, 1, 3}, FAULTS(1, 0, 0, 0)},
    {"doubled", 4, 5, {0, 1, 2, 2, 3}, FAULTS(0, 1, 0, 0)},
    {"lost one, doubled another", 4, 4, {0, 1, 1, 3}, FAULTS(1, 1, 0, 0)},
    {"same sum of numbers", 4, 4, {0, 0, 3, 3}, FAULTS(1, 1, 0, 0)},
};

static void assert_faults(const struct forgery *row, const struct bench_faults *faults)
{
    if (faults->lost == row->expected.lost && faults->duplicates == row->expected.duplicates &&
        faults->reordered == row->expected.reordered && faults->corrupt == row->expected.corrupt)
        return;
    fail_msg("%s: lost %u, duplicates %u, reordered %u, corrupt %u", row->what,
             (unsigned)faults->lost, (unsigned)faults->duplicates, (unsigned)faults->reordered,
             (unsigned)faults->corrupt);
}

static void test_stream_take_finds_forged_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        struct bench_stream s = {0};
        struct bench_faults faults = {0};
        for (uint32_t j = 0; j < exact[i].count; j++)
            bench_stream_take(&s, exact[i].arrivals[j], &faults);
        bench_stream_finish(&s, exact[i].sent, &faults);
        assert_faults(&exact[i], &faults);
    }
}

static void test_finish_tally_finds_forged_sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tallied) / sizeof(tallied[0]); i++) {
        struct bench_tally t = {0};
        struct bench_faults faults = {0};
        for (uint32_t j = 0; j < tallied[i].count; j++)
            bench_stream_take_tally(&t, tallied[i].arrivals[j]);
        bench_stream_finish_tally(&t, tallied[i].sent, &faults);
        assert_faults(&tallied[i], &faults);
    }
}

static void test_merge_tally_equals_one_tally(void **state)
{
    (void)state;
    struct bench_tally a = {0};
    struct bench_tally b = {0};
    struct bench_faults faults = {0};
    for (uint32_t i = 0; i < 1000; i++)
        bench_stream_take_tally(i % 3 ? &a : &b, i);
    bench_stream_merge_tally(&a, &b);
    bench_stream_finish_tally(&a, 1000, &faults);
    assert_int_equal(faults.lost + faults.duplicates, 0);
}

static void test_stream_take_sparse_allows_gaps_but_no_step_back(void **state)
{
    (void)state;
    struct bench_stream s = {0};
    struct bench_faults faults = {0};
    bench_stream_take_sparse(&s, 3, &faults);
    bench_stream_take_sparse(&s, 9, &faults);
    assert_int_equal(faults.reordered, 0);
    bench_stream_take_sparse(&s, 8, &faults);
    bench_stream_take_sparse(&s, 9, &faults);
    assert_int_equal(faults.reordered, 2);
}

static void test_stream_take_counts_every_second_one_as_lost(void **state)
{
    (void)state;
    struct bench_stream s = {0};
    struct bench_faults faults = {0};
    for (uint32_t i = 0; i < 10000; i += 2)
        bench_stream_take(&s, i, &faults);
    bench_stream_finish(&s, 10000, &faults);
    assert_int_equal(faults.lost, 5000);
    assert_int_equal(faults.duplicates + faults.reordered + faults.corrupt, 0);
}

static void test_stream_take_fills_many_gaps_from_behind(void **state)
{
    (void)state;
    struct bench_stream s = {0};
    struct bench_faults faults = {0};
    for (uint32_t i = 0; i < 1000; i += 2)
        bench_stream_take(&s, i, &faults);
    for (uint32_t i = 999; i < 1000; i -= 2)
        bench_stream_take(&s, i, &faults);
    bench_stream_finish(&s, 1000, &faults);
    assert_int_equal(faults.lost + faults.duplicates, 0);
    /* 999 came in order; the other odd numbers came late. */
    assert_int_equal(faults.reordered, 499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_take_finds_forged_streams),
        cmocka_unit_test(test_finish_tally_finds_forged_sets),
        cmocka_unit_test(test_merge_tally_equals_one_tally),
        cmocka_unit_test(test_stream_take_sparse_allows_gaps_but_no_step_back),
        cmocka_unit_test(test_stream_take_counts_every_second_one_as_lost),
        cmocka_unit_test(test_stream_take_fills_many_gaps_from_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
