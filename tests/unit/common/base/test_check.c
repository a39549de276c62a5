#include "common/base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* How a child died, and what it said. */
struct death {
    int signal; /* 0: it went on */
    char words[1024];
};

static int words_fd = -1;

static void write_words(const char *words)
{
    ssize_t written = write(words_fd, words, strlen(words));
    (void)written;
}

static void fail_in_hook(const char *words)
{
    write_words(words);
    check(words == NULL);
}

_Noreturn static void run_child(void (*act)(void))
{
    static const struct rlimit no_core;

    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    act();
    _exit(0);
}

/* Runs `act` in a child that has a pipe to us as its words_fd. */
static struct death die_in_child(void (*act)(void))
{
    struct death death = {.signal = 0};
    size_t used = 0;
    ssize_t got;
    int ends[2];
    int status;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        words_fd = ends[1];
        run_child(act);
    }
    close(ends[1]);
    while ((got = read(ends[0], death.words + used, sizeof death.words - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        death.signal = WTERMSIG(status);
    return death;
}

static void fail_with_hook(void)
{
    check_set_hook(write_words);
    check_failed("shm/ring.c", 1207, "head <= tail");
}

static void test_check_failed_tells_the_hook_and_aborts(void **state)
{
    struct death death = die_in_child(fail_with_hook);

    (void)state;
    assert_int_equal(death.signal, SIGABRT);
    assert_string_equal(death.words, "shm/ring.c:1207: head <= tail");
}

static void fail_without_hook(void)
{
    dup2(words_fd, STDERR_FILENO);
    check_set_hook(write_words);
    check_set_hook(NULL);
    check_failed("a.c", 0, "b");
}

static void test_check_failed_writes_to_stderr_without_hook(void **state)
{
    struct death death = die_in_child(fail_without_hook);

    (void)state;
    assert_int_equal(death.signal, SIGABRT);
    assert_string_equal(death.words, "a.c:0: b\n");
}

static void fail_twice(void)
{
    dup2(words_fd, STDERR_FILENO);
    check_set_hook(fail_in_hook);
    check_failed("a.c", 1, "first;");
}

static void test_check_failed_calls_the_hook_only_once(void **state)
{
    struct death death = die_in_child(fail_twice);

    (void)state;
    assert_int_equal(death.signal, SIGABRT);
    assert_ptr_equal(strstr(death.words, "a.c:1: first;"), death.words);
    assert_non_null(strstr(death.words, ": words == "));
}

static void fail_at_length(void)
{
    char text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    dup2(words_fd, STDERR_FILENO);
    check_failed("a.c", 1, text);
}

static void test_check_failed_cuts_long_words(void **state)
{
    struct death death = die_in_child(fail_at_length);

    (void)state;
    assert_int_equal(death.signal, SIGABRT);
    assert_in_range(strlen(death.words), 100, 512);
    assert_int_equal(death.words[strlen(death.words) - 1], '\n');
}

static void be_fatal(void)
{
    check_set_hook(write_words);
    check_fatal("b.c", 7, "no %s for %d workers", "memory", 4);
}

static void test_check_fatal_formats_its_words(void **state)
{
    struct death death = die_in_child(be_fatal);

    (void)state;
    assert_int_equal(death.signal, SIGABRT);
    assert_string_equal(death.words, "b.c:7: no memory for 4 workers");
}

static void be_true(void)
{
    check_set_hook(write_words);
    check(words_fd >= 0);
}

static void test_check_does_nothing_when_true(void **state)
{
    struct death death = die_in_child(be_true);

    (void)state;
    assert_int_equal(death.signal, 0);
    assert_string_equal(death.words, "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_failed_tells_the_hook_and_aborts),
        cmocka_unit_test(test_check_failed_writes_to_stderr_without_hook),
        cmocka_unit_test(test_check_failed_calls_the_hook_only_once),
        cmocka_unit_test(test_check_failed_cuts_long_words),
        cmocka_unit_test(test_check_fatal_formats_its_words),
        cmocka_unit_test(test_check_does_nothing_when_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
