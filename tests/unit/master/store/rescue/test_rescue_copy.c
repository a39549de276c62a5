#include "master/store/rescue/rescue_copy.h"

#include "tests/unit/master/store/durable/durable_fixture.h"

#include "master/store/durable/durable_sum.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { ROWS = 200, SLICE = 1000 };

static const struct durable_clock no_clock = {0};

static int open_folder(const struct durable_fixture *f)
{
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static int close_fixture(void **state)
{
    int fd = open_folder(*state);
    unlinkat(fd, RESCUE_COPY_NAME, 0);
    close(fd);
    return durable_fixture_close(state);
}

static struct durable_env *make_rows(const struct durable_fixture *f)
{
    struct durable_env *env = durable_fixture_env(f);
    for (uint64_t i = 1; i <= ROWS; i++)
        durable_fixture_put(env, durable_key_number(DURABLE_SESSION, i), "content of a row");
    return env;
}

static unsigned make_copy(struct durable_env *env, int folder_fd)
{
    struct rescue_copy copy;
    unsigned steps = 0;
    int r = 0;
    assert_int_equal(rescue_copy_begin(&copy, folder_fd), 0);
    for (; r == 0; steps++)
        r = rescue_copy_step(&copy, env, &no_clock, SLICE);
    assert_int_equal(r, 1);
    return steps;
}

static int count_sound(void *context, struct bytes key, struct bytes value)
{
    unsigned *count = context;
    struct bytes content;
    if (key.data[0] == DURABLE_SESSION && durable_sum_open(key, value, &content) == 0 &&
        bytes_equal(content, bytes_of("content of a row")))
        (*count)++;
    return 0;
}

static unsigned count_copy(int folder_fd)
{
    unsigned count = 0;
    int fd = openat(folder_fd, RESCUE_COPY_NAME, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(rescue_copy_read(fd, count_sound, &count), 0);
    close(fd);
    return count;
}

static void test_rescue_copy_step_makes_it_in_slices(void **state)
{
    struct durable_env *env = make_rows(*state);
    struct rescue_copy_age age;
    struct stat stat;
    int folder_fd = open_folder(*state);
    assert_false(rescue_copy_read_age(folder_fd, &age));
    assert_true(make_copy(env, folder_fd) > 5);
    assert_int_equal(count_copy(folder_fd), ROWS);
    assert_true(rescue_copy_read_age(folder_fd, &age));
    assert_int_equal(fstatat(folder_fd, RESCUE_COPY_NAME, &stat, 0), 0);
    assert_int_equal(age.size, stat.st_size);
    durable_env_close(env);
    close(folder_fd);
}

static void test_rescue_copy_abort_keeps_the_old_one(void **state)
{
    struct durable_env *env = make_rows(*state);
    struct rescue_copy copy;
    int folder_fd = open_folder(*state);
    make_copy(env, folder_fd);
    assert_int_equal(rescue_copy_begin(&copy, folder_fd), 0);
    assert_int_equal(rescue_copy_step(&copy, env, &no_clock, SLICE), 0);
    rescue_copy_abort(&copy);
    rescue_copy_abort(&copy);
    assert_int_equal(count_copy(folder_fd), ROWS);
    assert_int_equal(faccessat(folder_fd, RESCUE_COPY_NAME ".new", F_OK, 0), -1);
    durable_env_close(env);
    close(folder_fd);
}

static void test_rescue_copy_read_goes_on_behind_damage(void **state)
{
    struct durable_env *env = make_rows(*state);
    uint8_t garbage[512];
    int folder_fd = open_folder(*state);
    make_copy(env, folder_fd);
    int fd = openat(folder_fd, RESCUE_COPY_NAME, O_WRONLY);
    memset(garbage, 0xC5, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 2000), sizeof garbage);
    close(fd);
    assert_in_range(count_copy(folder_fd), ROWS - 512 / 30 - 2, ROWS - 1);
    durable_env_close(env);
    close(folder_fd);
}

int main(void)
{
#define FIXTURED(test) cmocka_unit_test_setup_teardown(test, durable_fixture_open, close_fixture)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_rescue_copy_step_makes_it_in_slices),
        FIXTURED(test_rescue_copy_abort_keeps_the_old_one),
        FIXTURED(test_rescue_copy_read_goes_on_behind_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
