#include "common/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { ITEM_COUNT = 500, STEP_COUNT = 200000 };

struct item {
    uint32_t id;
    bool is_in;
    bool was_seen;
};

struct fixture {
    struct hash_key key;
    struct map map;
    struct item items[ITEM_COUNT];
};

static struct bytes key_of_item(const void *item)
{
    const struct item *i = item;

    return (struct bytes){.data = (const uint8_t *)&i->id, .size = sizeof i->id};
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    hash_make_key(&f->key);
    map_init(&f->map, key_of_item, &f->key);
    for (uint32_t i = 0; i < ITEM_COUNT; i++)
        f->items[i].id = i;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    map_done(&f->map);
    free(f);
    return 0;
}

static void put(struct fixture *f, struct item *item)
{
    assert_int_equal(map_put(&f->map, item), 0);
    item->is_in = true;
}

static void take(struct fixture *f, struct item *item)
{
    void *taken = map_remove(&f->map, key_of_item(item));

    assert_ptr_equal(taken, item->is_in ? item : NULL);
    item->is_in = false;
}

/* The map holds exactly the items marked as being in it. */
static void assert_holds(struct fixture *f)
{
    size_t in_count = 0;
    size_t seen_count = 0;
    size_t cursor = 0;
    struct item *item;

    for (size_t i = 0; i < ITEM_COUNT; i++) {
        item = &f->items[i];
        item->was_seen = false;
        in_count += item->is_in;
        assert_ptr_equal(map_get(&f->map, key_of_item(item)), item->is_in ? item : NULL);
    }
    while ((item = map_next(&f->map, &cursor)) != NULL) {
        assert_true(item->is_in);
        assert_false(item->was_seen);
        item->was_seen = true;
        seen_count++;
    }
    assert_int_equal(seen_count, in_count);
    assert_int_equal(f->map.count, in_count);
}

static void test_map_starts_empty_and_owns_nothing(void **state)
{
    struct fixture *f = *state;
    size_t cursor = 0;

    assert_null(f->map.slots);
    assert_null(map_get(&f->map, bytes_of("x")));
    assert_null(map_get_hashed(&f->map, 0, bytes_of("x")));
    assert_null(map_remove(&f->map, bytes_of("x")));
    assert_null(map_next(&f->map, &cursor));
}

static void test_map_get_hashed_finds_what_map_get_finds(void **state)
{
    struct fixture *f = *state;
    struct bytes key = key_of_item(&f->items[7]);

    put(f, &f->items[7]);
    assert_ptr_equal(map_get(&f->map, key), &f->items[7]);
    assert_ptr_equal(map_get_hashed(&f->map, hash_short(&f->key, key), key), &f->items[7]);
}

static void test_map_get_tells_equal_hashes_apart(void **state)
{
    struct fixture *f = *state;
    uint64_t hash = hash_short(&f->key, key_of_item(&f->items[1]));

    put(f, &f->items[1]);
    assert_null(map_get_hashed(&f->map, hash, key_of_item(&f->items[2])));
}

static void test_map_grows_at_three_quarters_and_shrinks_at_an_eighth(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ITEM_COUNT; i++) {
        put(f, &f->items[i]);
        assert_true(f->map.count * 4 <= f->map.slot_count * 3);
        assert_int_equal(f->map.slot_count & (f->map.slot_count - 1), 0);
    }
    assert_int_equal(f->map.slot_count, 1024);
    assert_holds(f);
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        take(f, &f->items[i]);
        assert_true(f->map.slot_count == 8 || f->map.count * 8 > f->map.slot_count);
    }
    assert_int_equal(f->map.slot_count, 8);
    assert_holds(f);
}

static void test_map_done_leaves_an_empty_map(void **state)
{
    struct fixture *f = *state;

    put(f, &f->items[0]);
    map_done(&f->map);
    assert_null(map_get(&f->map, key_of_item(&f->items[0])));
    map_done(&f->map);
    put(f, &f->items[1]);
    assert_int_equal(f->map.count, 1);
}

/* Swings between almost empty and almost full, so that it grows and shrinks,
 * and runs of slots wrap around the end and are torn open everywhere. */
static void test_map_holds_what_a_plain_array_holds(void **state)
{
    struct fixture *f = *state;
    unsigned seed = (unsigned)time(NULL);

    print_message("seed %u\n", seed);
    srand(seed);
    for (int step = 0; step < STEP_COUNT; step++) {
        int puts_of_8 = step / 4000 % 2 == 0 ? 7 : 1;
        struct item *item = &f->items[rand() % ITEM_COUNT];
        if (rand() % 8 >= puts_of_8)
            take(f, item);
        else if (!item->is_in)
            put(f, item);
        if (step % 100 == 0)
            assert_holds(f);
    }
    assert_holds(f);
}

#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        MAP_TEST(test_map_starts_empty_and_owns_nothing),
        MAP_TEST(test_map_get_hashed_finds_what_map_get_finds),
        MAP_TEST(test_map_get_tells_equal_hashes_apart),
        MAP_TEST(test_map_grows_at_three_quarters_and_shrinks_at_an_eighth),
        MAP_TEST(test_map_done_leaves_an_empty_map),
        MAP_TEST(test_map_holds_what_a_plain_array_holds),
    };

    hash_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
