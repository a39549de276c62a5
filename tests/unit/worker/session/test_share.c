#include "worker/session/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_share_lives_as_long_as_its_references(void **state)
{
    struct hash128 id;
    (void)state;
    memset(&id, 7, sizeof(id));
    struct share *share = share_new(&id);
    assert_non_null(share);
    assert_ptr_equal(share_get(share), share);
    share_put(share);
    assert_memory_equal(&share->id, &id, sizeof(id));
    share_put(share);
}

static void test_share_of_a_plain_subscription(void **state)
{
    (void)state;
    assert_null(share_get(NULL));
    share_put(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_lives_as_long_as_its_references),
        cmocka_unit_test(test_share_of_a_plain_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
