#include "master/affinity.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* In a child, so that the test itself stays free. Its exit code: CPUs left. */
static int count_after_pin(unsigned index)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        cpu_set_t set;
        if (affinity_pin(index) != 0 || sched_getaffinity(0, sizeof set, &set) != 0)
            _exit(99);
        _exit(CPU_COUNT(&set));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_affinity_pin_leaves_one_cpu(void **state)
{
    (void)state;
    assert_int_equal(count_after_pin(0), 1);
}

static void test_affinity_pin_counts_round(void **state)
{
    (void)state;
    assert_int_equal(count_after_pin(1000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affinity_pin_leaves_one_cpu),
        cmocka_unit_test(test_affinity_pin_counts_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
