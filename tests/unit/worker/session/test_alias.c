#include "worker/session/alias.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_alias_in_get_is_empty_before_set(void **state)
{
    (void)state;
    struct alias_in *a = alias_in_new(10);
    assert_int_equal(alias_in_get(a, 10).size, 0);
    alias_in_free(a);
}

static void test_alias_in_set_replaces(void **state)
{
    (void)state;
    struct alias_in *a = alias_in_new(10);
    assert_true(alias_in_set(a, 3, bytes_of("first")));
    assert_true(alias_in_set(a, 3, bytes_of("second")));
    assert_true(bytes_equal(alias_in_get(a, 3), bytes_of("second")));
    alias_in_free(a);
}

static void test_alias_out_use_knows_a_topic_the_second_time(void **state)
{
    (void)state;
    bool is_known;
    struct alias_out *a = alias_out_new(2);
    assert_int_equal(alias_out_use(a, bytes_of("a"), &is_known), 1);
    assert_false(is_known);
    assert_int_equal(alias_out_use(a, bytes_of("a"), &is_known), 1);
    assert_true(is_known);
    alias_out_free(a);
}

static void test_alias_out_use_gives_none_beyond_the_maximum(void **state)
{
    (void)state;
    bool is_known;
    struct alias_out *a = alias_out_new(1);
    assert_int_equal(alias_out_use(a, bytes_of("a"), &is_known), 1);
    assert_int_equal(alias_out_use(a, bytes_of("b"), &is_known), 0);
    assert_false(is_known);
    alias_out_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alias_in_get_is_empty_before_set),
        cmocka_unit_test(test_alias_in_set_replaces),
        cmocka_unit_test(test_alias_out_use_knows_a_topic_the_second_time),
        cmocka_unit_test(test_alias_out_use_gives_none_beyond_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
