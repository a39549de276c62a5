#include "shm/obituary.h"

#include "common/base/check.h"
#include "tests/unit/shm/shm_fixture.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

struct death {
    struct fixture fixture;
    void (*cause)(void);
};

static void die(void *context)
{
    struct death *death = context;

    /* Deaths on purpose leave no core. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    obituary_start(&death->fixture.region, 1);
    death->cause();
}

/* Runs `cause` in a child that has slot 1: its signal and its words. */
static int words_of(void (*cause)(void), char *text, size_t size)
{
    struct death death = {.cause = cause};
    int number;

    fixture_open(&death.fixture);
    number = fixture_signal_of(die, &death);
    obituary_read(&death.fixture.region, 1, text, size);
    fixture_close(&death.fixture);
    return number;
}

static void fail_check(void)
{
    check(1 + 1 == 3);
}

static void test_obituary_of_failed_check(void **state)
{
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    assert_int_equal(words_of(fail_check, text, sizeof text), SIGABRT);
    assert_non_null(strstr(text, "test_obituary.c"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
    assert_null(strstr(text, "signal"));
}

static void touch_forbidden(void)
{
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    page[0x10] = 1;
}

static void test_obituary_of_fault_has_address(void **state)
{
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    assert_int_equal(words_of(touch_forbidden, text, sizeof text), SIGSEGV);
    assert_memory_equal(text, "signal 11 at 0x", 15);
    assert_string_equal(text + strlen(text) - 3, "010");
}

/* Volatile, so that no compiler makes it a loop. */
static unsigned dive(volatile unsigned depth)
{
    volatile char frame[4096];

    frame[0] = (char)depth;
    return depth == 0 ? 0 : dive(depth - 1) + (unsigned char)frame[0];
}

static void overflow_stack(void)
{
    dive(UINT32_MAX);
}

static void test_obituary_of_stack_overflow(void **state)
{
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    assert_int_equal(words_of(overflow_stack, text, sizeof text), SIGSEGV);
    assert_memory_equal(text, "signal 11 at 0x", 15);
}

static void send_bus_error(void)
{
    raise(SIGBUS);
}

static void test_obituary_of_sent_signal(void **state)
{
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    assert_int_equal(words_of(send_bus_error, text, sizeof text), SIGBUS);
    assert_memory_equal(text, "signal 7 from process ", 22);
}

static void leave(void)
{
    _exit(0);
}

static void test_obituary_of_quiet_end_is_empty(void **state)
{
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    assert_int_equal(words_of(leave, text, sizeof text), 0);
    assert_string_equal(text, "");
}

static void test_obituary_read_cuts(void **state)
{
    struct fixture f;
    char text[4];

    (void)state;
    fixture_open(&f);
    memset(f.region.slots[1].words, 'x', LAYOUT_WORDS_MAX); /* without NUL */
    obituary_read(&f.region, 1, text, sizeof text);
    assert_string_equal(text, "xxx");
    obituary_read(&f.region, 1, text, 1);
    assert_string_equal(text, "");
    fixture_close(&f);
}

static void test_obituary_clear(void **state)
{
    struct fixture f;
    char text[LAYOUT_WORDS_MAX];

    (void)state;
    fixture_open(&f);
    memset(f.region.slots[1].words, 'x', LAYOUT_WORDS_MAX);
    obituary_clear(&f.region, 1);
    obituary_read(&f.region, 1, text, sizeof text);
    assert_string_equal(text, "");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_obituary_of_failed_check),
        cmocka_unit_test(test_obituary_of_fault_has_address),
        cmocka_unit_test(test_obituary_of_stack_overflow),
        cmocka_unit_test(test_obituary_of_sent_signal),
        cmocka_unit_test(test_obituary_of_quiet_end_is_empty),
        cmocka_unit_test(test_obituary_read_cuts),
        cmocka_unit_test(test_obituary_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
