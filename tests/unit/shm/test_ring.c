#include "tests/unit/shm/ring_fixture.h"

static void test_ring_next_empty(void **state)
{
    ring_fixture_expect_nothing(*state);
    assert_false(ring_has_next(&((struct ring_fixture *)*state)->in));
}

static void test_ring_publish_shows_all_committed(void **state)
{
    struct ring_fixture *p = *state;

    assert_false(ring_publish(&p->out));
    assert_true(ring_fixture_put(p, 5, 'a'));
    assert_true(ring_fixture_put(p, 0, 'b'));
    assert_false(ring_has_next(&p->in));
    ring_fixture_expect_nothing(p);
    assert_true(ring_publish(&p->out));
    assert_false(ring_publish(&p->out));
    assert_true(ring_has_next(&p->in));
    ring_fixture_expect(p, 5, 'a');
    ring_fixture_expect(p, 0, 'b');
    ring_fixture_expect_nothing(p);
}

static void test_ring_commit_less_than_reserved(void **state)
{
    struct ring_fixture *p = *state;
    uint8_t *room = ring_reserve(&p->out, 64);

    memset(room, 'x', 3);
    ring_commit(&p->out, 3, 7);
    assert_int_equal(ring_position(&p->out), 16);
    ring_fixture_put_published(p, 8, 'y');
    ring_fixture_expect(p, 3, 'x');
    ring_fixture_expect(p, 8, 'y');
}

static void test_ring_reserve_given_up_leaves_nothing(void **state)
{
    struct ring_fixture *p = *state;

    for (unsigned i = 0; i < 6; i++)
        ring_fixture_put_published(p, 64, 'a');
    for (unsigned i = 0; i < 6; i++)
        ring_fixture_expect(p, 64, 'a');
    ring_release(&p->in);
    assert_non_null(ring_reserve(&p->out, 64)); /* would be at the wrap */
    assert_non_null(ring_reserve(&p->out, 64));
    assert_false(ring_publish(&p->out));
    ring_fixture_put_published(p, 8, 'b'); /* fits before it */
    ring_fixture_expect(p, 8, 'b');
}

static void test_ring_reserve_null_when_full(void **state)
{
    struct ring_fixture *p = *state;
    unsigned count = 0;

    while (ring_fixture_put(p, 56, (uint8_t)count))
        count++;
    assert_int_equal(count, RING_FIXTURE_SIZE / 64);
    assert_null(ring_reserve(&p->out, 0));
    ring_publish(&p->out);
    ring_fixture_expect(p, 56, 0);
    assert_null(ring_reserve(&p->out, 56)); /* taken, but not released */
    ring_release(&p->in);
    assert_non_null(ring_reserve(&p->out, 56));
}

static void test_ring_next_skips_filler(void **state)
{
    struct ring_fixture *p = *state;

    for (unsigned i = 0; i < 1000; i++) {
        ring_fixture_put_published(p, i % 65, (uint8_t)i);
        ring_fixture_expect(p, i % 65, (uint8_t)i);
        ring_release(&p->in);
        ring_fixture_expect_nothing(p);
    }
    assert_true(p->shared->head == p->shared->tail);
}

static void test_ring_keeps_several_across_wraps(void **state)
{
    struct ring_fixture *p = *state;
    unsigned sent = 0;
    unsigned seen = 0;

    while (seen < 5000) {
        while (ring_fixture_put(p, sent % 61, (uint8_t)sent))
            sent++;
        ring_publish(&p->out);
        for (unsigned i = sent % 3; i < 5 && seen < sent; i++, seen++)
            ring_fixture_expect(p, seen % 61, (uint8_t)seen);
        ring_release(&p->in);
    }
}

static void test_ring_want_room(void **state)
{
    struct ring_fixture *p = *state;

    assert_true(ring_want_room(&p->out, 64));
    while (ring_fixture_put(p, 56, 'a'))
        continue;
    assert_false(ring_want_room(&p->out, 56));
    ring_publish(&p->out);
    ring_fixture_expect(p, 56, 'a');
    assert_true(ring_release(&p->in));
    assert_false(ring_release(&p->in)); /* once per wish */
    assert_true(ring_want_room(&p->out, 56));
}

static void test_ring_release_answers_wish_made_to_predecessor(void **state)
{
    struct ring_fixture *p = *state;

    while (ring_fixture_put(p, 56, 'a'))
        continue;
    ring_publish(&p->out);
    assert_false(ring_want_room(&p->out, 56));
    ring_fixture_restart_consumer(p);
    ring_fixture_expect(p, 56, 'a');
    assert_true(ring_release(&p->in));
}

static void test_ring_has_settled(void **state)
{
    struct ring_fixture *p = *state;
    uint32_t first;
    uint32_t second;

    ring_fixture_put_published(p, 8, 'a');
    first = ring_position(&p->out);
    ring_fixture_put_published(p, 8, 'b');
    second = ring_position(&p->out);
    assert_false(ring_has_settled(&p->out, first));
    ring_fixture_expect(p, 8, 'a');
    ring_settle(&p->in);
    assert_true(ring_has_settled(&p->out, first));
    assert_false(ring_has_settled(&p->out, second));
    assert_false(ring_has_released(&p->out, first));
    ring_fixture_expect(p, 8, 'b');
    ring_release(&p->in);
    assert_true(ring_has_released(&p->out, second));
    assert_false(ring_has_settled(&p->out, second));
    ring_settle(&p->in);
    assert_true(ring_has_settled(&p->out, second));
    assert_true(ring_has_settled(&p->out, first));
}

/* Steps that must end in a failed check. */
static void reserve_too_much(void *context)
{
    struct ring_fixture *p = context;

    ring_reserve(&p->out, ring_record_max(&p->out) + 1);
}

static void commit_more_than_reserved(void *context)
{
    struct ring_fixture *p = context;

    ring_reserve(&p->out, 8);
    ring_commit(&p->out, 9, 7);
}

static void commit_without_reservation(void *context)
{
    struct ring_fixture *p = context;

    ring_fixture_put(p, 8, 'a');
    ring_commit(&p->out, 8, 7);
}

static void next_after_header(struct ring_fixture *p, uint32_t size)
{
    struct ring_record record;

    ring_fixture_put_published(p, 8, 'a');
    memcpy(p->shared->data, &size, sizeof size);
    ring_next(&p->in, &record);
}

static void next_longer_than_published(void *context)
{
    next_after_header(context, 17);
}

static void next_of_impossible_size(void *context)
{
    next_after_header(context, UINT32_MAX - 3);
}

static void look_at_impossible_head(void *context)
{
    struct ring_fixture *p = context;

    p->shared->head = p->shared->tail + RING_FIXTURE_SIZE + 8;
    ring_has_next(&p->in);
}

static void look_at_impossible_tail(void *context)
{
    struct ring_fixture *p = context;

    p->shared->tail = p->shared->head + 8;
    ring_want_room(&p->out, 8);
}

static void test_ring_checks(void **state)
{
    void (*const steps[])(void *) = {
        reserve_too_much,           commit_more_than_reserved, commit_without_reservation,
        next_longer_than_published, next_of_impossible_size,   look_at_impossible_head,
        look_at_impossible_tail,
    };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        assert_int_equal(fixture_signal_of(steps[i], *state), SIGABRT);
}

#define FROM_START(test) \
    cmocka_unit_test_setup_teardown(test, ring_fixture_open, ring_fixture_close)
#define BEFORE_WRAP(test) \
    cmocka_unit_test_setup_teardown(test, ring_fixture_open_before_wrap, ring_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FROM_START(test_ring_next_empty),
        FROM_START(test_ring_publish_shows_all_committed),
        FROM_START(test_ring_commit_less_than_reserved),
        FROM_START(test_ring_reserve_given_up_leaves_nothing),
        FROM_START(test_ring_reserve_null_when_full),
        FROM_START(test_ring_next_skips_filler),
        FROM_START(test_ring_keeps_several_across_wraps),
        FROM_START(test_ring_want_room),
        FROM_START(test_ring_release_answers_wish_made_to_predecessor),
        FROM_START(test_ring_has_settled),
        FROM_START(test_ring_checks),
        BEFORE_WRAP(test_ring_next_skips_filler),
        BEFORE_WRAP(test_ring_keeps_several_across_wraps),
        BEFORE_WRAP(test_ring_has_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
