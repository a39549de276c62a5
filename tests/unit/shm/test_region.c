#include "tests/unit/shm/shm_fixture.h"

#include <errno.h>
#include <sys/resource.h>

static void test_region_open_fills_header(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(f.region.header->magic, LAYOUT_MAGIC);
    assert_int_equal(f.region.header->worker_count, FIXTURE_WORKERS);
    assert_int_equal(f.region.header->ring_size, FIXTURE_RING_SIZE);
    assert_int_not_equal(f.region.header->hash, 0);
    assert_int_equal(f.region.slot_count, FIXTURE_SLOTS);
    assert_int_equal(region_store_slot(&f.region), FIXTURE_WORKERS);
    assert_int_equal(region_master_slot(&f.region), FIXTURE_WORKERS + 1);
    fixture_close(&f);
}

static void test_region_open_makes_new_key(void **state)
{
    struct fixture a;
    struct fixture b;

    (void)state;
    fixture_open(&a);
    fixture_open(&b);
    assert_memory_not_equal(region_key(&a.region), region_key(&b.region), sizeof(struct hash_key));
    fixture_close(&a);
    fixture_close(&b);
}

static void test_region_open_parts_are_apart(void **state)
{
    struct fixture f;
    unsigned char *start;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    fixture_open(&f);
    start = (unsigned char *)f.region.header;
    assert_true((unsigned char *)f.region.slots >= start + sizeof(struct layout_header));
    assert_true((unsigned char *)f.region.generations >=
                (unsigned char *)(f.region.slots + FIXTURE_SLOTS));
    assert_true(f.region.rings >= (unsigned char *)(f.region.generations + 1));
    assert_int_equal((uintptr_t)f.region.slots % LAYOUT_LINE, 0);
    assert_int_equal((uintptr_t)f.region.generations % LAYOUT_LINE, 0);
    assert_int_equal((uintptr_t)f.region.rings % page, 0);
    assert_int_equal(f.region.ring_stride % page, 0);
    fixture_close(&f);
}

static void test_region_open_is_shared_with_children(void **state)
{
    struct fixture f;
    pid_t child;

    (void)state;
    fixture_open(&f);
    child = fork();
    if (child == 0) {
        f.region.slots[1].words[0] = 'x';
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(f.region.slots[1].words[0], 'x');
    fixture_close(&f);
}

/* What region_open() says to `worker_count` and `ring_size` where no file may be
 * larger than 1 MiB: a guard that failed to hold would cost us the machine. */
static int open_with_little_room(unsigned worker_count, uint32_t ring_size)
{
    struct region region;
    pid_t child = fork();
    int status;

    if (child == 0) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
        signal(SIGXFSZ, SIG_IGN);
        _exit(-region_open(&region, worker_count, ring_size, false));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void test_region_open_refused_by_system(void **state)
{
    (void)state;
    hash_start();
    assert_int_equal(open_with_little_room(1, FIXTURE_RING_SIZE), 0);
    assert_int_equal(open_with_little_room(4, FIXTURE_RING_SIZE), -EFBIG);
}

static void test_region_open_refuses_more_than_memory(void **state)
{
    (void)state;
    assert_int_equal(open_with_little_room(60, 64U << 20), -ENOMEM); /* 229 GiB */
}

static void open_with_odd_size(void *context)
{
    struct region region;

    (void)context;
    region_open(&region, 1, 100000, false);
}

static void test_region_open_checks_size(void **state)
{
    (void)state;
    assert_int_equal(fixture_signal_of(open_with_odd_size, NULL), SIGABRT);
}

static void test_region_ring_for_every_pair(void **state)
{
    struct fixture f;
    unsigned peers = FIXTURE_WORKERS + 1;
    unsigned char seen[FIXTURE_SLOTS * FIXTURE_SLOTS] = {0};

    (void)state;
    fixture_open(&f);
    for (unsigned from = 0; from < peers; from++) {
        for (unsigned to = 0; to < peers; to++) {
            size_t offset;

            if (from == to)
                continue;
            offset = (size_t)((unsigned char *)region_ring(&f.region, from, to) - f.region.rings);
            assert_int_equal(offset % f.region.ring_stride, 0);
            assert_int_equal(seen[offset / f.region.ring_stride]++, 0);
            assert_true(f.region.rings + offset + f.region.ring_stride <=
                        (unsigned char *)f.region.header + f.region.size);
        }
    }
    fixture_close(&f);
}

/* With a committer: its rings too, and none twice; without one, no byte more. */
static void test_region_ring_with_committer(void **state)
{
    struct region region;
    struct region without;
    unsigned char seen[256] = {0};
    unsigned rings = 0;

    (void)state;
    hash_start();
    assert_int_equal(region_open(&region, 3, FIXTURE_RING_SIZE, true), 0);
    assert_int_equal(region_open(&without, 3, FIXTURE_RING_SIZE, false), 0);
    assert_true(region_has_committer(&region) && !region_has_committer(&without));
    assert_int_equal(region_committer_slot(&region), 4);
    assert_int_equal(region_master_slot(&region), 5);
    assert_int_equal(region_peer_count(&region), 5);
    for (unsigned from = 0; from < region.slot_count; from++) {
        for (unsigned to = 0; to < region.slot_count; to++) {
            size_t offset;

            if (!region_has_ring(&region, from, to))
                continue;
            offset = (size_t)((unsigned char *)region_ring(&region, from, to) - region.rings);
            assert_int_equal(seen[offset / region.ring_stride]++, 0);
            assert_true(region.rings + offset + region.ring_stride <=
                        (unsigned char *)region.header + region.size);
            rings++;
        }
    }
    assert_int_equal(rings, 4 * 3 + 2 * 3);
    assert_false(region_has_ring(&region, 3, 4) || region_has_ring(&region, 4, 3));
    assert_true(region.size - without.size >= 6 * region.ring_stride);
    region_close(&region);
    region_close(&without);
}

static void ask_for_ring_of_master(void *context)
{
    struct fixture *f = context;

    region_ring(&f->region, 0, region_master_slot(&f->region));
}

static void ask_with_other_layout(void *context)
{
    struct fixture *f = context;

    f->region.header->hash++;
    region_ring(&f->region, 0, 1);
}

static void test_region_ring_checks(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(fixture_signal_of(ask_for_ring_of_master, &f), SIGABRT);
    assert_int_equal(fixture_signal_of(ask_with_other_layout, &f), SIGABRT);
    fixture_close(&f);
}

static void test_region_close_twice(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    fixture_close(&f);
    region_close(&f.region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_region_open_fills_header),
        cmocka_unit_test(test_region_open_makes_new_key),
        cmocka_unit_test(test_region_open_parts_are_apart),
        cmocka_unit_test(test_region_open_is_shared_with_children),
        cmocka_unit_test(test_region_open_refused_by_system),
        cmocka_unit_test(test_region_open_refuses_more_than_memory),
        cmocka_unit_test(test_region_open_checks_size),
        cmocka_unit_test(test_region_ring_for_every_pair),
        cmocka_unit_test(test_region_ring_with_committer),
        cmocka_unit_test(test_region_ring_checks),
        cmocka_unit_test(test_region_close_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
