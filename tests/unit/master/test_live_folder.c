#include "master/live_folder.h"

#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

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
    strcpy(location, "/dev/shm/live-folder-XXXXXX");
    *state = location;
    return mkdtemp(location) == NULL ? -1 : 0;
}

static int close_location(void **state)
{
    return rmdir(*state);
}

static int open_in(struct live_folder *folder, const char *location)
{
    return live_folder_open(folder, location, MIB, geteuid(), getegid());
}

static void put_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void test_live_folder_open_makes_private_folder(void **state)
{
    struct live_folder folder;
    struct stat status;
    assert_int_equal(open_in(&folder, *state), 0);
    assert_int_equal(stat(folder.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(folder.size_max, MIB);
    put_file(folder.path, "data.mdb");
    put_file(folder.path, "lock.mdb");
    live_folder_close(&folder);
    live_folder_close(&folder);
}

static void test_live_folder_open_keeps_folder_of_living_broker(void **state)
{
    struct live_folder first;
    struct live_folder second;
    assert_int_equal(open_in(&first, *state), 0);
    assert_int_equal(open_in(&second, *state), 0);
    assert_int_equal(access(first.path, F_OK), 0);
    live_folder_close(&second);
    live_folder_close(&first);
}

/* Opens a folder and dies without closing it. */
static void die_with_folder(const char *location)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct live_folder folder;
        if (open_in(&folder, location) != 0)
            _exit(1);
        put_file(folder.path, "data.mdb");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_live_folder_open_removes_folder_of_dead_broker(void **state)
{
    struct live_folder folder;
    struct stat status;
    die_with_folder(*state);
    die_with_folder(*state);
    assert_int_equal(open_in(&folder, *state), 0);
    assert_int_equal(stat(*state, &status), 0);
    assert_int_equal(status.st_nlink, 3); /* itself, its parent's entry, ours */
    live_folder_close(&folder);
}

static void test_live_folder_open_leaves_what_is_not_ours(void **state)
{
    struct live_folder folder;
    char link[128];
    char file[128];
    char other[128];
    snprintf(link, sizeof link, "%s/courtier-1.link", (char *)*state);
    snprintf(file, sizeof file, "%s/courtier-2.file", (char *)*state);
    snprintf(other, sizeof other, "%s/courtier-test", (char *)*state);
    assert_int_equal(symlink("/tmp", link), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    put_file(*state, "courtier-2.file");
    assert_int_equal(open_in(&folder, *state), 0);
    live_folder_close(&folder);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(other), 0);
}

static void test_live_folder_open_limits_size_to_what_is_free(void **state)
{
    struct live_folder folder;
    assert_int_equal(live_folder_open(&folder, *state, UINT64_MAX, geteuid(), getegid()), 0);
    assert_true(folder.size_max < UINT64_MAX);
    assert_int_equal(folder.size_max % 65536, 0);
    live_folder_close(&folder);
}

static void test_live_folder_open_names_missing_location(void **state)
{
    (void)state;
    struct live_folder folder;
    assert_int_equal(open_in(&folder, "/nonexistent"), -ENOENT);
    live_folder_close(&folder);
}

int main(void)
{
#define LOCATED(test) cmocka_unit_test_setup_teardown(test, open_location, close_location)
    const struct CMUnitTest tests[] = {
        LOCATED(test_live_folder_open_makes_private_folder),
        LOCATED(test_live_folder_open_keeps_folder_of_living_broker),
        LOCATED(test_live_folder_open_removes_folder_of_dead_broker),
        LOCATED(test_live_folder_open_leaves_what_is_not_ours),
        LOCATED(test_live_folder_open_limits_size_to_what_is_free),
        LOCATED(test_live_folder_open_names_missing_location),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
