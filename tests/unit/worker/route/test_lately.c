#include "worker/route/lately.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_lately_has_what_was_noted(void **state)
{
    (void)state;
    struct lately lately = {0};
    int one = 1;
    int other = 2;
    assert_false(lately_has(&lately, &one, 1));
    lately_note(&lately, &one, 1);
    assert_true(lately_has(&lately, &one, 1));
    assert_false(lately_has(&lately, &other, 1));
    assert_false(lately_has(&lately, &one, 2));
    lately_done(&lately);
    assert_false(lately_has(&lately, &one, 1));
}

static unsigned count_known(const struct lately *lately, const void *session, uint64_t from,
                            uint64_t to)
{
    unsigned count = 0;
    for (uint64_t id = from; id < to; id++)
        count += lately_has(lately, session, id);
    return count;
}

static void test_lately_note_forgets_what_is_old(void **state)
{
    (void)state;
    enum { MANY = 20 * LATELY_SLOTS, LAST = LATELY_SLOTS / 4 };
    struct lately lately = {0};
    int session = 1;
    for (uint64_t id = 0; id < MANY; id++)
        lately_note(&lately, &session, id);
    assert_true(count_known(&lately, &session, 0, MANY) <= LATELY_SLOTS);
    assert_true(count_known(&lately, &session, MANY - LAST, MANY) > LAST / 2);
    lately_done(&lately);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lately_has_what_was_noted),
        cmocka_unit_test(test_lately_note_forgets_what_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
