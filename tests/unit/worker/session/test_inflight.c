#include "worker/session/inflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct delivery *make_delivery(void)
{
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of("p"));
    assert_non_null(m);
    struct delivery *d = delivery_new(m, QOS_AT_LEAST_ONCE, false, 0);
    assert_non_null(d);
    message_put(m);
    return d;
}

static void test_inflight_take_gives_rising_ids_from_one(void **state)
{
    (void)state;
    struct inflight inflight;
    inflight_init(&inflight);
    for (uint16_t i = 1; i <= 3; i++) {
        struct delivery *d = make_delivery();
        assert_true(inflight_take(&inflight, d));
        assert_int_equal(d->packet_id, i);
    }
    inflight_done(&inflight);
}

static void test_inflight_take_skips_ids_in_use_after_the_wrap(void **state)
{
    (void)state;
    struct inflight inflight;
    inflight_init(&inflight);
    struct delivery *first = make_delivery();
    assert_true(inflight_take(&inflight, first));
    inflight.next_id = 65535;
    struct delivery *last = make_delivery();
    struct delivery *wrapped = make_delivery();
    assert_true(inflight_take(&inflight, last));
    assert_true(inflight_take(&inflight, wrapped));
    assert_int_equal(last->packet_id, 65535);
    assert_int_equal(wrapped->packet_id, 2); /* 0 is no id, 1 is in use */
    inflight_done(&inflight);
}

/* What comes back after a restart was not chosen to fit the table. */
static void test_inflight_put_finds_a_place_for_ids_of_one_slot(void **state)
{
    (void)state;
    static const uint16_t IDS[] = {1, 17, 33, 65535, 32769, 2};
    enum { COUNT = sizeof(IDS) / sizeof(IDS[0]) };
    struct delivery *all[COUNT];
    struct inflight inflight;
    inflight_init(&inflight);
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = make_delivery();
        assert_true(inflight_put(&inflight, all[i], IDS[i]));
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(inflight_find(&inflight, IDS[i]), all[i]);
    struct delivery *next = make_delivery();
    assert_false(inflight_put(&inflight, next, 33));
    assert_true(inflight_take(&inflight, next));
    assert_int_equal(next->packet_id, 3); /* 1 and 2 are in use */
    inflight_done(&inflight);
}

static void test_inflight_find_knows_each_of_many(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct inflight inflight;
    struct delivery *all[COUNT];
    inflight_init(&inflight);
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = make_delivery();
        assert_true(inflight_take(&inflight, all[i]));
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(inflight_find(&inflight, all[i]->packet_id), all[i]);
    assert_null(inflight_find(&inflight, COUNT + 1));
    inflight_done(&inflight);
}

static void test_inflight_take_refuses_when_all_ids_are_in_use(void **state)
{
    (void)state;
    struct inflight inflight;
    inflight_init(&inflight);
    for (unsigned i = 0; i < UINT16_MAX; i++)
        assert_true(inflight_take(&inflight, make_delivery()));
    struct delivery *extra = make_delivery();
    assert_false(inflight_take(&inflight, extra));
    delivery_free(extra);
    inflight_done(&inflight);
}

static void test_inflight_drop_frees_the_id_and_keeps_the_order(void **state)
{
    (void)state;
    struct inflight inflight;
    struct delivery *d[3];
    inflight_init(&inflight);
    for (unsigned i = 0; i < 3; i++) {
        d[i] = make_delivery();
        assert_true(inflight_take(&inflight, d[i]));
    }
    inflight_drop(&inflight, d[1]);
    assert_null(inflight_find(&inflight, 2));
    assert_ptr_equal(list_first(&inflight.order), &d[0]->node);
    assert_ptr_equal(d[0]->node.next, &d[2]->node);
    inflight_done(&inflight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inflight_take_gives_rising_ids_from_one),
        cmocka_unit_test(test_inflight_take_skips_ids_in_use_after_the_wrap),
        cmocka_unit_test(test_inflight_put_finds_a_place_for_ids_of_one_slot),
        cmocka_unit_test(test_inflight_find_knows_each_of_many),
        cmocka_unit_test(test_inflight_take_refuses_when_all_ids_are_in_use),
        cmocka_unit_test(test_inflight_drop_frees_the_id_and_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
