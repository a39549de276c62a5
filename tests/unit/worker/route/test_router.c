/* The router's snapshot of a live store that another process writes. */
#include "worker/route/router.h"

#include "shm/live/trie.h"
#include "tests/unit/worker/route/route_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

/* Runs the store in a process of its own, which sets a filter of the peer's. The
 * fixture's writer is closed: an environment is opened once per process. */
static void store_sets(struct fixture *f, const char *filter)
{
    pid_t child = fork();
    int status = -1;
    assert_true(child >= 0);
    if (child == 0) {
        struct live *live;
        bool changed;
        bool ok = live_open_writer(&live, f->folder, 1 << 24) == 0 && live_begin(live) == 0 &&
                  trie_set(live, bytes_of(filter), FIXTURE_PEER, true, false, &changed) == 0 &&
                  live_commit(live) == 0;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    generation_raise_live(&f->region);
}

static struct router *begin(void **state)
{
    struct fixture *f = *state;
    live_close(f->router.live);
    f->router.live = NULL;
    store_sets(f, "first");
    assert_int_equal(live_open_reader(&f->router.live, f->folder), 0);
    f->router.live_is_resting = true;
    return &f->router;
}

static bool is_wanted(struct router *router, const char *topic)
{
    static struct trie_match match;
    assert_int_equal(trie_match(router->live, bytes_of(topic), 0, &match), 0);
    return match.any == 1 << FIXTURE_PEER;
}

static void test_router_renew_follows_the_commits(void **state)
{
    struct router *router = begin(state);
    assert_true(router_renew(router));
    assert_true(is_wanted(router, "first"));
    assert_false(is_wanted(router, "second"));
    store_sets(*state, "second");
    assert_false(is_wanted(router, "second")); /* the snapshot in hand */
    assert_true(router_renew(router));
    assert_true(is_wanted(router, "second"));
}

static void test_router_renew_after_a_rest(void **state)
{
    struct router *router = begin(state);
    assert_true(router_renew(router));
    router_rest(router);
    router_rest(router);
    store_sets(*state, "second");
    assert_true(router_renew(router));
    assert_true(router_renew(router));
    assert_true(is_wanted(router, "second"));
    router_rest(router);
    assert_true(router_renew(router)); /* though nothing moved */
    assert_true(is_wanted(router, "first"));
}

static void test_router_next_message_id_never_repeats(void **state)
{
    struct fixture *f = *state;
    uint64_t last = f->router.message_id_base;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t id = router_next_message_id(&f->router);
        assert_true(id > last);
        last = id;
    }
    f->router.message_count = UINT32_MAX;
    assert_true(router_next_message_id(&f->router) > last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_router_renew_follows_the_commits),
        FIXTURE_TEST_LIVE(test_router_renew_after_a_rest),
        FIXTURE_TEST(test_router_next_message_id_never_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
