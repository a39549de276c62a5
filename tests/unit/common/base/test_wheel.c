#include "common/base/wheel.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define DAY_MS (UINT64_C(86400) * 1000)

enum { NO_LIMIT = 1000000, PROBE_COUNT = 200, STEP_COUNT = 100000 };

struct probe {
    struct wheel_timer timer;
    unsigned run_count;
    /* What its callback does beside counting. */
    struct probe *stops;
    bool restarts_itself;
    bool frees_itself;
    /* The model: what the wheel must know about it. */
    bool is_set;
    uint64_t deadline_ms;
};

struct fixture {
    struct wheel *wheel;
    uint64_t now_ms;
    uint64_t last_deadline_ms; /* of the callback that ran last */
    struct probe probes[PROBE_COUNT];
};

static void on_expiry(struct wheel_timer *timer, void *context)
{
    struct fixture *f = context;
    struct probe *probe = list_owner(timer, struct probe, timer);

    assert_false(wheel_timer_is_running(timer));
    probe->run_count++;
    f->last_deadline_ms = timer->deadline_ms;
    if (probe->stops != NULL)
        wheel_stop(f->wheel, &probe->stops->timer);
    if (probe->restarts_itself)
        wheel_start(f->wheel, timer, f->now_ms);
    if (probe->frees_itself)
        free(probe);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    f->now_ms = 1234567890; /* a fortnight after boot, no round number in base 64 */
    f->wheel = wheel_new(f->now_ms, f);
    for (int i = 0; i < PROBE_COUNT; i++)
        wheel_timer_init(&f->probes[i].timer, on_expiry);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    wheel_free(f->wheel);
    free(f);
    return 0;
}

static unsigned advance(struct fixture *f, uint64_t now_ms)
{
    f->now_ms = now_ms;
    return wheel_advance(f->wheel, now_ms, NO_LIMIT);
}

static void start_after(struct fixture *f, int probe_index, uint64_t delay_ms)
{
    wheel_start(f->wheel, &f->probes[probe_index].timer, f->now_ms + delay_ms);
}

static void test_wheel_runs_a_timer_at_its_deadline_and_once(void **state)
{
    static const uint64_t delays_ms[] = {
        1,      2,        63,       64,       65,          4095,         4096,
        262144, 16777215, 16777216, 16777217, 50 * DAY_MS, 800 * DAY_MS, UINT64_C(1) << 62,
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(delays_ms); i++) {
        struct probe *probe = &f->probes[i];
        uint64_t deadline_ms = f->now_ms + delays_ms[i];
        wheel_start(f->wheel, &probe->timer, deadline_ms);
        assert_true(wheel_timer_is_running(&probe->timer));
        assert_int_equal(advance(f, deadline_ms - 1), 0);
        assert_true(wheel_next_ms(f->wheel) == deadline_ms);
        assert_int_equal(advance(f, deadline_ms), 1);
        assert_int_equal(probe->run_count, 1);
        assert_true(wheel_next_ms(f->wheel) == UINT64_MAX);
        assert_int_equal(advance(f, deadline_ms + DAY_MS), 0);
    }
}

static void test_wheel_takes_the_last_deadline_there_is(void **state)
{
    struct fixture *f = *state;

    wheel_start(f->wheel, &f->probes[0].timer, UINT64_MAX);
    assert_int_equal(advance(f, UINT64_MAX - 1), 0);
    assert_int_equal(advance(f, UINT64_MAX), 1);
}

static void test_wheel_runs_a_past_deadline_at_the_next_advance(void **state)
{
    struct fixture *f = *state;

    wheel_start(f->wheel, &f->probes[0].timer, 0);
    wheel_start(f->wheel, &f->probes[1].timer, f->now_ms);
    assert_true(wheel_next_ms(f->wheel) == 0);
    assert_int_equal(advance(f, f->now_ms), 2);
}

static void test_wheel_start_again_moves_the_deadline(void **state)
{
    struct fixture *f = *state;
    uint64_t start_ms = f->now_ms;
    struct wheel_timer *timer = &f->probes[0].timer;

    wheel_start(f->wheel, timer, start_ms + 10);
    wheel_start(f->wheel, timer, start_ms + 1000);
    assert_int_equal(advance(f, start_ms + 999), 0);
    wheel_start(f->wheel, timer, start_ms + 5000);
    wheel_start(f->wheel, timer, start_ms + 1001);
    assert_int_equal(advance(f, start_ms + 1001), 1);
}

static void test_wheel_stop_takes_a_timer_out(void **state)
{
    struct fixture *f = *state;
    struct wheel_timer *timer = &f->probes[0].timer;

    wheel_stop(f->wheel, timer);
    start_after(f, 0, 100);
    wheel_stop(f->wheel, timer);
    assert_false(wheel_timer_is_running(timer));
    assert_true(wheel_next_ms(f->wheel) == UINT64_MAX);
    wheel_start(f->wheel, timer, 0);
    wheel_stop(f->wheel, timer);
    assert_int_equal(advance(f, f->now_ms + DAY_MS), 0);
}

static void test_wheel_keeps_the_order_over_a_jump(void **state)
{
    struct fixture *f = *state;
    uint64_t start_ms = f->now_ms;
    uint64_t step_ms = DAY_MS / 7;

    for (int i = 0; i < PROBE_COUNT; i++)
        start_after(f, i, (uint64_t)(PROBE_COUNT - i) * step_ms);
    f->now_ms = start_ms + 1000 * DAY_MS;
    for (unsigned i = 1; i <= PROBE_COUNT; i++) {
        assert_int_equal(wheel_advance(f->wheel, f->now_ms, 1), 1);
        assert_true(f->last_deadline_ms == start_ms + i * step_ms);
    }
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, 1), 0);
}

/* A thousand jumps of ten years; by the millisecond that would take days. */
static void test_wheel_jump_does_not_pass_every_millisecond(void **state)
{
    struct fixture *f = *state;
    uint64_t start_ms = clock_now_ms();

    for (int i = 0; i < 1000; i++) {
        start_after(f, 0, 3650 * DAY_MS);
        assert_int_equal(advance(f, f->now_ms + 3650 * DAY_MS), 1);
    }
    assert_true(clock_now_ms() - start_ms < 5000);
}

static void test_wheel_ignores_time_that_goes_back(void **state)
{
    struct fixture *f = *state;

    start_after(f, 0, 10);
    assert_int_equal(wheel_advance(f->wheel, f->now_ms - 1000, NO_LIMIT), 0);
    assert_int_equal(advance(f, f->now_ms + 10), 1);
}

static void test_wheel_advance_stops_at_its_limit(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++)
        start_after(f, i, 1 + (uint64_t)i % 3);
    f->now_ms += 100;
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, 4), 4);
    assert_true(wheel_next_ms(f->wheel) == 0);
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, 0), 0);
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, 4), 4);
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, 4), 2);
    assert_true(wheel_next_ms(f->wheel) == UINT64_MAX);
}

static void test_wheel_callback_may_restart_its_timer(void **state)
{
    struct fixture *f = *state;

    f->probes[0].restarts_itself = true;
    start_after(f, 0, 1);
    assert_int_equal(advance(f, f->now_ms + 1), 1);
    assert_true(wheel_timer_is_running(&f->probes[0].timer));
    assert_int_equal(advance(f, f->now_ms), 1);
    assert_int_equal(f->probes[0].run_count, 2);
}

static void test_wheel_callback_may_stop_other_timers(void **state)
{
    struct fixture *f = *state;

    f->probes[0].stops = &f->probes[1];
    f->probes[2].stops = &f->probes[3];
    start_after(f, 0, 5);
    start_after(f, 1, 5);
    start_after(f, 2, 6);
    start_after(f, 3, DAY_MS);
    assert_int_equal(advance(f, f->now_ms + 10), 2);
    assert_int_equal(f->probes[1].run_count, 0);
    assert_true(wheel_next_ms(f->wheel) == UINT64_MAX);
}

static void test_wheel_callback_may_free_the_owner(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 10; i++) {
        struct probe *probe = calloc(1, sizeof *probe);
        assert_non_null(probe);
        probe->frees_itself = true;
        wheel_timer_init(&probe->timer, on_expiry);
        wheel_start(f->wheel, &probe->timer, f->now_ms + 1 + i / 5);
    }
    assert_int_equal(advance(f, f->now_ms + 100), 10);
}

/* A loop that sleeps until wheel_next_ms wakes at most once per level. */
static void test_wheel_next_reaches_a_deadline_in_few_steps(void **state)
{
    struct fixture *f = *state;
    uint64_t deadline_ms = f->now_ms + 49 * DAY_MS + 12345;
    unsigned step_count = 0;

    wheel_start(f->wheel, &f->probes[0].timer, deadline_ms);
    while (advance(f, wheel_next_ms(f->wheel)) == 0)
        step_count++;
    assert_true(f->now_ms == deadline_ms);
    assert_true(step_count <= 6);
}

/* Each order of magnitude up to 2^45 ms is as likely as the others. */
static uint64_t random_ms(void)
{
    uint64_t bits = (uint64_t)rand() << 31 ^ (uint64_t)rand();

    return bits & ((UINT64_C(1) << rand() % 46) - 1);
}

static void start_somewhere(struct fixture *f, struct probe *probe)
{
    uint64_t delay_ms = random_ms();
    bool is_past = rand() % 8 == 0;

    probe->is_set = true;
    probe->deadline_ms = is_past ? f->now_ms - delay_ms % f->now_ms : f->now_ms + delay_ms;
    wheel_start(f->wheel, &probe->timer, probe->deadline_ms);
}

static uint64_t first_deadline(const struct fixture *f)
{
    uint64_t first_ms = UINT64_MAX;

    for (int i = 0; i < PROBE_COUNT; i++) {
        const struct probe *probe = &f->probes[i];
        if (probe->is_set && probe->deadline_ms < first_ms)
            first_ms = probe->deadline_ms;
    }
    return first_ms;
}

static bool has_expired(const struct fixture *f, const struct probe *probe)
{
    return probe->is_set && probe->deadline_ms <= f->now_ms;
}

/* Like a loop that sleeps until wheel_next_ms, or that jumps. */
static void move_time_somewhere(struct fixture *f)
{
    uint64_t next_ms = wheel_next_ms(f->wheel);

    assert_true(next_ms <= first_deadline(f));
    if (rand() % 2 == 0)
        f->now_ms += random_ms() % (30 * DAY_MS);
    else if (next_ms != UINT64_MAX && next_ms > f->now_ms)
        f->now_ms = next_ms;
}

/* Exactly what the model has as expired must run, once. */
static void advance_with_model(struct fixture *f)
{
    unsigned expired_count = 0;

    move_time_somewhere(f);
    for (int i = 0; i < PROBE_COUNT; i++) {
        f->probes[i].run_count = 0;
        expired_count += has_expired(f, &f->probes[i]);
    }
    assert_int_equal(wheel_advance(f->wheel, f->now_ms, NO_LIMIT), expired_count);
    for (int i = 0; i < PROBE_COUNT; i++) {
        struct probe *probe = &f->probes[i];
        assert_int_equal(probe->run_count, has_expired(f, probe));
        probe->is_set = probe->is_set && !has_expired(f, probe);
        assert_int_equal(wheel_timer_is_running(&probe->timer), probe->is_set);
    }
    assert_int_equal(wheel_next_ms(f->wheel) == UINT64_MAX, first_deadline(f) == UINT64_MAX);
}

static void test_wheel_does_what_a_plain_array_does(void **state)
{
    struct fixture *f = *state;
    unsigned seed = (unsigned)time(NULL);

    print_message("seed %u\n", seed);
    srand(seed);
    for (int step = 0; step < STEP_COUNT; step++) {
        struct probe *probe = &f->probes[rand() % PROBE_COUNT];
        int choice = rand() % 8;
        if (choice < 4) {
            start_somewhere(f, probe);
        } else if (choice < 6) {
            wheel_stop(f->wheel, &probe->timer);
            probe->is_set = false;
        } else {
            advance_with_model(f);
        }
    }
}

#define WHEEL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WHEEL_TEST(test_wheel_runs_a_timer_at_its_deadline_and_once),
        WHEEL_TEST(test_wheel_takes_the_last_deadline_there_is),
        WHEEL_TEST(test_wheel_runs_a_past_deadline_at_the_next_advance),
        WHEEL_TEST(test_wheel_start_again_moves_the_deadline),
        WHEEL_TEST(test_wheel_stop_takes_a_timer_out),
        WHEEL_TEST(test_wheel_keeps_the_order_over_a_jump),
        WHEEL_TEST(test_wheel_jump_does_not_pass_every_millisecond),
        WHEEL_TEST(test_wheel_ignores_time_that_goes_back),
        WHEEL_TEST(test_wheel_advance_stops_at_its_limit),
        WHEEL_TEST(test_wheel_callback_may_restart_its_timer),
        WHEEL_TEST(test_wheel_callback_may_stop_other_timers),
        WHEEL_TEST(test_wheel_callback_may_free_the_owner),
        WHEEL_TEST(test_wheel_next_reaches_a_deadline_in_few_steps),
        WHEEL_TEST(test_wheel_does_what_a_plain_array_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
