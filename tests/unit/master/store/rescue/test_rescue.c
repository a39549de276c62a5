#include "master/store/rescue/rescue.h"

#include "tests/unit/master/store/durable/durable_fixture.h"

#include "master/store/durable/durable.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"
#include "master/store/rescue/rescue_copy.h"

#include <errno.h>
#include <fcntl.h>

static const uint64_t session = UINT64_C(7) << 32 | 1; /* of run 7 */
static const uint64_t message = UINT64_C(9) << 32 | 1;

/* -- helpers -- */

static void path_of(const struct durable_fixture *f, const char *name, char path[96])
{
    snprintf(path, 96, "%s/%s", f->folder, name);
}

static bool take_away(const struct durable_fixture *f, const char *name)
{
    char path[96];
    path_of(f, name, path);
    return unlink(path) == 0;
}

static int close_fixture(void **state)
{
    take_away(*state, "data.mdb.bad-1");
    take_away(*state, "data.mdb.bad-2");
    take_away(*state, RESCUE_COPY_NAME);
    return durable_fixture_close(state);
}

static void put_text(const struct durable_fixture *f, const char *text)
{
    char path[96];
    path_of(f, "data.mdb", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; text[0] != '\0' && i < 5000; i++)
        fputs(text, file);
    fclose(file);
}

static struct durable open_durable(const struct durable_fixture *f)
{
    struct durable d;
    assert_int_equal(durable_open(&d, f->folder, DURABLE_FIXTURE_SIZE, &f->key, false), 0);
    return d;
}

static struct rescue_outcome rescue(const struct durable_fixture *f, bool is_careful)
{
    struct rescue_outcome outcome;
    assert_int_equal(rescue_folder(f->folder, DURABLE_FIXTURE_SIZE, is_careful, &outcome), 0);
    return outcome;
}

static void put_row(struct durable *d, struct durable_key key, struct record_journal journal)
{
    assert_int_equal(durable_row_put(d->env, &d->clock, &key, &journal), 0);
}

/* A session with a subscription, a QoS 2 id, and a delivery of each QoS of one message. */
static void make_store(const struct durable_fixture *f)
{
    const struct record_message body = {.message_id = message, .topic = bytes_of("t"), .qos = 2};
    struct durable_key body_key = durable_key_body(message);
    struct durable_key count_key = durable_key_count(message);
    struct durable d = open_durable(f);
    assert_int_equal(durable_env_begin(d.env), 0);
    put_row(&d, durable_key_number(DURABLE_SESSION, session),
            (struct record_journal){.name = bytes_of("client"), .version = 5});
    put_row(&d, durable_key_named(DURABLE_SUBSCRIPTION, session, bytes_of("a/#")),
            (struct record_journal){.name = bytes_of("a/#")});
    put_row(&d, durable_key_pair(DURABLE_RECEIVED, session, 5), (struct record_journal){0});
    for (uint8_t qos = 1; qos <= 2; qos++)
        put_row(&d, durable_key_pair(DURABLE_QUEUE, session, qos),
                (struct record_journal){.message_id = message, .qos = qos});
    assert_int_equal(durable_message_put(d.env, &d.clock, &body_key, &body), 0);
    assert_int_equal(durable_row_put_number(d.env, &count_key, 2), 0);
    assert_int_equal(durable_env_commit(d.env), 0);
    durable_close(&d);
}

/* So long ago that the commit before the last one has the damage, too. */
static void damage_row(const struct durable_fixture *f, struct durable_key key)
{
    struct durable d = open_durable(f);
    durable_fixture_damage(d.env, key);
    durable_fixture_put(d.env, durable_key_number(DURABLE_SERIAL, 1), "content");
    durable_env_close(d.env);
}

static void make_copy(const struct durable_fixture *f)
{
    struct durable d = open_durable(f);
    struct rescue_copy copy;
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY);
    int r = 0;
    assert_int_equal(rescue_copy_begin(&copy, fd), 0);
    while (r == 0)
        r = rescue_copy_step(&copy, d.env, &d.clock, 64);
    assert_int_equal(r, 1);
    close(fd);
    durable_close(&d);
}

static unsigned count_kind(struct durable *d, enum durable_kind kind)
{
    struct durable_key key = durable_key_of(kind);
    struct bytes content;
    unsigned count = 0;
    assert_int_equal(durable_env_begin_read(d->env), 0);
    while (durable_env_next(d->env, &key, DURABLE_KIND_PREFIX, &content) == 0)
        count++;
    durable_env_abort(d->env);
    return count;
}

static void assert_rows(const struct durable_fixture *f, unsigned sessions, unsigned received,
                        unsigned deliveries, unsigned bodies)
{
    struct durable d = open_durable(f);
    assert_int_equal(count_kind(&d, DURABLE_SESSION), sessions);
    assert_int_equal(count_kind(&d, DURABLE_SUBSCRIPTION), sessions);
    assert_int_equal(count_kind(&d, DURABLE_RECEIVED), received);
    assert_int_equal(count_kind(&d, DURABLE_QUEUE), deliveries);
    assert_int_equal(count_kind(&d, DURABLE_MESSAGE), 2 * bodies);
    durable_close(&d);
}

/* -- tests -- */

static void test_rescue_folder_leaves_sound_ones_alone(void **state)
{
    assert_false(rescue(*state, false).was_damaged); /* there is none */
    make_store(*state);
    assert_false(rescue(*state, false).was_damaged);
    assert_rows(*state, 1, 1, 2, 1);
    assert_false(take_away(*state, "data.mdb.bad-1"));
}

static void test_rescue_folder_puts_strangers_aside(void **state)
{
    put_text(*state, "no database\n");
    assert_true(rescue(*state, false).was_damaged);
    assert_rows(*state, 0, 0, 0, 0);
    assert_true(take_away(*state, "data.mdb.bad-1"));
    put_text(*state, "");
    assert_false(rescue(*state, false).was_damaged);
    assert_rows(*state, 0, 0, 0, 0);
}

static void test_rescue_folder_refuses_one_in_use(void **state)
{
    const struct durable_fixture *f = *state;
    struct rescue_outcome outcome;
    struct durable d = open_durable(f);
    assert_int_equal(rescue_folder(f->folder, DURABLE_FIXTURE_SIZE, false, &outcome), -EBUSY);
    durable_close(&d);
}

static void test_rescue_folder_refuses_other_format(void **state)
{
    const struct durable_fixture *f = *state;
    struct rescue_outcome outcome;
    static const uint8_t other[] = {'C', 'R', 'T', 'R', 0, 0, 0, 99, 0xFF, 0xFF, 0xFF, 0x9C};
    struct durable_key key = durable_key_of(DURABLE_FORMAT);
    struct durable d = open_durable(f);
    assert_int_equal(durable_env_begin(d.env), 0);
    assert_int_equal(durable_env_put_raw(d.env, &key, (struct bytes){other, sizeof other}), 0);
    assert_int_equal(durable_env_commit(d.env), 0);
    durable_close(&d);
    assert_int_equal(rescue_folder(f->folder, DURABLE_FIXTURE_SIZE, true, &outcome), -EPROTO);
    assert_false(take_away(f, "data.mdb.bad-1"));
}

static void test_rescue_folder_careful_keeps_all(void **state)
{
    make_store(*state);
    assert_false(rescue(*state, true).was_damaged);
    assert_rows(*state, 1, 1, 2, 1);
    assert_true(take_away(*state, "data.mdb.bad-1"));
}

static void test_rescue_folder_drops_what_needs_a_lost_row(void **state)
{
    make_store(*state);
    damage_row(*state, durable_key_number(DURABLE_SESSION, session));
    assert_true(rescue(*state, false).was_damaged);
    assert_rows(*state, 0, 0, 0, 0);
}

/* Else a new session would get the number of an old one, and with it its messages. */
static void test_rescue_folder_gives_no_run_out_twice(void **state)
{
    uint32_t run;
    make_store(*state);
    damage_row(*state, durable_key_of(DURABLE_RUN));
    assert_true(rescue(*state, false).was_damaged);
    struct durable d = open_durable(*state);
    assert_int_equal(durable_take_run(&d, &run), 0);
    assert_true(run > 9);
    durable_close(&d);
}

/* What may have happened since must not happen twice. */
static void test_rescue_folder_takes_from_the_copy_what_may_be_old(void **state)
{
    make_store(*state);
    make_copy(*state);
    put_text(*state, "no database\n");
    struct rescue_outcome outcome = rescue(*state, false);
    assert_true(outcome.was_damaged && outcome.rows_copied > 0);
    assert_rows(*state, 1, 0, 1, 1);
    take_away(*state, "data.mdb");
    assert_true(rescue(*state, false).was_damaged);
    assert_rows(*state, 1, 0, 1, 1);
}

/* What is not there was deleted, unless it is known to be lost. */
static void test_rescue_folder_brings_back_only_what_is_lost(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_key gone = durable_key_pair(DURABLE_QUEUE, session, 1);
    make_store(f);
    make_copy(f);
    struct durable d = open_durable(f);
    assert_int_equal(durable_env_begin(d.env), 0);
    assert_int_equal(durable_env_delete(d.env, &gone), 0);
    assert_int_equal(durable_env_commit(d.env), 0);
    durable_close(&d);
    damage_row(f, durable_key_number(DURABLE_SESSION, session));
    assert_int_equal(rescue(f, false).rows_copied, 1);
    assert_rows(f, 1, 1, 1, 1);
}

static void put_rows(const struct durable_fixture *f, const struct durable_key *keys,
                     unsigned count)
{
    struct durable d = open_durable(f);
    assert_int_equal(durable_env_begin(d.env), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(durable_row_put_number(d.env, &keys[i], message), 0);
    assert_int_equal(durable_env_commit(d.env), 0);
    durable_close(&d);
}

static bool has_row(const struct durable_fixture *f, struct durable_key key)
{
    struct durable d = open_durable(f);
    assert_int_equal(durable_env_begin_read(d.env), 0);
    bool has = durable_env_has(d.env, &key);
    durable_env_abort(d.env);
    durable_close(&d);
    return has;
}

/* Who had a message is known as long as that may come once more, and no longer. */
static void test_rescue_folder_keeps_what_is_known_of_repeated(void **state)
{
    const struct durable_key kept = durable_key_pair(DURABLE_UNSURE, message, session);
    const struct durable_key gone = durable_key_pair(DURABLE_UNSURE, message + 1, session);
    const struct durable_key keys[] = {durable_key_pair(DURABLE_RECEIVED, session, 5), kept, gone};
    make_store(*state);
    put_rows(*state, keys, 3);
    assert_false(rescue(*state, true).was_damaged);
    assert_rows(*state, 1, 1, 2, 1);
    assert_true(has_row(*state, kept));
    assert_true(has_row(*state, durable_key_pair(DURABLE_UNSURE, message, 0)));
    assert_false(has_row(*state, gone));
}

static void test_rescue_folder_brings_back_no_session_that_ended(void **state)
{
    const struct durable_key ended = durable_key_number(DURABLE_ENDED, session);
    make_store(*state);
    put_rows(*state, &ended, 1);
    assert_false(rescue(*state, true).was_damaged);
    assert_rows(*state, 0, 0, 0, 0);
    assert_false(has_row(*state, ended));
}

int main(void)
{
#define FIXTURED(test) cmocka_unit_test_setup_teardown(test, durable_fixture_open, close_fixture)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_rescue_folder_leaves_sound_ones_alone),
        FIXTURED(test_rescue_folder_puts_strangers_aside),
        FIXTURED(test_rescue_folder_refuses_one_in_use),
        FIXTURED(test_rescue_folder_refuses_other_format),
        FIXTURED(test_rescue_folder_careful_keeps_all),
        FIXTURED(test_rescue_folder_drops_what_needs_a_lost_row),
        FIXTURED(test_rescue_folder_gives_no_run_out_twice),
        FIXTURED(test_rescue_folder_takes_from_the_copy_what_may_be_old),
        FIXTURED(test_rescue_folder_brings_back_only_what_is_lost),
        FIXTURED(test_rescue_folder_keeps_what_is_known_of_repeated),
        FIXTURED(test_rescue_folder_brings_back_no_session_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
