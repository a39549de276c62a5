#include "worker/route/delayed.h"

#include "worker/session/delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FIRST = 1000 };

static struct delivery some_delivery;

static void add_entry(struct delayed *d, uint64_t serial)
{
    struct delayed_record record = {.delivery = &some_delivery, .until_ms = serial};
    assert_true(delayed_add(d, serial, &record));
}

static void add_change(struct delayed *d, uint64_t serial)
{
    struct delayed_record record = {.number = 1, .seq = serial};
    assert_true(delayed_add(d, serial, &record));
}

static void test_delayed_first_leaves_out_what_was_cancelled(void **state)
{
    struct delayed d = {0};
    struct delayed_record record;
    (void)state;
    assert_null(delayed_first(&d));
    assert_false(delayed_is_open(&d));
    for (uint64_t i = 0; i < 4; i++)
        add_entry(&d, FIRST + i);
    delayed_cancel(&d, FIRST);
    delayed_cancel(&d, FIRST + 2);
    assert_int_equal(delayed_first(&d)->until_ms, FIRST + 1);
    assert_int_equal(delayed_take_first(&d, &record), FIRST + 1);
    assert_int_equal(delayed_first(&d)->until_ms, FIRST + 3);
    delayed_cancel(&d, FIRST + 3);
    assert_null(delayed_first(&d));
    add_entry(&d, FIRST + 50); /* others were put meanwhile */
    assert_int_equal(delayed_first(&d)->until_ms, FIRST + 50);
    delayed_done(&d);
}

/* `open` is what others wait for. */
static void test_delayed_open_passes_changes_and_what_was_cancelled(void **state)
{
    struct delayed d = {0};
    struct delayed_record record;
    (void)state;
    add_change(&d, FIRST);
    assert_false(delayed_is_open(&d));
    add_entry(&d, FIRST + 1);
    add_change(&d, FIRST + 2);
    add_entry(&d, FIRST + 3);
    assert_int_equal(d.open, FIRST + 1);
    delayed_cancel(&d, FIRST + 3);
    assert_int_equal(d.open, FIRST + 1);
    delayed_cancel(&d, FIRST + 1);
    assert_false(delayed_is_open(&d));
    assert_int_equal(delayed_first(&d)->seq, FIRST);
    assert_int_equal(delayed_take_first(&d, &record), FIRST);
    assert_int_equal(record.seq, FIRST);
    assert_int_equal(delayed_first(&d)->seq, FIRST + 2);
    delayed_done(&d);
}

static void test_delayed_add_has_a_limit(void **state)
{
    struct delayed d = {0};
    struct delayed_record record = {.delivery = &some_delivery};
    (void)state;
    for (uint64_t i = 0; i < DELAYED_MAX; i++)
        add_entry(&d, FIRST + i);
    assert_false(delayed_add(&d, FIRST + DELAYED_MAX, &record));
    delayed_cancel(&d, FIRST);
    add_entry(&d, FIRST + DELAYED_MAX);
    for (uint64_t i = 1; i <= DELAYED_MAX; i++)
        assert_int_equal(delayed_take_first(&d, &record), FIRST + i);
    assert_null(delayed_first(&d));
    delayed_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delayed_first_leaves_out_what_was_cancelled),
        cmocka_unit_test(test_delayed_open_passes_changes_and_what_was_cancelled),
        cmocka_unit_test(test_delayed_add_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
