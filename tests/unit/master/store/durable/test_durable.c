#include "master/store/durable/durable.h"

#include "tests/unit/master/store/durable/durable_fixture.h"

#include "common/base/clock.h"
#include "master/store/durable/durable_apply.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_restore.h"

#include <errno.h>
#include <stdio.h>

static struct durable open_durable(const struct durable_fixture *f, bool is_successor)
{
    struct durable d;
    assert_int_equal(durable_open(&d, f->folder, DURABLE_FIXTURE_SIZE, &f->key, is_successor), 0);
    return d;
}

static void apply(struct durable *d, const struct record_journal *journals, size_t count)
{
    struct durable_batch batch;
    durable_batch_init(&batch, d->key);
    for (size_t i = 0; i < count; i++)
        assert_true(durable_batch_add(&batch, 0, &journals[i]));
    assert_int_equal(durable_apply(d, &batch, NULL, 0), 0);
    durable_batch_done(&batch);
}

static struct record_journal session_of(uint64_t number, uint64_t end_at_ms)
{
    return (struct record_journal){.kind = RECORD_SESSION,
                                   .session = number,
                                   .version = 4,
                                   .end_at_ms = end_at_ms,
                                   .name = bytes_of("client")};
}

static void put_retained(struct durable *d, const char *topic, uint64_t expiry_at_ms)
{
    const struct record_message message = {.message_id = 1,
                                           .topic = bytes_of(topic),
                                           .payload = bytes_of("payload"),
                                           .expiry_at_ms = expiry_at_ms};
    struct durable_key key = durable_key_name(DURABLE_RETAINED, message.topic);
    assert_int_equal(durable_env_begin(d->env), 0);
    assert_int_equal(durable_message_put(d->env, &d->clock, &key, &message), 0);
    assert_int_equal(durable_env_commit(d->env), 0);
}

static int count_one(const struct record_message *message, void *context)
{
    unsigned *count = context;
    assert_true(bytes_equal(message->payload, bytes_of("payload")));
    (*count)++;
    return 0;
}

static unsigned count_retained(struct durable *d)
{
    unsigned count = 0;
    assert_int_equal(durable_walk_retained(d, count_one, &count), 0);
    return count;
}

static void test_durable_open_drops_expired_sessions(void **state)
{
    uint64_t now_ms = clock_now_ms();
    struct durable d = open_durable(*state, false);
    const struct record_journal journals[] = {
        session_of(1, now_ms + 5000),
        session_of(2, now_ms + 3600000),
        session_of(3, 0),
        {.kind = RECORD_RECEIVED, .session = 1, .packet_id = 1},
        {.kind = RECORD_SUBSCRIBE, .session = 1, .name = bytes_of("a")},
    };
    apply(&d, journals, 5);
    assert_int_equal(d.sessions, 3);
    durable_close(&d);
    clock_skew_ms(10000);
    d = open_durable(*state, true); /* somebody serves them */
    assert_int_equal(d.sessions, 3);
    durable_fixture_damage(d.env, durable_key_of(DURABLE_TOTALS));
    durable_close(&d);
    d = open_durable(*state, true);
    assert_int_equal(d.sessions, 3);
    durable_close(&d);
    d = open_durable(*state, false);
    assert_int_equal(d.sessions, 2);
    struct durable_key key = durable_key_number(DURABLE_SUBSCRIPTION, 1);
    struct bytes content;
    assert_int_equal(durable_env_begin_read(d.env), 0);
    assert_int_equal(durable_env_next(d.env, &key, DURABLE_NUMBER_PREFIX, &content), -ENOENT);
    durable_env_abort(d.env);
    durable_close(&d);
}

static void test_durable_open_drops_expired_retained(void **state)
{
    uint64_t now_ms = clock_now_ms();
    struct durable d = open_durable(*state, false);
    put_retained(&d, "soon", now_ms + 5000);
    put_retained(&d, "late", now_ms + 3600000);
    put_retained(&d, "never", 0);
    assert_int_equal(count_retained(&d), 3);
    durable_close(&d);
    clock_skew_ms(10000);
    d = open_durable(*state, false);
    assert_int_equal(count_retained(&d), 2);
    durable_close(&d);
}

static void test_durable_sweep_finds_expired_retained(void **state)
{
    struct durable_batch batch;
    struct durable d = open_durable(*state, false);
    char topic[8];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(topic, sizeof topic, "%u", i);
        put_retained(&d, topic, i % 2 == 0 ? 0 : clock_now_ms() + 5000);
    }
    durable_batch_init(&batch, d.key);
    durable_sweep(&d, &batch, 100);
    assert_int_equal(batch.count, 0);
    clock_skew_ms(10000);
    for (unsigned i = 0; i < 4; i++)
        durable_sweep(&d, &batch, 6);
    assert_int_equal(batch.count, 10);
    assert_int_equal(durable_apply(&d, &batch, NULL, 0), 0);
    durable_batch_done(&batch);
    assert_int_equal(count_retained(&d), 10);
    durable_close(&d);
}

static void test_durable_open_drops_damaged_rows(void **state)
{
    struct durable d = open_durable(*state, false);
    const struct record_journal journals[] = {session_of(1, 0), session_of(2, 0)};
    apply(&d, journals, 2);
    put_retained(&d, "good", 0);
    durable_fixture_damage(d.env, durable_key_name(DURABLE_RETAINED, bytes_of("bad")));
    durable_fixture_damage(d.env, durable_key_number(DURABLE_SESSION, 2));
    durable_fixture_damage(d.env, durable_key_pair(DURABLE_QUEUE, 1, 1));
    durable_fixture_damage(d.env, durable_key_of(DURABLE_CLOCK));
    durable_fixture_damage(d.env, durable_key_of(DURABLE_RUN));
    durable_close(&d);
    d = open_durable(*state, false);
    assert_int_equal(d.damaged, 3);
    assert_int_equal(d.sessions, 1);
    assert_int_equal(d.deliveries, 0);
    assert_int_equal(count_retained(&d), 1);
    durable_close(&d);
    d = open_durable(*state, false);
    assert_int_equal(d.damaged, 0);
    durable_close(&d);
}

static bool want_all(struct bytes client_id, void *context)
{
    (void)client_id;
    (void)context;
    return true;
}

static void test_durable_restore_next_tells_damaged_body(void **state)
{
    struct durable d = open_durable(*state, false);
    struct durable_batch batch;
    const struct record_journal session = session_of(1, 0);
    const struct record_journal entry = {
        .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 9, .packet_id = 1, .qos = 1};
    const struct record_message message = {.message_id = 9, .topic = bytes_of("t")};
    durable_batch_init(&batch, d.key);
    struct durable_body *body = durable_batch_body(&batch, 9);
    durable_batch_set_body(body, &message, NULL);
    durable_batch_add(&batch, 0, &session);
    durable_batch_add(&batch, 0, &entry);
    assert_int_equal(durable_apply(&d, &batch, NULL, 0), 0);
    durable_batch_put_body(&batch, body);
    durable_batch_done(&batch);
    durable_fixture_damage(d.env, durable_key_body(9));

    struct durable_restore walk;
    struct durable_item item;
    durable_restore_start(&walk);
    assert_int_equal(durable_env_begin_read(d.env), 0);
    assert_int_equal(durable_restore_next(&walk, &d, want_all, NULL, &item), 0);
    assert_int_equal(item.journal.kind, RECORD_SESSION);
    durable_restore_advance(&walk, &item);
    assert_int_equal(durable_restore_next(&walk, &d, want_all, NULL, &item), 0);
    assert_true(item.is_damaged);
    durable_restore_advance(&walk, &item);
    assert_int_equal(durable_restore_next(&walk, &d, want_all, NULL, &item), -ENOENT);
    durable_env_abort(d.env);
    durable_close(&d);
}

/* Reading records twice comes to the same, even if nobody knows that they were read. */
static void test_durable_apply_twice_is_once(void **state)
{
    struct durable d = open_durable(*state, false);
    const struct record_message message = {.message_id = 9, .topic = bytes_of("t")};
    const struct record_journal journals[] = {
        session_of(1, 0),
        session_of(2, 0),
        {.kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 9, .qos = 1},
        {.kind = RECORD_ENQUEUE, .session = 2, .seq = 1, .message_id = 9, .qos = 1},
        {.kind = RECORD_RECEIVED, .session = 1, .packet_id = 4},
    };
    const struct record_journal ends[] = {
        {.kind = RECORD_DONE, .session = 1, .seq = 1},
        {.kind = RECORD_SESSION_END, .session = 2},
    };
    struct durable_key count_key = durable_key_count(9);
    for (int i = 0; i < 3; i++) {
        struct durable_batch batch;
        durable_batch_init(&batch, d.key);
        struct durable_body *body = durable_batch_body(&batch, 9);
        durable_batch_set_body(body, &message, NULL);
        for (size_t j = 0; j < sizeof journals / sizeof journals[0]; j++)
            durable_batch_add(&batch, 0, &journals[j]);
        assert_int_equal(durable_apply(&d, &batch, NULL, 0), 0);
        durable_batch_put_body(&batch, body);
        durable_batch_done(&batch);
        assert_int_equal(d.sessions, 2);
        assert_int_equal(d.deliveries, 2);
    }
    for (int i = 0; i < 2; i++)
        apply(&d, ends, 2);
    assert_int_equal(d.sessions, 1);
    assert_int_equal(d.deliveries, 0);
    assert_int_equal(durable_env_begin_read(d.env), 0);
    assert_false(durable_env_has(d.env, &count_key));
    durable_env_abort(d.env);
    durable_close(&d);
}

/* -- QoS 2 that may come once more -- */

/* What a worker is told of sessions and messages: the number of RECORD_HAD, and of ENQUEUEs
 * that are unsure. */
static void count_unsure(struct durable *d, unsigned *ret_had, unsigned *ret_queued)
{
    struct durable_restore walk;
    struct durable_item item;
    *ret_had = 0;
    *ret_queued = 0;
    durable_restore_start(&walk);
    assert_int_equal(durable_env_begin_read(d->env), 0);
    while (durable_restore_next(&walk, d, want_all, NULL, &item) == 0) {
        assert_false(item.is_damaged);
        *ret_had += item.journal.kind == RECORD_HAD;
        *ret_queued += item.journal.kind == RECORD_ENQUEUE && item.journal.unsure;
        durable_restore_advance(&walk, &item);
    }
    durable_env_abort(d->env);
}

/* Sessions 1 and 2 get message 9 of session 3, under its packet id 4. */
static void put_unsure(struct durable *d)
{
    const struct record_message message = {.message_id = 9, .topic = bytes_of("t"), .qos = 2};
    const struct record_journal journals[] = {
        session_of(1, 0),
        session_of(2, 0),
        session_of(3, 0),
        {.kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 9, .packet_id = 1, .qos = 2},
        {.kind = RECORD_ENQUEUE, .session = 2, .seq = 1, .message_id = 9, .packet_id = 1, .qos = 2},
        {.kind = RECORD_RECEIVED, .session = 3, .packet_id = 4, .message_id = 9},
    };
    struct durable_batch batch;
    durable_batch_init(&batch, d->key);
    struct durable_body *body = durable_batch_body(&batch, 9);
    durable_batch_set_body(body, &message, NULL);
    for (size_t i = 0; i < sizeof journals / sizeof journals[0]; i++)
        durable_batch_add(&batch, 0, &journals[i]);
    assert_int_equal(durable_apply(d, &batch, NULL, 0), 0);
    durable_batch_put_body(&batch, body);
    durable_batch_done(&batch);
}

static void assert_unsure(struct durable *d, unsigned had, unsigned queued)
{
    unsigned got_had;
    unsigned got_queued;
    count_unsure(d, &got_had, &got_queued);
    assert_int_equal(got_had, had);
    assert_int_equal(got_queued, queued);
}

static void test_durable_tells_who_had_what_may_come_once_more(void **state)
{
    const struct record_journal released = {.kind = RECORD_RELEASED, .session = 1, .seq = 1};
    const struct record_journal done[] = {{.kind = RECORD_DONE, .session = 1, .seq = 1},
                                          {.kind = RECORD_DONE, .session = 2, .seq = 1}};
    struct durable d = open_durable(*state, false);
    put_unsure(&d);
    assert_unsure(&d, 0, 2);
    apply(&d, &released, 1);
    assert_unsure(&d, 1, 1);
    apply(&d, done, 2);
    assert_unsure(&d, 2, 0);
    durable_close(&d);
    d = open_durable(*state, false);
    assert_unsure(&d, 2, 0);
    durable_close(&d);
}

static void test_durable_tells_at_once_who_has_it_through_a_shared_group(void **state)
{
    const struct record_journal received = {
        .kind = RECORD_RECEIVED, .session = 3, .packet_id = 4, .message_id = 9};
    const struct record_message message = {.message_id = 9, .topic = bytes_of("t"), .qos = 2};
    struct record_journal enqueue = {
        .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 9, .qos = 2, .shared = true};
    struct durable d = open_durable(*state, false);
    struct durable_batch batch;
    const struct record_journal session = session_of(1, 0);
    durable_batch_init(&batch, d.key);
    struct durable_body *body = durable_batch_body(&batch, 9);
    durable_batch_set_body(body, &message, NULL);
    durable_batch_add(&batch, 0, &session);
    durable_batch_add(&batch, 0, &enqueue);
    durable_batch_add(&batch, 0, &received);
    assert_int_equal(durable_apply(&d, &batch, NULL, 0), 0);
    durable_batch_put_body(&batch, body);
    durable_batch_done(&batch);
    assert_unsure(&d, 1, 0);
    durable_close(&d);
}

/* Its publisher, and who passes it on to another member of a shared group. */
static void test_durable_knows_who_had_it_until_the_last_is_sure(void **state)
{
    const struct record_journal begin[] = {
        {.kind = RECORD_RECEIVED, .session = 1, .packet_id = 7, .message_id = 9},
        {.kind = RECORD_DONE, .session = 2, .seq = 1},
    };
    const struct record_journal ends[][2] = {
        {{.kind = RECORD_RECEIVE_END, .session = 3, .packet_id = 4},
         {.kind = RECORD_RECEIVE_END, .session = 1, .packet_id = 7}},
        {{.kind = RECORD_RECEIVED, .session = 1, .packet_id = 7},
         {.kind = RECORD_RECEIVED, .session = 3, .packet_id = 4}},
        {{.kind = RECORD_SESSION_END, .session = 3}, {.kind = RECORD_SESSION_END, .session = 1}},
    };
    struct durable d = open_durable(*state, false);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        put_unsure(&d);
        apply(&d, begin, 2);
        apply(&d, begin, 2); /* reading it twice does no harm */
        assert_unsure(&d, 1, 1);
        apply(&d, &ends[i][0], 1);
        assert_unsure(&d, 1, 1);
        apply(&d, &ends[i][1], 1);
        assert_unsure(&d, 0, 0);
    }
    durable_close(&d);
}

static void test_durable_forgets_who_had_what_is_sure(void **state)
{
    const struct record_journal ends[][2] = {
        {{.kind = RECORD_RECEIVED, .session = 3, .packet_id = 4},
         {.kind = RECORD_DONE, .session = 2, .seq = 1}},
        {{.kind = RECORD_DONE, .session = 2, .seq = 1},
         {.kind = RECORD_RECEIVE_END, .session = 3, .packet_id = 4}},
        {{.kind = RECORD_SESSION_END, .session = 3}, {.kind = RECORD_SESSION_END, .session = 2}},
    };
    const struct record_journal done = {.kind = RECORD_DONE, .session = 1, .seq = 1};
    struct durable d = open_durable(*state, false);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        put_unsure(&d);
        apply(&d, &done, 1);
        assert_unsure(&d, 1, 1);
        apply(&d, ends[i], 2);
        assert_unsure(&d, 0, 0);
    }
    durable_close(&d);
}

int main(void)
{
#define FIXTURED(test) \
    cmocka_unit_test_setup_teardown(test, durable_fixture_open, durable_fixture_close)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_durable_open_drops_expired_sessions),
        FIXTURED(test_durable_open_drops_expired_retained),
        FIXTURED(test_durable_sweep_finds_expired_retained),
        FIXTURED(test_durable_open_drops_damaged_rows),
        FIXTURED(test_durable_restore_next_tells_damaged_body),
        FIXTURED(test_durable_apply_twice_is_once),
        FIXTURED(test_durable_tells_who_had_what_may_come_once_more),
        FIXTURED(test_durable_tells_at_once_who_has_it_through_a_shared_group),
        FIXTURED(test_durable_knows_who_had_it_until_the_last_is_sure),
        FIXTURED(test_durable_forgets_who_had_what_is_sure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
