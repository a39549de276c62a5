#include "worker/route/announce.h"

#include "tests/unit/worker/route/route_fixture.h"

static const uint64_t RESET_SERIAL = (uint64_t)FIXTURE_EPOCH << 32 | 1;

/* The store has taken the RESET; `persistent` and `brief` are its sessions. */
struct announced {
    struct fixture *f;
    struct session *brief;
    struct session *persistent;
};

static struct announced begin(void **state)
{
    struct announced a = {.f = *state};
    fixture_drain(a.f, FIXTURE_STORE);
    a.brief = fixture_session(a.f, "brief", NULL);
    a.persistent = fixture_session(a.f, "persistent", NULL);
    a.persistent->expiry_s = 60;
    return a;
}

static void end(struct announced *a)
{
    fixture_end(a->f, a->brief);
    fixture_end(a->f, a->persistent);
}

static void unsubscribe(struct announced *a, struct subscription *s)
{
    filters_remove(&a->f->router.filters, s);
}

static void assert_none(struct announced *a)
{
    struct ring_record record;
    assert_false(fixture_next(a->f, FIXTURE_STORE, &record));
}

static void assert_filter(struct announced *a, uint64_t serial, const char *text, bool any,
                          bool persistent)
{
    struct ring_record record;
    struct record_filter filter;
    assert_true(fixture_next(a->f, FIXTURE_STORE, &record));
    assert_int_equal(record.kind, RECORD_FILTER);
    assert_true(record_get_filter(&record, &filter));
    assert_int_equal(filter.serial, RESET_SERIAL + serial);
    assert_bytes(filter.filter, text);
    assert_int_equal(filter.any, any);
    assert_int_equal(filter.persistent, persistent);
}

static void assert_group(struct announced *a, uint64_t serial, uint32_t online, uint32_t offline)
{
    struct ring_record record;
    struct record_group group;
    struct hash128 id = filters_group_id(bytes_of("$share/g/a/+"));
    assert_true(fixture_next(a->f, FIXTURE_STORE, &record));
    assert_int_equal(record.kind, RECORD_GROUP);
    assert_true(record_get_group(&record, &group));
    assert_int_equal(group.serial, RESET_SERIAL + serial);
    assert_bytes(group.filter, "a/+");
    assert_memory_equal(&group.id, &id, sizeof(id));
    assert_int_equal(group.online, online);
    assert_int_equal(group.offline, offline);
}

/* What found no room goes out, behind what filled the ring. */
static void let_go(struct announced *a)
{
    fixture_drain(a->f, FIXTURE_STORE);
    (void)outbound_retry(&a->f->router.outbound);
}

static void test_announcer_start_sends_reset_first(void **state)
{
    struct fixture *f = *state;
    struct session *s = fixture_session(f, "a", NULL);
    fixture_subscribe(f, s, "t", QOS_AT_MOST_ONCE);
    struct ring_record record;
    uint64_t serial;
    assert_true(fixture_next(f, FIXTURE_STORE, &record));
    assert_int_equal(record.kind, RECORD_RESET);
    assert_true(record_get_reset(&record, &serial));
    assert_int_equal(serial, RESET_SERIAL);
    struct announced a = {.f = f};
    assert_filter(&a, 1, "t", true, false);
    fixture_end(f, s);
}

static void test_announce_filter_first_and_last(void **state)
{
    struct announced a = begin(state);
    struct subscription *s = fixture_subscribe(a.f, a.brief, "a/+/#", QOS_AT_MOST_ONCE);
    assert_filter(&a, 1, "a/+/#", true, false);
    assert_int_equal(s->filter->serial, RESET_SERIAL + 1);
    assert_null(s->filter->unsent);
    struct session *other = fixture_session(a.f, "other", NULL);
    fixture_subscribe(a.f, other, "a/+/#", QOS_AT_MOST_ONCE);
    assert_none(&a);
    unsubscribe(&a, s);
    assert_none(&a);
    fixture_end(a.f, other);
    assert_filter(&a, 2, "a/+/#", false, false);
    end(&a);
}

static void test_announce_filter_persistence(void **state)
{
    struct announced a = begin(state);
    fixture_subscribe(a.f, a.brief, "t", QOS_AT_MOST_ONCE);
    assert_filter(&a, 1, "t", true, false);
    struct subscription *s = fixture_subscribe(a.f, a.persistent, "t", QOS_AT_MOST_ONCE);
    assert_filter(&a, 2, "t", true, true);
    unsubscribe(&a, s);
    assert_filter(&a, 3, "t", true, false);
    a.brief->expiry_s = 1;
    filters_update_session(&a.f->router.filters, a.brief);
    assert_filter(&a, 4, "t", true, true);
    end(&a);
}

static void test_announce_filter_merges_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_fill(a.f, FIXTURE_STORE);
    struct subscription *s = fixture_subscribe(a.f, a.brief, "t", QOS_AT_MOST_ONCE);
    assert_non_null(s->filter->unsent);
    fixture_subscribe(a.f, a.persistent, "t", QOS_AT_MOST_ONCE);
    let_go(&a);
    assert_filter(&a, 1, "t", true, true);
    assert_none(&a);
    assert_null(s->filter->unsent);
    assert_int_equal(s->filter->serial, RESET_SERIAL + 1);
    end(&a);
}

static void test_announce_filter_freed_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_fill(a.f, FIXTURE_STORE);
    unsubscribe(&a, fixture_subscribe(a.f, a.brief, "a/b", QOS_AT_MOST_ONCE));
    assert_int_equal(a.f->router.filters.nodes.count, 0);
    let_go(&a);
    assert_filter(&a, 1, "a/b", false, false);
    assert_none(&a);
    end(&a);
}

/* The new node is another one, and so is its announcement. */
static void test_announce_filter_comes_back_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_fill(a.f, FIXTURE_STORE);
    unsubscribe(&a, fixture_subscribe(a.f, a.brief, "t", QOS_AT_MOST_ONCE));
    struct subscription *s = fixture_subscribe(a.f, a.persistent, "t", QOS_AT_MOST_ONCE);
    assert_int_equal(s->filter->serial, RESET_SERIAL + 2);
    let_go(&a);
    assert_filter(&a, 1, "t", false, false);
    assert_filter(&a, 2, "t", true, true);
    assert_none(&a);
    end(&a);
}

/* A node that others hang on stays when its own last subscriber goes. */
static void test_announce_filter_stays_as_a_parent_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_subscribe(a.f, a.persistent, "a/b", QOS_AT_MOST_ONCE);
    assert_filter(&a, 1, "a/b", true, true);
    fixture_fill(a.f, FIXTURE_STORE);
    unsubscribe(&a, fixture_subscribe(a.f, a.brief, "a", QOS_AT_MOST_ONCE));
    fixture_subscribe(a.f, a.brief, "a", QOS_AT_MOST_ONCE);
    let_go(&a);
    assert_filter(&a, 2, "a", false, false);
    assert_filter(&a, 3, "a", true, false);
    end(&a);
}

static void test_announce_group_counts_members(void **state)
{
    struct announced a = begin(state);
    static struct fake_conn conn;
    struct session *online = fixture_session(a.f, "online", &conn);
    struct subscription *s = fixture_subscribe(a.f, a.persistent, "$share/g/a/+", QOS_AT_MOST_ONCE);
    assert_group(&a, 1, 0, 1);
    assert_int_equal(s->group->serial, RESET_SERIAL + 1);
    fixture_subscribe(a.f, online, "$share/g/a/+", QOS_AT_MOST_ONCE);
    assert_group(&a, 2, 1, 1);
    fixture_detach(a.f, online, &conn);
    filters_update_session(&a.f->router.filters, online);
    assert_group(&a, 3, 0, 2);
    fixture_end(a.f, online);
    assert_group(&a, 4, 0, 1);
    unsubscribe(&a, s);
    assert_group(&a, 5, 0, 0);
    end(&a);
}

static void test_announce_group_merges_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_fill(a.f, FIXTURE_STORE);
    fixture_subscribe(a.f, a.persistent, "$share/g/a/+", QOS_AT_MOST_ONCE);
    fixture_subscribe(a.f, a.brief, "$share/g/a/+", QOS_AT_MOST_ONCE);
    let_go(&a);
    assert_group(&a, 1, 0, 2);
    assert_none(&a);
    end(&a);
}

static void test_announce_group_freed_while_unsent(void **state)
{
    struct announced a = begin(state);
    fixture_fill(a.f, FIXTURE_STORE);
    unsubscribe(&a, fixture_subscribe(a.f, a.brief, "$share/g/a/+", QOS_AT_MOST_ONCE));
    assert_int_equal(a.f->router.filters.groups.count, 0);
    fixture_subscribe(a.f, a.persistent, "$share/g/a/+", QOS_AT_MOST_ONCE);
    let_go(&a);
    assert_group(&a, 1, 0, 0);
    assert_group(&a, 2, 0, 1);
    assert_none(&a);
    end(&a);
}

static void test_announcer_confirm_takes_only_its_own(void **state)
{
    struct announced a = begin(state);
    struct announcer *an = &a.f->router.announcer;
    fixture_subscribe(a.f, a.brief, "a", QOS_AT_MOST_ONCE);
    fixture_subscribe(a.f, a.brief, "b", QOS_AT_MOST_ONCE);
    assert_false(announcer_confirm(an, (uint64_t)(FIXTURE_EPOCH - 1) << 32 | 5));
    assert_false(announcer_confirm(an, RESET_SERIAL - 1));
    assert_true(announcer_confirm(an, RESET_SERIAL));
    assert_false(announcer_confirm(an, RESET_SERIAL));
    assert_false(announcer_confirm(an, RESET_SERIAL + 3)); /* never sent */
    assert_true(announcer_confirm(an, RESET_SERIAL + 2));
    assert_int_equal(an->confirmed, RESET_SERIAL + 2);
    assert_false(announcer_confirm(an, RESET_SERIAL + 1));
    end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_announcer_start_sends_reset_first),
        FIXTURE_TEST(test_announce_filter_first_and_last),
        FIXTURE_TEST(test_announce_filter_persistence),
        FIXTURE_TEST(test_announce_filter_merges_while_unsent),
        FIXTURE_TEST(test_announce_filter_freed_while_unsent),
        FIXTURE_TEST(test_announce_filter_comes_back_while_unsent),
        FIXTURE_TEST(test_announce_filter_stays_as_a_parent_while_unsent),
        FIXTURE_TEST(test_announce_group_counts_members),
        FIXTURE_TEST(test_announce_group_merges_while_unsent),
        FIXTURE_TEST(test_announce_group_freed_while_unsent),
        FIXTURE_TEST(test_announcer_confirm_takes_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
