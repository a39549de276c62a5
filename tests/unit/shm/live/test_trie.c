#include "shm/live/trie.h"

#include "shm/live/live_internal.h"
#include "shm/live/trie_key.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int setup(void **state)
{
    static struct fixture fixture;
    *state = &fixture;
    int r = fixture_open(&fixture, FIXTURE_MAP);
    return r != 0 ? r : live_begin(fixture.live);
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void set(struct fixture *f, const char *filter, unsigned worker)
{
    bool changed;
    assert_int_equal(trie_set(f->live, bytes_of(filter), worker, true, false, &changed), 0);
    assert_true(changed);
}

static void unset(struct fixture *f, const char *filter, unsigned worker)
{
    bool changed;
    assert_int_equal(trie_set(f->live, bytes_of(filter), worker, false, false, &changed), 0);
    assert_true(changed);
}

static struct trie_match match(struct fixture *f, const char *topic)
{
    struct trie_match m;
    assert_int_equal(trie_match(f->live, bytes_of(topic), 0, &m), 0);
    return m;
}

static void assert_empty(struct fixture *f)
{
    assert_true(fixture_is_empty(f, LIVE_TRIE, LIVE_GROUP));
}

static struct hash128 group_id(uint32_t number)
{
    struct hash128 id = {{0}};
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

static void test_trie_match_of_empty_trie(void **state)
{
    struct trie_match m = match(*state, "a/b");
    assert_int_equal(m.any, 0);
    assert_int_equal(m.group_count, 0);
    assert_false(m.cut);
}

static void test_trie_match_table(void **state)
{
    static const struct {
        const char *filter;
        const char *topic;
        bool matches;
    } rows[] = {
        {"a", "a", true},           {"a", "b", false},          {"a", "a/b", false},
        {"a/b", "a/b", true},       {"a/+", "a/b", true},       {"a/+", "a", false},
        {"a/+", "a/", true},        {"+", "a", true},           {"+", "/a", false},
        {"+/+", "/a", true},        {"/+", "/a", true},         {"/+", "/", true},
        {"#", "a", true},           {"#", "/", true},           {"a/#", "a", true},
        {"a/#", "a/b/c", true},     {"a/#", "ab", false},       {"+/#", "a", true},
        {"a/+/#", "a", false},      {"a/+/#", "a/b", true},     {"+/b/#", "a/b/c/d", true},
        {"#", "$SYS/x", false},     {"+/x", "$SYS/x", false},   {"$SYS/#", "$SYS/x", true},
        {"$SYS/+", "$SYS/x", true}, {"a//b", "a//b", true},     {"a/+/b", "a//b", true},
        {"a/b/c", "a/b", false},    {"+/+/+", "a/b", false},    {"a/$x", "a/$x", true},
        {"a/+", "a/$x", true},      {"$share", "$share", true},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set(f, rows[i].filter, 3);
        struct trie_match m = match(f, rows[i].topic);
        if ((m.any == 1U << 3) != rows[i].matches)
            fail_msg("row %zu", i);
        assert_false(m.cut);
        unset(f, rows[i].filter, 3);
        assert_empty(f);
    }
}

static void test_trie_set_says_what_changed(void **state)
{
    struct fixture *f = *state;
    static const struct {
        bool any;
        bool persistent;
        bool changes;
    } rows[] = {
        {false, false, false}, {true, false, true}, {true, false, false}, {true, true, true},
        {true, true, false},   {true, false, true}, {false, false, true}, {false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool changed;
        assert_int_equal(
            trie_set(f->live, bytes_of("a/b"), 63, rows[i].any, rows[i].persistent, &changed), 0);
        assert_int_equal(changed, rows[i].changes);
        struct trie_match m = match(f, "a/b");
        assert_true(m.any == (uint64_t)rows[i].any << 63);
        assert_true(m.persistent == (uint64_t)rows[i].persistent << 63);
    }
    assert_empty(f);
}

static void test_trie_set_keeps_what_others_use(void **state)
{
    struct fixture *f = *state;
    set(f, "a/b/c", 1);
    set(f, "a/b", 2);
    set(f, "a/b/c/d/e", 3);
    set(f, "a/x", 4);
    unset(f, "a/b/c/d/e", 3);
    assert_int_equal(match(f, "a/b/c").any, 1 << 1);
    unset(f, "a/b", 2);
    assert_int_equal(match(f, "a/b/c").any, 1 << 1);
    unset(f, "a/b/c", 1);
    assert_int_equal(match(f, "a/x").any, 1 << 4);
    unset(f, "a/x", 4);
    assert_empty(f);
}

static void test_trie_set_of_unknown_filter_changes_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "a/b/c", 1);
    static const char *const filters[] = {"a", "a/b", "a/b/c", "a/b/c/d", "x", "+", "#"};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        bool changed = true;
        assert_int_equal(trie_set(f->live, bytes_of(filters[i]), 2, false, false, &changed), 0);
        assert_false(changed);
    }
    assert_int_equal(match(f, "a/b/c").any, 1 << 1);
}

static void test_trie_names_at_the_key_limit(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {
        0, 1, TRIE_KEY_NAME_MAX - 1, TRIE_KEY_NAME_MAX, TRIE_KEY_NAME_MAX + 1, 511, 4096, 65000};
    static char filter[65536];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(filter, 'n', sizes[i]);
        snprintf(filter + sizes[i], sizeof filter - sizes[i], "/x/%zu", i);
        set(f, filter, (unsigned)i);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(filter, 'n', sizes[i]);
        snprintf(filter + sizes[i], sizeof filter - sizes[i], "/x/%zu", i);
        assert_int_equal(match(f, filter).any, 1U << i);
        unset(f, filter, (unsigned)i);
    }
    assert_empty(f);
}

/* 32768 levels: the whole of what a filter can be. */
static void test_trie_deepest_filter(void **state)
{
    struct fixture *f = *state;
    static char filter[65536];
    for (size_t i = 0; i < 65535; i++) {
        filter[i] = i % 2 == 0 ? 'a' : '/';
    }
    set(f, filter, 5);
    struct trie_match m = match(f, filter);
    assert_false(m.cut);
    assert_int_equal(m.any, 1 << 5);
    for (size_t i = 0; i < 65535; i += 2) {
        filter[i] = '+';
    }
    set(f, filter, 6);
    for (size_t i = 0; i < 65535; i += 2) {
        filter[i] = 'a';
    }
    m = match(f, filter);
    assert_true(m.any & 1 << 5);
    unset(f, filter, 5);
    m = match(f, filter);
    assert_true(m.cut || m.any == 1 << 6);
    for (size_t i = 0; i < 65535; i += 2) {
        filter[i] = '+';
    }
    unset(f, filter, 6);
    assert_empty(f);
}

/* All mixes of "+" and a literal on 12 levels match 4096 filters: more than a
 * match may look for. */
static void test_trie_wildcard_explosion_is_bounded(void **state)
{
    struct fixture *f = *state;
    for (unsigned mix = 0; mix < 1U << 12; mix++) {
        char filter[64];
        size_t size = 0;
        for (unsigned level = 0; level < 16; level++) {
            filter[size++] = mix >> level & 1 ? '+' : 'a';
            filter[size++] = '/';
        }
        filter[size - 1] = 0;
        set(f, filter, mix % 64);
    }
    struct trie_match m = match(f, "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
    assert_true(m.cut);
    assert_int_not_equal(m.any, 0);
}

static void test_trie_set_group_gives_online_members_first(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = group_id(1);
    bool changed;
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/+"), &id, 1, (struct trie_weight){0, 5}, &changed), 0);
    assert_true(changed);
    assert_int_equal(match(f, "a/b").groups[0].worker, 1);
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/+"), &id, 2, (struct trie_weight){1, 0}, &changed), 0);
    assert_true(changed);
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/+"), &id, 2, (struct trie_weight){1, 0}, &changed), 0);
    assert_false(changed);
    for (uint32_t turn = 0; turn < 100; turn++) {
        struct trie_match m;
        assert_int_equal(trie_match(f->live, bytes_of("a/b"), turn, &m), 0);
        assert_int_equal(m.any, 0);
        assert_int_equal(m.group_count, 1);
        assert_memory_equal(&m.groups[0].id, &id, sizeof id);
        assert_int_equal(m.groups[0].worker, 2);
        assert_int_equal(m.groups[0].online, 1 << 2);
        assert_int_equal(m.groups[0].any, 1 << 1 | 1 << 2);
    }
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/+"), &id, 2, (struct trie_weight){0, 0}, &changed), 0);
    assert_int_equal(match(f, "a/b").groups[0].worker, 1);
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/+"), &id, 1, (struct trie_weight){0, 0}, &changed), 0);
    assert_empty(f);
}

static void test_trie_match_picks_by_weight(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = group_id(1);
    static const uint32_t weights[] = {1, 0, 10, 100, 889};
    bool changed;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(trie_set_group(f->live, bytes_of("a"), &id, i,
                                        (struct trie_weight){weights[i], i == 1}, &changed),
                         0);
    }
    uint32_t picked[5] = {0};
    for (uint32_t turn = 0; turn < 10000; turn++) {
        struct trie_match m;
        assert_int_equal(trie_match(f->live, bytes_of("a"), turn * 3, &m), 0);
        picked[m.groups[0].worker]++;
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_in_range(picked[i] + 5, weights[i] * 10, weights[i] * 10 + 10);
    }
}

static void test_trie_match_picks_among_largest_weights(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = group_id(7);
    bool changed;
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(trie_set_group(f->live, bytes_of("a"), &id, i,
                                        (struct trie_weight){UINT32_MAX, UINT32_MAX}, &changed),
                         0);
    }
    uint64_t picked = 0;
    for (uint32_t turn = 0; turn < 300; turn++) {
        struct trie_match m;
        assert_int_equal(trie_match(f->live, bytes_of("a"), turn, &m), 0);
        picked |= UINT64_C(1) << m.groups[0].worker;
    }
    assert_true(picked == UINT64_MAX);
}

static void test_trie_match_cuts_too_many_groups(void **state)
{
    struct fixture *f = *state;
    bool changed;
    for (uint32_t i = 0; i <= TRIE_GROUPS_MAX; i++) {
        struct hash128 id = group_id(i + 1);
        assert_int_equal(
            trie_set_group(f->live, bytes_of("a/#"), &id, 0, (struct trie_weight){1, 0}, &changed),
            0);
    }
    struct trie_match m = match(f, "a");
    assert_int_equal(m.group_count, TRIE_GROUPS_MAX);
    assert_true(m.cut);
}

/* The walk goes on rightly where others add and remove between its steps. */
static void test_trie_clear_step_among_changes(void **state)
{
    struct fixture *f = *state;
    char filter[40];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(filter, sizeof filter, "a/%u/b/%u", i / 10, i);
        set(f, filter, 1);
        if (i % 3 == 0)
            set(f, filter, 2);
    }
    struct trie_clear *clear = trie_clear_new(1);
    bool changed;
    unsigned step = 0;
    while (trie_clear_step(f->live, clear, 4, &changed) == -EAGAIN) {
        snprintf(filter, sizeof filter, "a/%u/b/%u", step % 300 / 10, step % 300);
        assert_int_equal(trie_set(f->live, bytes_of(filter), 2, step % 2 == 0, false, &changed), 0);
        step++;
    }
    trie_clear_free(clear);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(filter, sizeof filter, "a/%u/b/%u", i / 10, i);
        assert_int_equal(match(f, filter).any & 1 << 1, 0);
    }
}

static void clear_but_persistent(struct fixture *f, unsigned worker)
{
    struct trie_clear *clear = trie_clear_new(worker);
    bool changed;
    trie_clear_keep_persistent(clear);
    assert_int_equal(trie_clear_step(f->live, clear, 1000, &changed), 0);
    assert_true(changed);
    trie_clear_free(clear);
}

/* A worker died whose sessions are on disk: it is to hear of what they want. */
static void test_trie_clear_keep_persistent_leaves_their_routes(void **state)
{
    struct fixture *f = *state;
    const struct hash128 id = group_id(1);
    bool changed;
    set(f, "a/b", 1);
    set(f, "a/b", 2);
    assert_int_equal(trie_set(f->live, bytes_of("a/+"), 1, true, true, &changed), 0);
    assert_int_equal(
        trie_set_group(f->live, bytes_of("a/b"), &id, 1, (struct trie_weight){2, 1}, &changed), 0);
    clear_but_persistent(f, 1);
    struct trie_match m = match(f, "a/b");
    assert_int_equal(m.any, 1 << 1 | 1 << 2);
    assert_int_equal(m.persistent, 1 << 1);
    assert_int_equal(match(f, "a/c").any, 1 << 1);
    assert_int_equal(m.group_count, 1);
    assert_int_equal(m.groups[0].any, 1 << 1);
    assert_int_equal(m.groups[0].online, 0);
}

static void test_trie_set_on_full_map(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    uint32_t count = 0;
    int r = 0;
    char filter[100];
    bool changed;
    while (r == 0) {
        snprintf(filter, sizeof filter, "some/rather/long/name/to/fill/it/%u/x", count);
        assert_int_equal(live_begin(f.live), 0);
        r = trie_set(f.live, bytes_of(filter), 1, true, true, &changed);
        assert_int_equal(live_commit(f.live), 0); /* a refusal spoils nothing */
        if (r == 0)
            count++;
    }
    assert_int_equal(r, -ENOSPC);
    assert_in_range(count, 1000, 20000);
    assert_int_equal(live_begin(f.live), 0);
    snprintf(filter, sizeof filter, "some/rather/long/name/to/fill/it/%u/x", count / 2);
    assert_int_equal(trie_set(f.live, bytes_of(filter), 2, true, true, &changed), 0);
    assert_true(changed); /* no new node, no refusal */
    assert_int_equal(match(&f, filter).any, 6);
    assert_int_equal(live_commit(f.live), 0);
    for (unsigned worker = 1; worker <= 2; worker++) {
        struct trie_clear *clear = trie_clear_new(worker);
        do {
            assert_int_equal(live_begin(f.live), 0);
            r = trie_clear_step(f.live, clear, 64, &changed);
            assert_int_equal(live_commit(f.live), 0);
        } while (r == -EAGAIN);
        assert_int_equal(r, 0);
        trie_clear_free(clear);
    }
    assert_int_equal(live_begin(f.live), 0);
    assert_empty(&f);
    set(&f, "again", 1);
    assert_int_equal(live_commit(f.live), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trie_match_of_empty_trie, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_match_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_set_says_what_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_set_keeps_what_others_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_set_of_unknown_filter_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_trie_names_at_the_key_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_deepest_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_wildcard_explosion_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_set_group_gives_online_members_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_trie_match_picks_by_weight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_match_picks_among_largest_weights, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_trie_match_cuts_too_many_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_clear_step_among_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trie_clear_keep_persistent_leaves_their_routes, setup,
                                        teardown),
        cmocka_unit_test(test_trie_set_on_full_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
