#include "shm/home.h"

#include "tests/unit/shm/shm_fixture.h"

enum { CLIENTS = 4000 };

static unsigned home_of_number(const struct region *region, unsigned number)
{
    char id[32];

    snprintf(id, sizeof id, "client-%u", number);
    return home_of(region, bytes_of(id));
}

static void test_home_of_is_even(void **state)
{
    struct region region;
    unsigned counts[3] = {0};

    (void)state;
    hash_start();
    assert_int_equal(region_open(&region, 3, FIXTURE_RING_SIZE, false), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        unsigned home = home_of_number(&region, i);

        assert_true(home < 3);
        counts[home]++;
    }
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(counts[i], CLIENTS / 3 - 200, CLIENTS / 3 + 200); /* over 6 sigma */
    region_close(&region);
}

static void test_home_of_stays(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(home_of_number(&f.region, 1), home_of_number(&f.region, 1));
    fixture_close(&f);
}

static void test_home_of_depends_on_key(void **state)
{
    struct fixture a;
    struct fixture b;
    unsigned differences = 0;

    (void)state;
    fixture_open(&a);
    fixture_open(&b);
    for (unsigned i = 0; i < CLIENTS; i++)
        differences += home_of_number(&a.region, i) != home_of_number(&b.region, i);
    assert_true(differences > CLIENTS / 4);
    fixture_close(&a);
    fixture_close(&b);
}

/* Maps index by the lower bits of the same hash. */
static void test_home_of_leaves_lower_bits_even(void **state)
{
    struct fixture f;
    unsigned odd = 0;
    unsigned at_home = 0;

    (void)state;
    fixture_open(&f);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char id[32];

        snprintf(id, sizeof id, "client-%u", i);
        if (home_of(&f.region, bytes_of(id)) != 0)
            continue;
        at_home++;
        odd += (unsigned)hash_short(region_key(&f.region), bytes_of(id)) & 1;
    }
    assert_in_range(odd, at_home * 2 / 5, at_home * 3 / 5);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_home_of_is_even),
        cmocka_unit_test(test_home_of_stays),
        cmocka_unit_test(test_home_of_depends_on_key),
        cmocka_unit_test(test_home_of_leaves_lower_bits_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
