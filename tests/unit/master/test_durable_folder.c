#include "master/durable_folder.h"

#include "common/base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

static int open_location(void **state)
{
    static char location[64];
    log_set_sink(drop_line, NULL);
    strcpy(location, "/tmp/durable-folder-XXXXXX");
    *state = location;
    return mkdtemp(location) == NULL ? -1 : 0;
}

static int close_location(void **state)
{
    return rmdir(*state);
}

static void test_durable_folder_open_makes_private_folder(void **state)
{
    const char *location = *state;
    uid_t uid = geteuid() == 0 ? 12345 : geteuid();
    gid_t gid = geteuid() == 0 ? 12346 : getegid();
    struct stat status;
    char *path;
    assert_int_equal(durable_folder_open(&path, location, uid, gid), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(status.st_uid, uid);
    assert_int_equal(status.st_gid, gid);
    rmdir(path);
    free(path);
}

static void test_durable_folder_open_takes_what_is_there(void **state)
{
    char location[80];
    char *first;
    char *second;
    snprintf(location, sizeof location, "%s/", (const char *)*state);
    assert_int_equal(durable_folder_open(&first, *state, geteuid(), getegid()), 0);
    assert_int_equal(durable_folder_open(&second, location, geteuid(), getegid()), 0);
    assert_string_equal(first, second);
    rmdir(first);
    free(first);
    free(second);
}

static void test_durable_folder_open_refuses_missing_location(void **state)
{
    char *path;
    (void)state;
    assert_int_equal(durable_folder_open(&path, "/nonexistent", geteuid(), getegid()), -ENOENT);
    assert_null(path);
}

int main(void)
{
#define LOCATED(test) cmocka_unit_test_setup_teardown(test, open_location, close_location)
    const struct CMUnitTest tests[] = {
        LOCATED(test_durable_folder_open_makes_private_folder),
        LOCATED(test_durable_folder_open_takes_what_is_there),
        LOCATED(test_durable_folder_open_refuses_missing_location),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
