#include "tests/unit/shm/ring_fixture.h"

/* What a producer or a consumer that died leaves to its successor. */

static void test_ring_open_producer_drops_unpublished(void **state)
{
    struct ring_fixture *p = *state;
    uint32_t epoch = p->shared->epoch;

    ring_fixture_put_published(p, 8, 'a');
    assert_true(ring_fixture_put(p, 8, 'b'));
    ring_fixture_restart_producer(p);
    assert_int_equal(p->shared->epoch, epoch + 1);
    ring_fixture_put_published(p, 8, 'c');
    ring_fixture_expect(p, 8, 'a');
    ring_fixture_expect(p, 8, 'c');
    ring_fixture_expect_nothing(p);
}

static void test_ring_open_consumer_reads_unreleased_again(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    ring_fixture_put_published(p, 8, 'b');
    ring_fixture_put_published(p, 8, 'c');
    ring_fixture_expect(p, 8, 'a');
    ring_release(&p->in);
    ring_fixture_expect(p, 8, 'b');
    ring_fixture_restart_consumer(p);
    ring_fixture_expect(p, 8, 'b');
    ring_fixture_expect(p, 8, 'c');
    ring_fixture_expect_nothing(p);
}

static void test_ring_next_quarantines_after_two_deaths(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    ring_fixture_put_published(p, 8, 'b');
    ring_fixture_put_published(p, 8, 'c');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        ring_fixture_expect(p, 8, 'a');
        ring_fixture_expect(p, 8, 'b');
        ring_fixture_restart_consumer(p);
    }
    ring_fixture_expect(p, 8, 'a');
    ring_fixture_expect_quarantined(p);
    ring_fixture_expect(p, 8, 'c');
}

static void test_ring_next_quarantines_first_of_ring(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        ring_fixture_expect(p, 8, 'a');
        ring_fixture_restart_consumer(p);
    }
    ring_fixture_expect_quarantined(p);
    ring_release(&p->in);
    ring_fixture_put_published(p, 8, 'b');
    ring_fixture_expect(p, 8, 'b');
}

/* A record that was set aside stays so while another one kills. */
static void test_ring_next_quarantines_two(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    ring_fixture_put_published(p, 8, 'b');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        ring_fixture_expect(p, 8, 'a');
        ring_fixture_restart_consumer(p);
    }
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        ring_fixture_expect_quarantined(p);
        ring_fixture_expect(p, 8, 'b');
        ring_fixture_restart_consumer(p);
    }
    ring_fixture_expect_quarantined(p);
    ring_fixture_expect_quarantined(p);
    ring_fixture_expect_nothing(p);
}

static void test_ring_next_forgets_deaths_of_released(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    ring_fixture_expect(p, 8, 'a');
    ring_fixture_restart_consumer(p);
    assert_int_equal(p->shared->suspect_deaths, 1);
    ring_fixture_expect(p, 8, 'a');
    ring_release(&p->in);
    assert_int_equal(p->shared->suspect_deaths, 0);
}

static void die_thrice_with_nothing_in_hand(struct ring_fixture *p,
                                            void (*finish)(struct ring_fixture *))
{
    ring_fixture_put_published(p, 8, 'a');
    for (unsigned deaths = 0; deaths < 3; deaths++) {
        ring_fixture_expect(p, 8, 'a');
        finish(p);
        ring_fixture_restart_consumer(p);
        assert_int_equal(p->shared->suspect_deaths, 0);
    }
    ring_fixture_expect(p, 8, 'a');
}

static void finish_by_put_down(struct ring_fixture *p)
{
    ring_put_down(&p->in);
}

static void test_ring_put_down_is_not_counted(void **state)
{
    die_thrice_with_nothing_in_hand(*state, finish_by_put_down);
}

static void test_ring_next_empty_is_not_counted(void **state)
{
    die_thrice_with_nothing_in_hand(*state, ring_fixture_expect_nothing);
}

static void test_ring_release_after_put_down_is_not_counted(void **state)
{
    struct ring_fixture *p = *state;

    ring_fixture_put_published(p, 8, 'a');
    ring_fixture_put_published(p, 8, 'b');
    ring_fixture_expect(p, 8, 'a');
    ring_put_down(&p->in);
    ring_release(&p->in);
    ring_fixture_restart_consumer(p);
    assert_int_equal(p->shared->suspect_deaths, 0);
    ring_fixture_expect(p, 8, 'b');
}

#define FROM_START(test) \
    cmocka_unit_test_setup_teardown(test, ring_fixture_open, ring_fixture_close)
#define BEFORE_WRAP(test) \
    cmocka_unit_test_setup_teardown(test, ring_fixture_open_before_wrap, ring_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FROM_START(test_ring_open_producer_drops_unpublished),
        FROM_START(test_ring_open_consumer_reads_unreleased_again),
        FROM_START(test_ring_next_quarantines_after_two_deaths),
        FROM_START(test_ring_next_quarantines_first_of_ring),
        FROM_START(test_ring_next_quarantines_two),
        FROM_START(test_ring_next_forgets_deaths_of_released),
        FROM_START(test_ring_put_down_is_not_counted),
        FROM_START(test_ring_next_empty_is_not_counted),
        FROM_START(test_ring_release_after_put_down_is_not_counted),
        BEFORE_WRAP(test_ring_next_quarantines_after_two_deaths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
