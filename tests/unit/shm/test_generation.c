#include "shm/generation.h"

#include "tests/unit/shm/shm_fixture.h"

/* Does raising `filter` make a route of topic `name` stale? */
static bool is_stale_after(const struct region *region, const char *filter, const char *name)
{
    uint32_t hash = generation_hash(region, bytes_of(name));
    struct generation before = generation_read(region, hash);
    struct generation after;

    generation_raise_filter(region, bytes_of(filter));
    after = generation_read(region, hash);
    return before.level != after.level || before.wildcard != after.wildcard;
}

/* Each filter makes routes of the name stale. */
static const struct {
    const char *filter;
    const char *name;
} rows[] = {
    {"a", "a"},   {"a", "a/b"},   {"a/b", "a"}, {"a/#", "a/b/c"}, {"a/+/c", "a"},       {"+", "a"},
    {"#", "a/b"}, {"+/b", "x/b"}, {"/b", "/c"}, {"#", "/"},       {"$SYS/x", "$SYS/y"},
};

static void test_generation_raise_filter(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(is_stale_after(&f.region, rows[i].filter, rows[i].name));
    fixture_close(&f);
}

/* Two names may share a generation by chance; hardly many of them. */
static void test_generation_raise_filter_leaves_others(void **state)
{
    struct fixture f;
    const char *names[] = {"b", "c", "d", "ab", "b/a", "/a", "$SYS/a", "a b"};
    unsigned stale = 0;

    (void)state;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        stale += is_stale_after(&f.region, "a/+", names[i]);
    assert_true(stale <= 2);
    fixture_close(&f);
}

static void test_generation_raise_all(void **state)
{
    struct fixture f;
    struct generation before;
    uint32_t hash;

    (void)state;
    fixture_open(&f);
    hash = generation_hash(&f.region, bytes_of("a/b"));
    before = generation_read(&f.region, hash);
    generation_raise_all(&f.region);
    assert_int_not_equal(generation_read(&f.region, hash).wildcard, before.wildcard);
    fixture_close(&f);
}

static void test_generation_raise_live(void **state)
{
    struct fixture f;
    uint32_t before;

    (void)state;
    fixture_open(&f);
    before = generation_live(&f.region);
    generation_raise_live(&f.region);
    assert_int_equal(generation_live(&f.region), before + 1);
    generation_raise_filter(&f.region, bytes_of("a"));
    assert_int_equal(generation_live(&f.region), before + 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generation_raise_filter),
        cmocka_unit_test(test_generation_raise_filter_leaves_others),
        cmocka_unit_test(test_generation_raise_all),
        cmocka_unit_test(test_generation_raise_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
