#include "common/mqtt/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct topic_limits standard = {.size_max = UINT16_MAX, .levels_max = UINT16_MAX};
static const struct topic_limits small = {.size_max = 8, .levels_max = 3};

struct check_row {
    const char *text;
    enum topic_check wanted;
};

static void test_check_name_follows_the_table(void **state)
{
    static const struct check_row rows[] = {
        {"a", TOPIC_OK},
        {"/", TOPIC_OK},
        {"a//b", TOPIC_OK},
        {"$SYS/x", TOPIC_OK},
        {"a b", TOPIC_OK},
        {"", TOPIC_MALFORMED},          /* [MQTT-4.7.3-1] */
        {"a/#", TOPIC_MALFORMED},       /* [MQTT-3.3.2-2] */
        {"a+", TOPIC_MALFORMED},        /* [MQTT-4.7.0-1] */
        {"a/\xC3\x28", TOPIC_MALFORMED} /* [MQTT-3.3.2-1] */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (topic_check_name(bytes_of(rows[i].text), &standard) != rows[i].wanted)
            fail_msg("name %s", rows[i].text);
    }
}

static void test_check_filter_follows_the_table(void **state)
{
    static const struct check_row rows[] = {
        {"a", TOPIC_OK},
        {"#", TOPIC_OK},
        {"a/#", TOPIC_OK},
        {"/#", TOPIC_OK},
        {"+", TOPIC_OK},
        {"+/+", TOPIC_OK},
        {"/+", TOPIC_OK},
        {"+/a/#", TOPIC_OK},
        {"a//+/b", TOPIC_OK},
        {"$SYS/#", TOPIC_OK},
        {"", TOPIC_MALFORMED},   /* [MQTT-4.7.3-1] */
        {"a#", TOPIC_MALFORMED}, /* [MQTT-4.7.1-1] */
        {"##", TOPIC_MALFORMED},
        {"#/a", TOPIC_MALFORMED},
        {"a/#/b", TOPIC_MALFORMED},
        {"a+", TOPIC_MALFORMED}, /* [MQTT-4.7.1-2] */
        {"+a", TOPIC_MALFORMED},
        {"++", TOPIC_MALFORMED},
        {"+#", TOPIC_MALFORMED},
        {"a/b+/c", TOPIC_MALFORMED},
        {"\xED\xA0\x80", TOPIC_MALFORMED} /* [MQTT-3.8.3-1] */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (topic_check_filter(bytes_of(rows[i].text), &standard) != rows[i].wanted)
            fail_msg("filter %s", rows[i].text);
    }
}

static void test_check_keeps_to_the_limits(void **state)
{
    (void)state;
    assert_int_equal(topic_check_name(bytes_of("a/b/c678"), &small), TOPIC_OK);
    assert_int_equal(topic_check_name(bytes_of("a/b/c6789"), &small), TOPIC_OVER_LIMIT);
    assert_int_equal(topic_check_name(bytes_of("a/b/c/"), &small), TOPIC_OVER_LIMIT);
    assert_int_equal(topic_check_filter(bytes_of("a/b/#"), &small), TOPIC_OK);
    assert_int_equal(topic_check_filter(bytes_of("a/b/c/#"), &small), TOPIC_OVER_LIMIT);
    /* A wrong one is wrong however long it is. */
    assert_int_equal(topic_check_filter(bytes_of("a/b/c/d/#/e"), &small), TOPIC_MALFORMED);
}

static void test_check_subscription_takes_shares_apart(void **state)
{
    static const struct {
        const char *text;
        const char *group;
        const char *filter;
    } rows[] = {
        {"a/b", "", "a/b"},
        {"$share/g/t", "g", "t"},
        {"$share/g/#", "g", "#"},
        {"$share/g//finance", "g", "/finance"},
        {"$share/g/$SYS/#", "g", "$SYS/#"},
        {"$share", "", "$share"},
        {"$shared/g/t", "", "$shared/g/t"},
        {"x/$share/g/t", "", "x/$share/g/t"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct topic_share share;
        enum topic_check result =
            topic_check_subscription(bytes_of(rows[i].text), &standard, &share);
        if (result != TOPIC_OK || !bytes_equal(share.group, bytes_of(rows[i].group)) ||
            !bytes_equal(share.filter, bytes_of(rows[i].filter)))
            fail_msg("subscription %s", rows[i].text);
    }
}

static void test_check_subscription_refuses(void **state)
{
    static const char *const rows[] = {
        "",           "a#",          "$share/",       "$share//t",     "$share/g",
        "$share/g/",  "$share/+/t",  "$share/g#/t",   "$share/g/a#",   "$share/#",
        "$share/g+/", "$share/g/#/", "$share/g/\xFF", "$share/\xC3/t", "$share/g/a/+b",
    };
    struct topic_share share;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (topic_check_subscription(bytes_of(rows[i]), &standard, &share) != TOPIC_MALFORMED)
            fail_msg("accepted %s", rows[i]);
    }
    /* The group counts for the size, not for the levels. */
    struct topic_limits limits = {.size_max = 14, .levels_max = 3};
    assert_int_equal(topic_check_subscription(bytes_of("$share/g/a/b/c"), &limits, &share),
                     TOPIC_OK);
    assert_int_equal(topic_check_subscription(bytes_of("$share/gg/a/b/c"), &limits, &share),
                     TOPIC_OVER_LIMIT);
}

static void test_next_level_walks_all_levels(void **state)
{
    static const char *const wanted[] = {"", "a", "", "bc", ""};
    struct topic_levels levels = topic_levels(bytes_of("/a//bc/"));
    struct bytes level;

    (void)state;
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_true(topic_next_level(&levels, &level));
        assert_true(bytes_equal(level, bytes_of(wanted[i])));
    }
    assert_false(topic_next_level(&levels, &level));
    assert_false(topic_next_level(&levels, &level));
    levels = topic_levels((struct bytes){NULL, 0});
    assert_false(topic_next_level(&levels, &level));
}

static void test_predicates_look_at_whole_levels(void **state)
{
    (void)state;
    assert_true(topic_level_is_plus(bytes_of("+")));
    assert_false(topic_level_is_plus(bytes_of("++")));
    assert_false(topic_level_is_plus(bytes_of("")));
    assert_true(topic_level_is_hash(bytes_of("#")));
    assert_false(topic_level_is_hash(bytes_of("a")));
    assert_true(topic_is_dollar(bytes_of("$SYS")));
    assert_false(topic_is_dollar(bytes_of("a/$b")));
    assert_false(topic_is_dollar((struct bytes){NULL, 0}));
    assert_true(topic_has_wildcard(bytes_of("a/+/b")));
    assert_true(topic_has_wildcard(bytes_of("a/#")));
    assert_false(topic_has_wildcard(bytes_of("a/b")));
    assert_false(topic_has_wildcard((struct bytes){NULL, 0}));
    assert_true(bytes_equal(topic_first_level(bytes_of("ab/c")), bytes_of("ab")));
    assert_int_equal(topic_first_level(bytes_of("/a")).size, 0);
}

static void test_matches_follows_the_table(void **state)
{
    static const struct {
        const char *filter;
        const char *name;
        bool wanted;
    } rows[] = {
        {"a/b", "a/b", true},
        {"a/b", "a/bc", false},
        {"a/bc", "a/b", false},
        {"a/+/b", "a//b", true}, /* empty levels */
        {"a/b", "a//b", false},
        {"+/+", "/", true},
        {"+", "/", false},
        {"+/+/+", "//", true},
        {"a/#", "a", true}, /* the parent */
        {"a/#", "a/", true},
        {"a/#", "ab", false},
        {"a/#", "a/b/c", true},
        {"+/#", "a", true},
        {"a/+", "a", false},
        {"a/+", "a/", true},
        {"a/+", "a/b/c", false},
        {"#", "a/b", true},
        {"#", "/", true},
        {"/#", "/", true},
        {"/#", "a", false},
        {"#", "$SYS/x", false}, /* [MQTT-4.7.2-1] */
        {"+/x", "$SYS/x", false},
        {"+/#", "$SYS/x", false},
        {"$SYS/#", "$SYS/x", true},
        {"$SYS/+", "$SYS/x", true},
        {"a/+", "a/$b", true},
        {"A", "a", false}, /* [MQTT-4.7.3-4] */
        {"e\xCC\x81", "\xC3\xA9", false},
        {"a",
         "\xEF\xBB\xBF"
         "a",
         false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (topic_matches(bytes_of(rows[i].filter), bytes_of(rows[i].name)) != rows[i].wanted)
            fail_msg("%s against %s", rows[i].filter, rows[i].name);
    }
}

/* The rules as the standard tells them, level by level. */
static bool naive_levels(const char *filter, const char *name)
{
    if (strcmp(filter, "#") == 0)
        return true;
    if (name == NULL)
        return false;
    size_t f = strcspn(filter, "/");
    size_t n = strcspn(name, "/");
    bool same = (f == 1 && filter[0] == '+') || (f == n && strncmp(filter, name, n) == 0);
    const char *name_rest = name[n] == '/' ? name + n + 1 : NULL;
    if (!same)
        return false;
    return filter[f] == '/' ? naive_levels(filter + f + 1, name_rest) : name_rest == NULL;
}

static bool naive_matches(const char *filter, const char *name)
{
    if (name[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    return naive_levels(filter, name);
}

enum { RANDOM_SIZE = 9 };

static void fill_random(char *text, const char *alphabet)
{
    size_t size = 1 + (size_t)random() % (RANDOM_SIZE - 1);

    for (size_t i = 0; i < size; i++)
        text[i] = alphabet[(size_t)random() % strlen(alphabet)];
    text[size] = '\0';
}

static void test_matches_agrees_with_naive_matcher(void **state)
{
    char filter[RANDOM_SIZE];
    char name[RANDOM_SIZE];
    unsigned compared = 0;

    (void)state;
    srandom(1);
    for (unsigned i = 0; i < 3000000; i++) {
        fill_random(filter, "a//b+#$");
        if (topic_check_filter(bytes_of(filter), &standard) != TOPIC_OK)
            continue;
        fill_random(name, "a//b$");
        compared++;
        if (topic_matches(bytes_of(filter), bytes_of(name)) != naive_matches(filter, name))
            fail_msg("%s against %s", filter, name);
    }
    assert_true(compared > 100000);
}

static void test_depth_of_65535_slashes_is_no_trouble(void **state)
{
    uint8_t *slashes = malloc(UINT16_MAX);
    uint8_t *pluses = malloc(UINT16_MAX);
    struct bytes name = {slashes, UINT16_MAX};
    struct bytes filter = {pluses, UINT16_MAX};
    struct topic_levels levels = topic_levels(name);
    struct bytes level;
    unsigned count = 0;

    (void)state;
    memset(slashes, '/', UINT16_MAX);
    for (size_t i = 0; i < UINT16_MAX; i++)
        pluses[i] = i % 2 == 0 ? '+' : '/';
    while (topic_next_level(&levels, &level))
        count++;
    assert_int_equal(count, UINT16_MAX + 1);
    assert_int_equal(topic_check_name(name, &standard), TOPIC_OVER_LIMIT);
    assert_int_equal(topic_check_filter(filter, &standard), TOPIC_OK);
    assert_true(topic_matches(name, name));
    assert_false(topic_matches(filter, name));
    assert_true(topic_matches(filter, filter));
    assert_true(topic_matches(bytes_of("+/#"), name));
    free(slashes);
    free(pluses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_name_follows_the_table),
        cmocka_unit_test(test_check_filter_follows_the_table),
        cmocka_unit_test(test_check_keeps_to_the_limits),
        cmocka_unit_test(test_check_subscription_takes_shares_apart),
        cmocka_unit_test(test_check_subscription_refuses),
        cmocka_unit_test(test_next_level_walks_all_levels),
        cmocka_unit_test(test_predicates_look_at_whole_levels),
        cmocka_unit_test(test_matches_follows_the_table),
        cmocka_unit_test(test_matches_agrees_with_naive_matcher),
        cmocka_unit_test(test_depth_of_65535_slashes_is_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
