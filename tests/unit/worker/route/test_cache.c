#include "worker/route/cache.h"

#include "common/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hash_key key;

static int set_up(void **state)
{
    hash_start();
    hash_make_key(&key);
    *state = cache_new(&key);
    return 0;
}

static int tear_down(void **state)
{
    cache_free(*state);
    return 0;
}

static struct route_entry *put(struct route_cache *cache, struct bytes topic, unsigned filter_count)
{
    uint64_t hash;
    (void)cache_get(cache, topic, &hash);
    return cache_put(cache, topic, hash, filter_count);
}

static struct route_entry *get(struct route_cache *cache, const char *topic)
{
    uint64_t hash;
    return cache_get(cache, bytes_of(topic), &hash);
}

static void test_cache_get_finds_what_was_put(void **state)
{
    struct route_cache *cache = *state;
    struct filter *filters[2] = {(void *)&key, (void *)cache};
    assert_null(get(cache, "a/b"));
    struct route_entry *entry = put(cache, bytes_of("a/b"), 2);
    entry->any = 5;
    memcpy(entry->filters, filters, sizeof(filters));
    entry = get(cache, "a/b");
    assert_non_null(entry);
    assert_int_equal(entry->any, 5);
    assert_int_equal(entry->filter_count, 2);
    assert_memory_equal(entry->filters, filters, sizeof(filters));
    assert_null(get(cache, "a/c"));
    assert_null(get(cache, "a/"));
}

static void test_cache_put_replaces_the_same_topic(void **state)
{
    struct route_cache *cache = *state;
    put(cache, bytes_of("t"), 3)->any = 1;
    put(cache, bytes_of("t"), 0)->any = 2;
    assert_int_equal(get(cache, "t")->any, 2);
    assert_int_equal(get(cache, "t")->filter_count, 0);
}

static void test_cache_put_replaces_what_has_its_slot(void **state)
{
    struct route_cache *cache = *state;
    uint64_t wanted = hash_short(&key, bytes_of("t")) % CACHE_SLOTS;
    char topic[32] = "";
    for (unsigned i = 0; hash_short(&key, bytes_of(topic)) % CACHE_SLOTS != wanted; i++)
        snprintf(topic, sizeof(topic), "other/%u", i);
    assert_non_null(put(cache, bytes_of("t"), 0));
    assert_null(get(cache, topic));
    assert_non_null(put(cache, bytes_of(topic), 0));
    assert_non_null(get(cache, topic));
    assert_null(get(cache, "t"));
}

static void test_cache_put_refuses_what_is_too_large(void **state)
{
    static const struct {
        size_t topic_size;
        unsigned filter_count;
        bool is_cached;
    } ROWS[] = {
        {CACHE_TOPIC_MAX, 0, true},
        {CACHE_TOPIC_MAX + 1, 0, false},
        {1, CACHE_FILTERS_MAX, true},
        {1, CACHE_FILTERS_MAX + 1, false},
        {CACHE_TOPIC_MAX, CACHE_FILTERS_MAX, true},
        {65535, 0, false},
    };
    struct route_cache *cache = *state;
    uint8_t *name = malloc(65535);
    memset(name, 'a', 65535);
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct bytes topic = {name, ROWS[i].topic_size};
        struct route_entry *entry = put(cache, topic, ROWS[i].filter_count);
        uint64_t hash;
        assert_int_equal(entry != NULL, ROWS[i].is_cached);
        if (entry != NULL)
            assert_ptr_equal(cache_get(cache, topic, &hash), entry);
    }
    free(name);
}

#define CACHE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(test_cache_get_finds_what_was_put),
        CACHE_TEST(test_cache_put_replaces_the_same_topic),
        CACHE_TEST(test_cache_put_replaces_what_has_its_slot),
        CACHE_TEST(test_cache_put_refuses_what_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
