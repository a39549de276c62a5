#include "master/privs.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs a check in a process of its own, because there is no way back from it. */
static int exit_code_of(int (*run)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Capabilities in force, the lower 32. */
static unsigned effective(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) < 0 || data[1].effective != 0)
        return ~0U;
    return data[0].effective;
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static int drop_to_nobody(void)
{
    struct privs privs;
    if (privs_find(&privs, "nobody") != 0 || !privs.drop)
        return 1;
    if (privs_drop(&privs) != 0)
        return 2;
    if (getuid() != privs.uid || geteuid() != privs.uid || getegid() != privs.gid)
        return 3;
    if (setuid(0) == 0 || seteuid(0) == 0)
        return 4;
    if (effective() != 0)
        return 5;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 6;
}

static void test_privs_drop_leaves_no_way_back(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(exit_code_of(drop_to_nobody), 0);
}

static int drop_and_tell_dumpable(void)
{
    struct privs privs;
    if (privs_find(&privs, "nobody") != 0 || privs_drop(&privs) != 0)
        return 99;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static int drop_without_core_files(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return drop_and_tell_dumpable();
}

static int drop_with_core_files(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){4096, 4096});
    return drop_and_tell_dumpable();
}

static void test_privs_drop_is_dumpable_only_where_core_files_are_wanted(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(exit_code_of(drop_without_core_files), 0);
    assert_int_equal(exit_code_of(drop_with_core_files), 1);
}

static int limit_and_drop(void)
{
    struct privs privs;
    if (privs_find(&privs, NULL) != 0 || privs_limit_master() != 0)
        return 1;
    if ((effective() & (1U << CAP_SYS_ADMIN)) != 0 || (effective() & (1U << CAP_SETUID)) == 0)
        return 2;
    return privs_drop(&privs) == 0 && effective() == 0 ? 0 : 3;
}

/* The order of the real thing: the master limits itself, then forks. */
static void test_privs_drop_works_after_privs_limit_master(void **state)
{
    (void)state;
    need_root();
    assert_int_equal(exit_code_of(limit_and_drop), 0);
}

static void test_privs_find_refuses_unknown_account(void **state)
{
    (void)state;
    struct privs privs;
    need_root();
    assert_int_equal(privs_find(&privs, "no such account"), -ENOENT);
}

static void test_privs_find_stays_root_when_told_so(void **state)
{
    (void)state;
    struct privs privs;
    need_root();
    assert_int_equal(privs_find(&privs, "root"), 0);
    assert_false(privs.drop);
}

static int raise_files(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 100;
    setrlimit(RLIMIT_NOFILE, &limit);
    return privs_raise_files() == (unsigned long)limit.rlim_max ? 0 : 1;
}

static int raise_locked_memory(void)
{
    struct rlimit limit;
    privs_raise_locked_memory();
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == limit.rlim_max ? 0 : 1;
}

static void test_privs_raise_locked_memory_reaches_hard_limit(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(raise_locked_memory), 0);
}

static void test_privs_raise_files_reaches_hard_limit(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(raise_files), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privs_drop_leaves_no_way_back),
        cmocka_unit_test(test_privs_drop_is_dumpable_only_where_core_files_are_wanted),
        cmocka_unit_test(test_privs_drop_works_after_privs_limit_master),
        cmocka_unit_test(test_privs_find_refuses_unknown_account),
        cmocka_unit_test(test_privs_find_stays_root_when_told_so),
        cmocka_unit_test(test_privs_raise_files_reaches_hard_limit),
        cmocka_unit_test(test_privs_raise_locked_memory_reaches_hard_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
