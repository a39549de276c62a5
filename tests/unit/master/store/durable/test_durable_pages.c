#include "tests/unit/master/store/durable/durable_fixture.h"

#include <fcntl.h>
#include <inttypes.h>

/* What the kernel says that this process has written. Of a meta page only a few bytes
 * are written, so commits are counted beside. */
static uint64_t bytes_written(void)
{
    char text[400] = "";
    uint64_t count;
    int fd = open("/proc/self/io", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        skip();
    close(fd);
    const char *line = strstr(text, "wchar: ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "wchar: %" SCNu64, &count), 1);
    return count;
}

/* Puts and deletes that let the tree grow and shrink, with values of many sizes. */
static void change_some(struct durable_env *env, unsigned round)
{
    static const uint8_t memory[20000];
    assert_int_equal(durable_env_begin(env), 0);
    for (unsigned i = 0; i < 1 + round % 40; i++) {
        uint64_t number = (round * 7919 + i * 104729) % 997;
        struct durable_key key = durable_key_number(DURABLE_WILL, number);
        size_t size = number % 5 == 0 ? sizeof memory : number % 900;
        if ((round / 100) % 2 == 0)
            assert_int_equal(durable_env_put(env, &key, (struct bytes){memory, size}), 0);
        else
            (void)durable_env_delete(env, &key);
    }
    assert_int_equal(durable_env_commit(env), 0);
}

static void test_durable_pages_look_counts_what_is_written(void **state)
{
    enum { PAGE = 4096, ROUNDS = 600 };
    struct durable_env *env = durable_fixture_env(*state);
    uint64_t kernel = bytes_written();
    uint64_t ours = durable_env_written(env);
    for (unsigned i = 0; i < ROUNDS; i++)
        change_some(env, i);
    kernel = bytes_written() - kernel;
    ours = durable_env_written(env) - ours - ROUNDS * (uint64_t)PAGE;
    assert_in_range(ours, kernel - kernel / 50, kernel + kernel / 50);
    durable_env_close(env);
}

static void test_durable_pages_look_counts_what_is_in_use(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    uint64_t empty = durable_env_used(env);
    for (unsigned i = 0; i < 100; i++)
        change_some(env, i);
    uint64_t full = durable_env_used(env);
    assert_true(full > empty + 100 * 20000);
    durable_env_close(env);
    env = durable_fixture_env(*state);
    assert_int_equal(durable_env_used(env), full);
    durable_env_close(env);
}

int main(void)
{
#define FIXTURED(test) \
    cmocka_unit_test_setup_teardown(test, durable_fixture_open, durable_fixture_close)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_durable_pages_look_counts_what_is_written),
        FIXTURED(test_durable_pages_look_counts_what_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
