#include "shm/live/will_store.h"

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

static struct hash128 client(unsigned first, unsigned last)
{
    struct hash128 id = {{0}};
    id.bytes[0] = (uint8_t)first;
    id.bytes[15] = (uint8_t)last;
    return id;
}

static void set(struct fixture *f, unsigned worker, struct hash128 id, const char *blob)
{
    assert_int_equal(will_store_set(f->live, worker, &id, bytes_of(blob)), 0);
}

static void test_will_store_next_of_nothing(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = {{0}};
    struct bytes blob;
    assert_int_equal(will_store_next(f->live, 0, &id, &blob), -ENOENT);
    set(f, 1, client(1, 1), "other worker");
    assert_int_equal(will_store_next(f->live, 0, &id, &blob), -ENOENT);
    assert_int_equal(will_store_next(f->live, 2, &id, &blob), -ENOENT);
}

static void test_will_store_set_replaces(void **state)
{
    struct fixture *f = *state;
    set(f, 3, client(1, 1), "one");
    set(f, 3, client(1, 1), "a longer second one");
    struct hash128 id = {{0}};
    struct bytes blob;
    assert_int_equal(will_store_next(f->live, 3, &id, &blob), 0);
    assert_true(bytes_equal(blob, bytes_of("a longer second one")));
}

/* How a dead worker's wills are taken: the first, cleared, and so on. */
static void test_will_store_next_then_clear_takes_all(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 200; i++) {
        set(f, i % 2, client(i * 7, i), "will");
    }
    unsigned count = 0;
    struct hash128 id = {{0}};
    struct hash128 last = {{0}};
    struct bytes blob;
    while (will_store_next(f->live, 1, &id, &blob) == 0) {
        assert_true(bytes_equal(blob, bytes_of("will")));
        assert_true(memcmp(&last, &id, sizeof id) < 0);
        last = id;
        assert_int_equal(will_store_clear(f->live, 1, &id), 0);
        count++;
    }
    assert_int_equal(count, 100);
    id = (struct hash128){{0}};
    assert_int_equal(will_store_next(f->live, 1, &id, &blob), -ENOENT);
    assert_int_equal(will_store_next(f->live, 0, &id, &blob), 0);
}

static void test_will_store_clear_of_unknown(void **state)
{
    struct fixture *f = *state;
    struct hash128 id = client(1, 2);
    assert_int_equal(will_store_clear(f->live, 0, &id), 0);
    assert_int_equal(live_commit(f->live), 0);
}

static void test_will_store_set_of_large_and_empty_blob(void **state)
{
    struct fixture *f = *state;
    static uint8_t large[200000];
    memset(large, 'w', sizeof large);
    struct hash128 id = client(1, 1);
    struct bytes blob = {large, sizeof large};
    assert_int_equal(will_store_set(f->live, 0, &id, blob), 0);
    struct bytes found;
    assert_int_equal(will_store_next(f->live, 0, &id, &found), 0);
    assert_true(bytes_equal(found, blob));
    assert_int_equal(will_store_set(f->live, 0, &id, (struct bytes){NULL, 0}), 0);
    assert_int_equal(will_store_next(f->live, 0, &id, &found), 0);
    assert_int_equal(found.size, 0);
}

static unsigned fill(struct live *live)
{
    static uint8_t blob[500];
    for (unsigned count = 0;; count++) {
        struct hash128 id = {{0}};
        memcpy(id.bytes, &count, sizeof count);
        assert_int_equal(live_begin(live), 0);
        int r = will_store_set(live, 9, &id, (struct bytes){blob, sizeof blob});
        assert_int_equal(live_commit(live), 0);
        if (r == 0)
            continue;
        assert_int_equal(r, -ENOSPC);
        return count;
    }
}

static void test_will_store_on_full_map_clears(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    unsigned count = fill(f.live);
    assert_in_range(count, 300, 2000);
    struct hash128 id = {{0}};
    struct bytes found;
    for (; count > 0; count--) {
        assert_int_equal(live_begin(f.live), 0);
        assert_int_equal(will_store_next(f.live, 9, &id, &found), 0);
        assert_int_equal(will_store_clear(f.live, 9, &id), 0);
        assert_int_equal(live_commit(f.live), 0);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_will_store_next_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_will_store_set_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_will_store_next_then_clear_takes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_will_store_clear_of_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_will_store_set_of_large_and_empty_blob, setup,
                                        teardown),
        cmocka_unit_test(test_will_store_on_full_map_clears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
