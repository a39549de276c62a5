#include "shm/mesh.h"

#include "tests/unit/shm/shm_fixture.h"

struct world {
    struct fixture fixture;
    struct mesh meshes[FIXTURE_WORKERS + 1];
};

static int set_up(void **state)
{
    struct world *w = malloc(sizeof *w);

    if (w == NULL)
        return -1;
    fixture_open(&w->fixture);
    for (unsigned i = 0; i <= FIXTURE_WORKERS; i++)
        mesh_open(&w->meshes[i], &w->fixture.region, i, w->fixture.bell_fds);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    fixture_close(&w->fixture);
    free(w);
    return 0;
}

static bool put(struct mesh *mesh, unsigned peer, char letter)
{
    uint8_t *room = mesh_reserve(mesh, peer, 1);

    if (room == NULL)
        return false;
    room[0] = (uint8_t)letter;
    mesh_commit(mesh, peer, 1, 7);
    return true;
}

static void expect(struct mesh *mesh, unsigned peer, char letter)
{
    struct ring_record record;

    assert_true(ring_next(&mesh->in[peer], &record));
    assert_int_equal(record.size, 1);
    assert_int_equal(record.data[0], letter);
}

static bool was_rung(const struct world *w, unsigned slot)
{
    uint64_t count;

    return read(w->fixture.bell_fds[slot], &count, sizeof count) == (ssize_t)sizeof count;
}

static void fall_asleep(struct world *w, unsigned slot)
{
    bell_sleep(&w->meshes[slot].bells[slot]);
    assert_false(mesh_has_next(&w->meshes[slot]));
}

static void test_mesh_publish_reaches_every_peer(void **state)
{
    struct world *w = *state;

    for (unsigned from = 0; from <= FIXTURE_STORE; from++) {
        for (unsigned to = 0; to <= FIXTURE_STORE; to++) {
            if (from != to)
                assert_true(put(&w->meshes[from], to, (char)('a' + from)));
        }
        mesh_publish(&w->meshes[from]);
        assert_true(w->meshes[from].unpublished == 0);
    }
    for (unsigned to = 0; to <= FIXTURE_STORE; to++) {
        assert_true(mesh_has_next(&w->meshes[to]));
        for (unsigned from = 0; from <= FIXTURE_STORE; from++) {
            if (from != to)
                expect(&w->meshes[to], from, (char)('a' + from));
        }
        assert_false(mesh_has_next(&w->meshes[to]));
    }
}

static void test_mesh_publish_to_leaves_others(void **state)
{
    struct world *w = *state;

    put(&w->meshes[0], 1, 'a');
    put(&w->meshes[0], FIXTURE_STORE, 'b');
    mesh_publish_to(&w->meshes[0], FIXTURE_STORE);
    assert_false(mesh_has_next(&w->meshes[1]));
    assert_true(mesh_has_next(&w->meshes[FIXTURE_STORE]));
    mesh_publish(&w->meshes[0]);
    assert_true(mesh_has_next(&w->meshes[1]));
}

static void test_mesh_publish_wakes_sleeper_only(void **state)
{
    struct world *w = *state;

    fall_asleep(w, 1);
    put(&w->meshes[0], 1, 'a');
    put(&w->meshes[0], FIXTURE_STORE, 'b');
    mesh_publish(&w->meshes[0]);
    assert_true(was_rung(w, 1));
    assert_false(was_rung(w, FIXTURE_STORE));
}

static void test_mesh_show_wakes_nobody_before_the_next_publication(void **state)
{
    struct world *w = *state;

    fall_asleep(w, 1);
    put(&w->meshes[0], 1, 'a');
    mesh_show(&w->meshes[0]);
    assert_true(mesh_has_next(&w->meshes[1]));
    assert_false(was_rung(w, 1));
    mesh_publish(&w->meshes[0]);
    assert_true(was_rung(w, 1));
    mesh_publish_to(&w->meshes[0], 1);
    assert_false(was_rung(w, 1));
}

static void test_mesh_look_tells_what_is_published(void **state)
{
    struct world *w = *state;
    struct mesh *store = &w->meshes[FIXTURE_STORE];
    uint32_t positions[MESH_PEERS_MAX] = {0};

    put(&w->meshes[0], FIXTURE_STORE, 'a');
    mesh_publish(&w->meshes[0]);
    put(&w->meshes[1], FIXTURE_STORE, 'b');
    assert_true(mesh_look(store, positions));
    assert_true(positions[0] != ring_taken(&store->in[0]));
    assert_int_equal(positions[1], ring_taken(&store->in[1]));
    expect(store, 0, 'a');
    assert_int_equal(positions[0], ring_taken(&store->in[0]));
}

static void fill(struct world *w)
{
    while (put(&w->meshes[0], 1, 'x'))
        continue;
    mesh_publish(&w->meshes[0]);
}

static void test_mesh_release_wakes_refused_producer(void **state)
{
    struct world *w = *state;

    fill(w);
    fall_asleep(w, 0);
    expect(&w->meshes[1], 0, 'x');
    assert_false(was_rung(w, 0));
    mesh_release(&w->meshes[1], 0);
    assert_true(was_rung(w, 0));
    bell_wake(&w->meshes[0].bells[0]);
    assert_true(put(&w->meshes[0], 1, 'y'));
}

static void test_mesh_release_lets_others_sleep(void **state)
{
    struct world *w = *state;

    put(&w->meshes[0], 1, 'a');
    mesh_publish(&w->meshes[0]);
    fall_asleep(w, 0);
    expect(&w->meshes[1], 0, 'a');
    mesh_release(&w->meshes[1], 0); /* the first one after the start may ring */
    was_rung(w, 0);
    put(&w->meshes[0], 1, 'b');
    mesh_publish(&w->meshes[0]);
    fall_asleep(w, 0);
    expect(&w->meshes[1], 0, 'b');
    mesh_release(&w->meshes[1], 0);
    assert_false(was_rung(w, 0));
}

static void test_mesh_has_next_tells_of_room_once(void **state)
{
    struct world *w = *state;

    fill(w);
    assert_false(mesh_has_next(&w->meshes[0]));
    expect(&w->meshes[1], 0, 'x');
    mesh_release(&w->meshes[1], 0);
    assert_true(mesh_has_next(&w->meshes[0]));
    assert_false(mesh_has_next(&w->meshes[0]));
}

/* A process died after it published and before it rang. */
static void test_mesh_open_rings_for_predecessor(void **state)
{
    struct world *w = *state;

    fall_asleep(w, 1);
    put(&w->meshes[0], 1, 'a');
    ring_publish(&w->meshes[0].out[1]);
    assert_false(was_rung(w, 1));
    mesh_open(&w->meshes[0], &w->fixture.region, 0, w->fixture.bell_fds);
    assert_true(was_rung(w, 1));
    expect(&w->meshes[1], 0, 'a');
}

/* A process died after it released and before it rang. */
static void test_mesh_open_wakes_refused_producer(void **state)
{
    struct world *w = *state;

    fill(w);
    fall_asleep(w, 0);
    expect(&w->meshes[1], 0, 'x');
    ring_release(&w->meshes[1].in[0]);
    mesh_open(&w->meshes[1], &w->fixture.region, 1, w->fixture.bell_fds);
    assert_true(was_rung(w, 0));
    assert_true(mesh_has_next(&w->meshes[0]));
}

static void test_mesh_open_wakes_itself(void **state)
{
    struct world *w = *state;

    fall_asleep(w, 1); /* and dies */
    mesh_open(&w->meshes[1], &w->fixture.region, 1, w->fixture.bell_fds);
    put(&w->meshes[0], 1, 'a');
    mesh_publish(&w->meshes[0]);
    assert_false(was_rung(w, 1));
}

/* The committer has the workers alone; a worker has both it and the store. */
static void test_mesh_open_with_committer(void **state)
{
    enum { WORKERS = 2, STORE = WORKERS, COMMITTER, SLOTS };
    struct region region;
    struct mesh meshes[SLOTS];
    int bells[SLOTS + 1];

    (void)state;
    hash_start();
    assert_int_equal(region_open(&region, WORKERS, FIXTURE_RING_SIZE, true), 0);
    for (unsigned i = 0; i <= SLOTS; i++)
        bells[i] = eventfd(0, EFD_NONBLOCK);
    for (unsigned i = 0; i < SLOTS; i++)
        mesh_open(&meshes[i], &region, i, bells);
    assert_true(meshes[0].peers == 0xE && meshes[1].peers == 0xD);
    assert_true(meshes[2].peers == 0x3 && meshes[3].peers == 0x3);
    assert_true(put(&meshes[0], COMMITTER, 'a'));
    assert_true(put(&meshes[0], STORE, 'b'));
    mesh_publish(&meshes[0]);
    expect(&meshes[COMMITTER], 0, 'a');
    expect(&meshes[STORE], 0, 'b');
    assert_true(put(&meshes[COMMITTER], 1, 'c'));
    mesh_publish(&meshes[COMMITTER]);
    assert_true(mesh_has_next(&meshes[1]));
    expect(&meshes[1], COMMITTER, 'c');
    for (unsigned i = 0; i <= SLOTS; i++)
        close(bells[i]);
    region_close(&region);
}

static void reserve_to_self(void *context)
{
    struct world *w = context;

    mesh_reserve(&w->meshes[1], 1, 8);
}

static void test_mesh_reserve_checks_peer(void **state)
{
    assert_int_equal(fixture_signal_of(reserve_to_self, *state), SIGABRT);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_mesh_publish_reaches_every_peer),
        WITH_WORLD(test_mesh_publish_to_leaves_others),
        WITH_WORLD(test_mesh_publish_wakes_sleeper_only),
        WITH_WORLD(test_mesh_show_wakes_nobody_before_the_next_publication),
        WITH_WORLD(test_mesh_look_tells_what_is_published),
        WITH_WORLD(test_mesh_release_wakes_refused_producer),
        WITH_WORLD(test_mesh_release_lets_others_sleep),
        WITH_WORLD(test_mesh_has_next_tells_of_room_once),
        WITH_WORLD(test_mesh_open_rings_for_predecessor),
        WITH_WORLD(test_mesh_open_wakes_refused_producer),
        WITH_WORLD(test_mesh_open_wakes_itself),
        WITH_WORLD(test_mesh_reserve_checks_peer),
        cmocka_unit_test(test_mesh_open_with_committer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
