#include "master/pid_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int make_path(void **state)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/pid-file-%ld", (long)getpid());
    unlink(path);
    *state = path;
    return 0;
}

static void test_pid_file_open_writes_own_id(void **state)
{
    const char *path = *state;
    long pid = 0;
    assert_int_equal(pid_file_open(path), 0);
    FILE *file = fopen(path, "r");
    assert_int_equal(fscanf(file, "%ld", &pid), 1);
    fclose(file);
    assert_int_equal(pid, getpid());
    pid_file_close(path);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_pid_file_close_keeps_file_of_other_process(void **state)
{
    const char *path = *state;
    FILE *file = fopen(path, "w");
    fprintf(file, "1\n");
    fclose(file);
    pid_file_close(path);
    assert_int_equal(unlink(path), 0);
}

static void test_pid_file_open_follows_no_link(void **state)
{
    const char *path = *state;
    assert_int_equal(symlink("/tmp/pid-file-target", path), 0);
    assert_int_equal(pid_file_open(path), -ELOOP);
    assert_int_equal(unlink(path), 0);
}

static void test_pid_file_open_fails_without_folder(void **state)
{
    (void)state;
    assert_int_equal(pid_file_open("/nonexistent/pid"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pid_file_open_writes_own_id, make_path),
        cmocka_unit_test_setup(test_pid_file_close_keeps_file_of_other_process, make_path),
        cmocka_unit_test_setup(test_pid_file_open_follows_no_link, make_path),
        cmocka_unit_test(test_pid_file_open_fails_without_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
