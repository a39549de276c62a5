#include "shm/ring.h"

#include "tests/unit/shm/shm_fixture.h"

#include <string.h>

enum { SIZE = 512 }; /* records of at most 64 bytes: 72 with their header */

struct pair {
    struct layout_ring *shared;
    struct ring out;
    struct ring in;
};

static int open_at(void **state, uint32_t position)
{
    struct pair *p = malloc(sizeof *p);

    if (p == NULL)
        return -1;
    p->shared = aligned_alloc(LAYOUT_LINE, sizeof *p->shared + SIZE);
    if (p->shared == NULL)
        return -1;
    memset(p->shared, 0, sizeof *p->shared + SIZE);
    p->shared->head = position;
    p->shared->tail = position;
    p->shared->working = position;
    p->shared->settled = position;
    ring_open_producer(&p->out, p->shared, SIZE);
    ring_open_consumer(&p->in, p->shared, SIZE);
    *state = p;
    return 0;
}

static int set_up(void **state)
{
    return open_at(state, 0);
}

static int set_up_before_wrap(void **state)
{
    return open_at(state, UINT32_MAX - 199);
}

static int tear_down(void **state)
{
    struct pair *p = *state;

    free(p->shared);
    free(p);
    return 0;
}

/* A record of `size` times the byte `fill`; not published. */
static bool put(struct pair *p, uint32_t size, uint8_t fill)
{
    uint8_t *room = ring_reserve(&p->out, size);

    if (room == NULL)
        return false;
    memset(room, fill, size);
    ring_commit(&p->out, size, 7);
    return true;
}

static void put_published(struct pair *p, uint32_t size, uint8_t fill)
{
    assert_true(put(p, size, fill));
    assert_true(ring_publish(&p->out));
}

static void expect(struct pair *p, uint32_t size, uint8_t fill)
{
    struct ring_record record;

    assert_true(ring_next(&p->in, &record));
    assert_false(record.quarantined);
    assert_int_equal(record.kind, 7);
    assert_int_equal(record.size, size);
    assert_int_equal((uintptr_t)record.data % RING_RECORD_ALIGN, 0);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(record.data[i], fill);
}

static void expect_quarantined(struct pair *p)
{
    struct ring_record record;

    assert_true(ring_next(&p->in, &record));
    assert_true(record.quarantined);
    assert_null(record.data);
    assert_int_equal(record.size, 0);
}

static void expect_nothing(struct pair *p)
{
    struct ring_record record;

    assert_false(ring_next(&p->in, &record));
}

static void restart_consumer(struct pair *p)
{
    ring_open_consumer(&p->in, p->shared, SIZE);
}

static void restart_producer(struct pair *p)
{
    ring_open_producer(&p->out, p->shared, SIZE);
}

static void test_ring_next_empty(void **state)
{
    expect_nothing(*state);
    assert_false(ring_has_next(&((struct pair *)*state)->in));
}

static void test_ring_publish_shows_all_committed(void **state)
{
    struct pair *p = *state;

    assert_false(ring_publish(&p->out));
    assert_true(put(p, 5, 'a'));
    assert_true(put(p, 0, 'b'));
    assert_false(ring_has_next(&p->in));
    expect_nothing(p);
    assert_true(ring_publish(&p->out));
    assert_false(ring_publish(&p->out));
    assert_true(ring_has_next(&p->in));
    expect(p, 5, 'a');
    expect(p, 0, 'b');
    expect_nothing(p);
}

static void test_ring_commit_less_than_reserved(void **state)
{
    struct pair *p = *state;
    uint8_t *room = ring_reserve(&p->out, 64);

    memset(room, 'x', 3);
    ring_commit(&p->out, 3, 7);
    assert_int_equal(ring_position(&p->out), 16);
    put_published(p, 8, 'y');
    expect(p, 3, 'x');
    expect(p, 8, 'y');
}

static void test_ring_reserve_given_up_leaves_nothing(void **state)
{
    struct pair *p = *state;

    for (unsigned i = 0; i < 6; i++)
        put_published(p, 64, 'a');
    for (unsigned i = 0; i < 6; i++)
        expect(p, 64, 'a');
    ring_release(&p->in);
    assert_non_null(ring_reserve(&p->out, 64)); /* would be at the wrap */
    assert_non_null(ring_reserve(&p->out, 64));
    assert_false(ring_publish(&p->out));
    put_published(p, 8, 'b'); /* fits before it */
    expect(p, 8, 'b');
}

static void test_ring_reserve_null_when_full(void **state)
{
    struct pair *p = *state;
    unsigned count = 0;

    while (put(p, 56, (uint8_t)count))
        count++;
    assert_int_equal(count, SIZE / 64);
    assert_null(ring_reserve(&p->out, 0));
    ring_publish(&p->out);
    expect(p, 56, 0);
    assert_null(ring_reserve(&p->out, 56)); /* taken, but not released */
    ring_release(&p->in);
    assert_non_null(ring_reserve(&p->out, 56));
}

static void test_ring_next_skips_filler(void **state)
{
    struct pair *p = *state;

    for (unsigned i = 0; i < 1000; i++) {
        put_published(p, i % 65, (uint8_t)i);
        expect(p, i % 65, (uint8_t)i);
        ring_release(&p->in);
        expect_nothing(p);
    }
    assert_true(p->shared->head == p->shared->tail);
}

static void test_ring_keeps_several_across_wraps(void **state)
{
    struct pair *p = *state;
    unsigned sent = 0;
    unsigned seen = 0;

    while (seen < 5000) {
        while (put(p, sent % 61, (uint8_t)sent))
            sent++;
        ring_publish(&p->out);
        for (unsigned i = sent % 3; i < 5 && seen < sent; i++, seen++)
            expect(p, seen % 61, (uint8_t)seen);
        ring_release(&p->in);
    }
}

static void test_ring_want_room(void **state)
{
    struct pair *p = *state;

    assert_true(ring_want_room(&p->out, 64));
    while (put(p, 56, 'a'))
        continue;
    assert_false(ring_want_room(&p->out, 56));
    ring_publish(&p->out);
    expect(p, 56, 'a');
    assert_true(ring_release(&p->in));
    assert_false(ring_release(&p->in)); /* once per wish */
    assert_true(ring_want_room(&p->out, 56));
}

static void test_ring_release_answers_wish_made_to_predecessor(void **state)
{
    struct pair *p = *state;

    while (put(p, 56, 'a'))
        continue;
    ring_publish(&p->out);
    assert_false(ring_want_room(&p->out, 56));
    restart_consumer(p);
    expect(p, 56, 'a');
    assert_true(ring_release(&p->in));
}

static void test_ring_has_settled(void **state)
{
    struct pair *p = *state;
    uint32_t first;
    uint32_t second;

    put_published(p, 8, 'a');
    first = ring_position(&p->out);
    put_published(p, 8, 'b');
    second = ring_position(&p->out);
    assert_false(ring_has_settled(&p->out, first));
    expect(p, 8, 'a');
    ring_settle(&p->in);
    assert_true(ring_has_settled(&p->out, first));
    assert_false(ring_has_settled(&p->out, second));
    expect(p, 8, 'b');
    ring_release(&p->in);
    assert_false(ring_has_settled(&p->out, second));
    ring_settle(&p->in);
    assert_true(ring_has_settled(&p->out, second));
    assert_true(ring_has_settled(&p->out, first));
}

static void test_ring_open_producer_drops_unpublished(void **state)
{
    struct pair *p = *state;
    uint32_t epoch = p->shared->epoch;

    put_published(p, 8, 'a');
    assert_true(put(p, 8, 'b'));
    restart_producer(p);
    assert_int_equal(p->shared->epoch, epoch + 1);
    put_published(p, 8, 'c');
    expect(p, 8, 'a');
    expect(p, 8, 'c');
    expect_nothing(p);
}

static void test_ring_open_consumer_reads_unreleased_again(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    put_published(p, 8, 'b');
    put_published(p, 8, 'c');
    expect(p, 8, 'a');
    ring_release(&p->in);
    expect(p, 8, 'b');
    restart_consumer(p);
    expect(p, 8, 'b');
    expect(p, 8, 'c');
    expect_nothing(p);
}

static void test_ring_next_quarantines_after_two_deaths(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    put_published(p, 8, 'b');
    put_published(p, 8, 'c');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        expect(p, 8, 'a');
        expect(p, 8, 'b');
        restart_consumer(p);
    }
    expect(p, 8, 'a');
    expect_quarantined(p);
    expect(p, 8, 'c');
}

static void test_ring_next_quarantines_first_of_ring(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        expect(p, 8, 'a');
        restart_consumer(p);
    }
    expect_quarantined(p);
    ring_release(&p->in);
    put_published(p, 8, 'b');
    expect(p, 8, 'b');
}

/* A record that was set aside stays so while another one kills. */
static void test_ring_next_quarantines_two(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    put_published(p, 8, 'b');
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        expect(p, 8, 'a');
        restart_consumer(p);
    }
    for (unsigned deaths = 0; deaths < 2; deaths++) {
        expect_quarantined(p);
        expect(p, 8, 'b');
        restart_consumer(p);
    }
    expect_quarantined(p);
    expect_quarantined(p);
    expect_nothing(p);
}

static void test_ring_next_forgets_deaths_of_released(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    expect(p, 8, 'a');
    restart_consumer(p);
    assert_int_equal(p->shared->suspect_deaths, 1);
    expect(p, 8, 'a');
    ring_release(&p->in);
    assert_int_equal(p->shared->suspect_deaths, 0);
}

static void die_thrice_with_nothing_in_hand(struct pair *p, void (*finish)(struct pair *))
{
    put_published(p, 8, 'a');
    for (unsigned deaths = 0; deaths < 3; deaths++) {
        expect(p, 8, 'a');
        finish(p);
        restart_consumer(p);
        assert_int_equal(p->shared->suspect_deaths, 0);
    }
    expect(p, 8, 'a');
}

static void finish_by_put_down(struct pair *p)
{
    ring_put_down(&p->in);
}

static void test_ring_put_down_is_not_counted(void **state)
{
    die_thrice_with_nothing_in_hand(*state, finish_by_put_down);
}

static void test_ring_next_empty_is_not_counted(void **state)
{
    die_thrice_with_nothing_in_hand(*state, expect_nothing);
}

static void test_ring_release_after_put_down_is_not_counted(void **state)
{
    struct pair *p = *state;

    put_published(p, 8, 'a');
    put_published(p, 8, 'b');
    expect(p, 8, 'a');
    ring_put_down(&p->in);
    ring_release(&p->in);
    restart_consumer(p);
    assert_int_equal(p->shared->suspect_deaths, 0);
    expect(p, 8, 'b');
}

/* Steps that must end in a failed check. */
static void reserve_too_much(void *context)
{
    struct pair *p = context;

    ring_reserve(&p->out, ring_record_max(&p->out) + 1);
}

static void commit_more_than_reserved(void *context)
{
    struct pair *p = context;

    ring_reserve(&p->out, 8);
    ring_commit(&p->out, 9, 7);
}

static void commit_without_reservation(void *context)
{
    struct pair *p = context;

    put(p, 8, 'a');
    ring_commit(&p->out, 8, 7);
}

static void next_after_header(struct pair *p, uint32_t size)
{
    struct ring_record record;

    put_published(p, 8, 'a');
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
    struct pair *p = context;

    p->shared->head = p->shared->tail + SIZE + 8;
    ring_has_next(&p->in);
}

static void look_at_impossible_tail(void *context)
{
    struct pair *p = context;

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

#define FROM_START(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define BEFORE_WRAP(test) cmocka_unit_test_setup_teardown(test, set_up_before_wrap, tear_down)

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
        FROM_START(test_ring_open_producer_drops_unpublished),
        FROM_START(test_ring_open_consumer_reads_unreleased_again),
        FROM_START(test_ring_next_quarantines_after_two_deaths),
        FROM_START(test_ring_next_quarantines_first_of_ring),
        FROM_START(test_ring_next_quarantines_two),
        FROM_START(test_ring_next_forgets_deaths_of_released),
        FROM_START(test_ring_put_down_is_not_counted),
        FROM_START(test_ring_next_empty_is_not_counted),
        FROM_START(test_ring_release_after_put_down_is_not_counted),
        FROM_START(test_ring_checks),
        BEFORE_WRAP(test_ring_next_skips_filler),
        BEFORE_WRAP(test_ring_keeps_several_across_wraps),
        BEFORE_WRAP(test_ring_has_settled),
        BEFORE_WRAP(test_ring_next_quarantines_after_two_deaths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
