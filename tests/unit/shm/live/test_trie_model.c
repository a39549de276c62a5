/* The subscription trie against a list of filters, with random changes. */

#include "common/mqtt/topic.h"
#include "shm/live/trie.h"
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

static struct hash128 group_id(uint32_t number)
{
    struct hash128 id = {{0}};
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

enum { MODEL_MAX = 400, MODEL_WORKERS = 64, MODEL_GROUPS = 3 };

struct model_filter {
    char text[40];
    uint64_t any;
    uint64_t persistent;
    uint64_t members[MODEL_GROUPS];
};

struct model {
    unsigned count;
    struct model_filter filters[MODEL_MAX];
};

static void random_text(struct fixture *f, bool wild, char *text)
{
    static const char *const names[] = {"a", "b", "c", "", "$d", "longer-name"};
    unsigned levels = 1 + fixture_random(f, 5);
    text[0] = 0;
    for (unsigned i = 0; i < levels; i++) {
        if (i > 0)
            strcat(text, "/");
        if (wild && i + 1 == levels && fixture_random(f, 5) == 0) {
            strcat(text, "#");
        } else if (wild && fixture_random(f, 4) == 0) {
            strcat(text, "+");
        } else {
            strcat(text, names[fixture_random(f, levels > 3 ? 3 : 6)]);
        }
    }
    if (text[0] == 0)
        strcpy(text, "a");
}

static struct model_filter *model_get(struct model *model, const char *text)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (strcmp(model->filters[i].text, text) == 0)
            return &model->filters[i];
    }
    if (model->count == MODEL_MAX)
        return &model->filters[MODEL_MAX - 1];
    struct model_filter *filter = &model->filters[model->count++];
    strcpy(filter->text, text);
    return filter;
}

static void set_bit(uint64_t *bits, unsigned bit, bool on)
{
    *bits = on ? *bits | UINT64_C(1) << bit : *bits & ~(UINT64_C(1) << bit);
}

/* One random change of the trie and of the model. */
static void change(struct fixture *f, struct model *model, bool grow)
{
    char text[40];
    random_text(f, true, text);
    struct model_filter *filter = model_get(model, text);
    if (!grow)
        filter = &model->filters[fixture_random(f, model->count)];
    unsigned worker = fixture_random(f, MODEL_WORKERS);
    bool on = grow && fixture_random(f, 4) > 0;
    bool changed;
    if (fixture_random(f, 4) == 0) {
        uint32_t group = fixture_random(f, MODEL_GROUPS);
        struct hash128 id = group_id(group);
        assert_int_equal(trie_set_group(f->live, bytes_of(filter->text), &id, worker,
                                        (struct trie_weight){on, 0}, &changed),
                         0);
        set_bit(&filter->members[group], worker, on);
        return;
    }
    bool persistent = on && fixture_random(f, 2) == 0;
    assert_int_equal(trie_set(f->live, bytes_of(filter->text), worker, on, persistent, &changed),
                     0);
    set_bit(&filter->any, worker, on);
    set_bit(&filter->persistent, worker, persistent);
}

static void compare(struct fixture *f, const struct model *model)
{
    char topic[40];
    random_text(f, false, topic);
    uint64_t any = 0;
    uint64_t persistent = 0;
    unsigned groups = 0;
    for (unsigned i = 0; i < model->count; i++) {
        const struct model_filter *filter = &model->filters[i];
        if (!topic_matches(bytes_of(filter->text), bytes_of(topic)))
            continue;
        any |= filter->any;
        persistent |= filter->persistent;
        for (unsigned g = 0; g < MODEL_GROUPS; g++) {
            groups += filter->members[g] != 0;
        }
    }
    struct trie_match m;
    assert_int_equal(trie_match(f->live, bytes_of(topic), 0, &m), 0);
    assert_false(m.cut);
    if (m.any != any || m.persistent != persistent || m.group_count != groups) {
        fail_msg("topic %s: any %llx persistent %llx groups %u", topic, (unsigned long long)m.any,
                 (unsigned long long)m.persistent, m.group_count);
    }
}

static void clear_all_workers(struct fixture *f, struct model *model)
{
    for (unsigned worker = 0; worker < MODEL_WORKERS; worker++) {
        struct trie_clear *clear = trie_clear_new(worker);
        bool changed;
        int r;
        while ((r = trie_clear_step(f->live, clear, 7, &changed)) == -EAGAIN) {
            assert_int_equal(live_commit(f->live), 0);
            assert_int_equal(live_begin(f->live), 0);
        }
        assert_int_equal(r, 0);
        trie_clear_free(clear);
        for (unsigned i = 0; i < model->count; i++) {
            set_bit(&model->filters[i].any, worker, false);
            set_bit(&model->filters[i].persistent, worker, false);
            for (unsigned g = 0; g < MODEL_GROUPS; g++) {
                set_bit(&model->filters[i].members[g], worker, false);
            }
        }
        for (int i = 0; i < 5; i++) {
            compare(f, model);
        }
    }
}

static void test_trie_against_model(void **state)
{
    struct fixture *f = *state;
    fixture_seed(f);
    static struct model model;
    memset(&model, 0, sizeof model);
    for (int i = 0; i < 6000; i++) {
        change(f, &model, i % 2000 < 1300);
        compare(f, &model);
        if (i % 100 != 0)
            continue;
        assert_int_equal(live_commit(f->live), 0);
        assert_int_equal(live_begin(f->live), 0);
    }
    clear_all_workers(f, &model);
    assert_true(fixture_is_empty(f, LIVE_TRIE, LIVE_GROUP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trie_against_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
