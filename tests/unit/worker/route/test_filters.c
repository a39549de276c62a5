/* The private trie, against topic_matches() on random filters and topics. */
#include "worker/route/filters.h"

#include "common/mqtt/topic.h"
#include "worker/session/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct topic_limits LIMITS = {65535, 65535};

struct fixture {
    struct region region;
    struct session_table table;
    struct filters filters;
    struct session *session;
    unsigned filter_changes;
    unsigned group_changes;
};

static struct fixture fixture;

static void on_filter_change(void *owner, struct filter *filter)
{
    (void)filter;
    ((struct fixture *)owner)->filter_changes++;
}

static void on_group_change(void *owner, struct group *group)
{
    (void)group;
    ((struct fixture *)owner)->group_changes++;
}

static int set_up(void **state)
{
    hash_start();
    memset(&fixture, 0, sizeof(fixture));
    assert_int_equal(region_open(&fixture.region, 1, 65536, false), 0);
    session_table_init(&fixture.table, region_key(&fixture.region), stats_of(&fixture.region, 0));
    filters_init(&fixture.filters, &fixture.region, &fixture);
    fixture.filters.on_filter_change = on_filter_change;
    fixture.filters.on_group_change = on_group_change;
    fixture.session = session_new(&fixture.table, bytes_of("client"));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    filters_remove_all(&f->filters, f->session);
    filters_done(&f->filters);
    session_free(f->session);
    map_done(&f->table.by_client_id);
    region_close(&f->region);
    return 0;
}

static struct subscription *subscribe(struct fixture *f, struct session *session, const char *text)
{
    struct topic_share share;
    assert_int_equal(topic_check_subscription(bytes_of(text), &LIMITS, &share), TOPIC_OK);
    struct subscription *s = filters_find(&f->filters, session, &share, bytes_of(text));
    return s != NULL ? s : filters_add(&f->filters, session, &share, bytes_of(text));
}

static unsigned match(struct fixture *f, const char *topic)
{
    struct filter *found[64];
    return filters_match(&f->filters, bytes_of(topic), found, 64);
}

static void test_filters_match_follows_wildcards(void **state)
{
    struct fixture *f = *state;
    subscribe(f, f->session, "a/+/c");
    subscribe(f, f->session, "a/#");
    subscribe(f, f->session, "#");
    assert_int_equal(match(f, "a/b/c"), 3);
    assert_int_equal(match(f, "a"), 2);
    assert_int_equal(match(f, "b"), 1);
    assert_int_equal(match(f, "$SYS/a"), 0);
}

static void test_filters_remove_all_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    subscribe(f, f->session, "a/b/c/d");
    subscribe(f, f->session, "a/b");
    subscribe(f, f->session, "$share/g/a/b/x");
    filters_remove_all(&f->filters, f->session);
    assert_int_equal(f->filters.nodes.count, 0);
    assert_int_equal(f->filters.groups.count, 0);
}

static void test_filters_tell_only_the_first_and_the_last(void **state)
{
    struct fixture *f = *state;
    struct session *other = session_new(&f->table, bytes_of("other"));
    subscribe(f, f->session, "a");
    assert_int_equal(f->filter_changes, 1);
    subscribe(f, other, "a");
    assert_int_equal(f->filter_changes, 1);
    filters_remove_all(&f->filters, f->session);
    assert_int_equal(f->filter_changes, 1);
    filters_remove_all(&f->filters, other);
    assert_int_equal(f->filter_changes, 2);
    session_free(other);
}

static void test_filters_group_is_apart_from_the_plain_filter(void **state)
{
    struct fixture *f = *state;
    struct subscription *shared = subscribe(f, f->session, "$share/g/t");
    struct subscription *plain = subscribe(f, f->session, "t");
    assert_ptr_not_equal(shared, plain);
    assert_ptr_equal(shared->filter, plain->filter);
    assert_int_equal(match(f, "t"), 1);
    filters_remove(&f->filters, plain);
    assert_int_equal(match(f, "t"), 0);
    assert_non_null(filters_find_group(&f->filters, &shared->group->share->id));
}

static void test_filters_text_gives_the_filter_back(void **state)
{
    static const char *const TEXTS[] = {"a", "/", "a//b", "+/x/#", "/a/"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        uint8_t memory[32];
        struct subscription *s = subscribe(f, f->session, TEXTS[i]);
        assert_true(
            bytes_equal(filters_text(s->filter, memory, sizeof(memory)), bytes_of(TEXTS[i])));
    }
}

static void make_random(char *text, bool wildcards)
{
    static const char *const LEVELS[] = {"a", "b", "", "+", "#"};
    unsigned count = 1 + (unsigned)rand() % 4;
    text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        unsigned pick = (unsigned)rand() % (wildcards ? (i + 1 == count ? 5U : 4U) : 3U);
        if (i > 0)
            strcat(text, "/");
        strcat(text, LEVELS[pick]);
    }
    if (text[0] == '\0')
        strcpy(text, "/");
}

static void test_filters_match_agrees_with_topic_matches(void **state)
{
    enum { FILTERS = 40, TOPICS = 200 };
    struct fixture *f = *state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    char filters[FILTERS][32];
    for (unsigned i = 0; i < FILTERS; i++) {
        make_random(filters[i], true);
        subscribe(f, f->session, filters[i]);
        for (unsigned j = 0; j < i; j++)
            if (strcmp(filters[i], filters[j]) == 0)
                strcpy(filters[i], "never/matches");
    }
    for (unsigned i = 0; i < TOPICS; i++) {
        char topic[32];
        make_random(topic, false);
        unsigned expected = 0;
        for (unsigned j = 0; j < FILTERS; j++)
            expected += topic_matches(bytes_of(filters[j]), bytes_of(topic));
        assert_int_equal(match(f, topic), expected);
    }
}

#define FILTERS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILTERS_TEST(test_filters_match_follows_wildcards),
        FILTERS_TEST(test_filters_remove_all_leaves_nothing),
        FILTERS_TEST(test_filters_tell_only_the_first_and_the_last),
        FILTERS_TEST(test_filters_group_is_apart_from_the_plain_filter),
        FILTERS_TEST(test_filters_text_gives_the_filter_back),
        FILTERS_TEST(test_filters_match_agrees_with_topic_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
