#include "tests/unit/master/store/journal_bench.h"

#include "common/base/clock.h"
#include "master/store/durable/durable_row.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* -- commit and confirm -- */

static void test_committer_work_turn_confirms_after_commit(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    uint64_t serial = journal_bench_enqueue(b, 0, 1, 1, 100);
    assert_int_equal(b->heard[0].confirm_count, 0);
    journal_bench_turn(b);
    assert_int_equal(b->heard[0].confirmed, serial);
    assert_int_equal(b->heard[0].confirm_count, 1);
    assert_int_equal(journal_bench_stat(b, STAT_durable_commits), 1);
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 1);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 1);
    journal_bench_run(b);
    assert_true(committer_work_is_idle(&b->work));
}

static void test_committer_work_turn_writes_nothing_that_cancels_out(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    journal_bench_run(b);
    uint64_t bytes = journal_bench_stat(b, STAT_durable_bytes);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        journal_bench_enqueue(b, 0, 1, seq, 50);
        journal_bench_put(
            b, 0,
            (struct record_journal){
                .kind = RECORD_SENT, .session = 1, .seq = seq, .packet_id = (uint16_t)seq});
        journal_bench_done(b, 0, 1, seq);
    }
    journal_bench_put_session(b, 0, 2);
    journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_SESSION_END, .session = 2});
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, b->serials[0]);
    assert_int_equal(journal_bench_stat(b, STAT_durable_bytes), bytes);
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 1);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 0);
}

static void test_committer_work_turn_keeps_body_while_needed(void **state)
{
    struct journal_bench *b = *state;
    struct journal_heard *heard;
    for (uint64_t session = 1; session <= 3; session++)
        journal_bench_put_session(b, 0, session);
    uint64_t message_id = journal_bench_put_body(b, 0, 3000);
    for (uint64_t session = 1; session <= 3; session++) {
        journal_bench_put(b, 0,
                          (struct record_journal){.kind = RECORD_ENQUEUE,
                                                  .session = session,
                                                  .seq = 1,
                                                  .message_id = message_id,
                                                  .packet_id = 1,
                                                  .qos = 1});
        journal_bench_run(b);
    }
    journal_bench_done(b, 0, 1, 1);
    journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_SESSION_END, .session = 2});
    journal_bench_run(b);
    heard = journal_bench_restore(b, 0);
    assert_int_equal(journal_bench_count(heard, RECORD_ENQUEUE), 1);
    journal_bench_done(b, 0, 3, 1);
    journal_bench_run(b);
    struct durable_key key = durable_key_body(message_id);
    assert_int_equal(durable_env_begin_read(b->work.durable.env), 0);
    assert_false(durable_env_has(b->work.durable.env, &key));
    durable_env_abort(b->work.durable.env);
}

static void test_committer_work_turn_refuses_entry_without_body(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    uint64_t serial = journal_bench_put(
        b, 0,
        (struct record_journal){
            .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 99, .qos = 1});
    journal_bench_run(b);
    assert_int_equal(b->heard[0].refused, serial);
    assert_int_equal(b->heard[0].reason, REASON_QUOTA_EXCEEDED); /* to be put again, with it */
    assert_int_equal(b->heard[0].confirmed, serial);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 0);
}

/* A worker that does not listen for long loses no answer. */
static void test_committer_work_turn_keeps_answers_when_ring_is_full(void **state)
{
    struct journal_bench *b = *state;
    for (unsigned i = 0; i < 6000; i++) {
        struct record_journal session = {
            .kind = RECORD_SESSION_END, .session = 5, .serial = ++b->serials[0]};
        assert_true(record_put_journal(&b->workers[0], JOURNAL_BENCH_COMMITTER, &session));
        mesh_publish(&b->workers[0]);
        committer_work_turn(&b->work);
        if (!committer_work_is_idle(&b->work))
            break;
    }
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, b->serials[0]);
}

/* -- restore -- */

static void test_committer_work_restore_gives_back_all(void **state)
{
    struct journal_bench *b = *state;
    uint32_t ids[] = {3, 400000};
    journal_bench_put_session(b, 0, 1);
    journal_bench_put_session(b, 1, 1000);
    journal_bench_put(b, 0,
                      (struct record_journal){.kind = RECORD_SUBSCRIBE,
                                              .session = 1,
                                              .subscription_id = 9,
                                              .options = 2,
                                              .name = bytes_of("$share/g/a/+")});
    journal_bench_put(
        b, 0,
        (struct record_journal){
            .kind = RECORD_SUBSCRIBE, .session = 1, .options = 1, .name = bytes_of("gone")});
    journal_bench_put(b, 0,
                      (struct record_journal){
                          .kind = RECORD_UNSUBSCRIBE, .session = 1, .name = bytes_of("gone")});
    journal_bench_put(b, 0,
                      (struct record_journal){.kind = RECORD_RECEIVED,
                                              .session = 1,
                                              .packet_id = 65535,
                                              .message_id = 77,
                                              .unsure = true});
    uint64_t message_id = journal_bench_put_body(b, 0, 20000);
    journal_bench_put(b, 0,
                      (struct record_journal){.kind = RECORD_ENQUEUE,
                                              .session = 1,
                                              .seq = 1,
                                              .message_id = message_id,
                                              .qos = 2,
                                              .retain = true,
                                              .ids = {(const uint8_t *)ids, sizeof ids}});
    journal_bench_run(b);
    journal_bench_put(
        b, 0,
        (struct record_journal){.kind = RECORD_SENT, .session = 1, .seq = 1, .packet_id = 17});
    uint64_t serial = journal_bench_enqueue(b, 0, 1, 2, 8);
    journal_bench_run(b);
    journal_bench_restart(b);
    struct journal_heard *heard = journal_bench_restore(b, 0);
    struct journal_heard *other = journal_bench_restore(b, 1);
    /* The key of homes is new: the session may live elsewhere now. */
    if (other->count > heard->count)
        heard = other;
    assert_true(heard->last_serial == serial || heard == other);
    assert_int_equal(b->heard[0].count + b->heard[1].count, 6);
    unsigned i = heard->records[0].session == 1 ? 0 : 1;
    assert_int_equal(heard->records[i].kind, RECORD_SESSION);
    assert_int_equal(heard->records[i].expiry_s, 3600);
    assert_true(heard->records[i].connected);
    assert_int_equal(heard->records[i + 1].kind, RECORD_SUBSCRIBE);
    assert_string_equal(heard->names[i + 1], "$share/g/a/+");
    assert_int_equal(heard->records[i + 1].subscription_id, 9);
    assert_int_equal(heard->records[i + 2].kind, RECORD_RECEIVED);
    assert_int_equal(heard->records[i + 2].packet_id, 65535);
    assert_true(heard->records[i + 2].message_id == 77 && heard->records[i + 2].unsure);
    assert_int_equal(heard->records[i + 3].kind, RECORD_ENQUEUE);
    assert_int_equal(heard->records[i + 3].packet_id, 17);
    assert_int_equal(heard->records[i + 3].qos, 2);
    assert_true(heard->records[i + 3].retain);
    assert_int_equal(heard->records[i + 3].ids.size, sizeof ids);
    assert_int_equal(heard->payload_sizes[i + 3], 20000);
    assert_int_equal(heard->payload_tags[i + 3], message_id);
    assert_int_equal(heard->records[i + 4].kind, RECORD_QUEUED);
    assert_int_equal(heard->records[i + 4].seq, 2);
    assert_int_equal(heard->records[i + 4].count, 1);
    assert_int_equal(heard->records[i + 4].bytes, 8);
}

/* More than a ring holds, and bodies in fragments. */
static void test_committer_work_restore_waits_for_room(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 60; seq++)
        journal_bench_enqueue_sent(b, 0, 1, seq, 100 + seq * 500);
    journal_bench_run(b);
    struct journal_heard *heard = journal_bench_restore(b, 0);
    assert_int_equal(journal_bench_count(heard, RECORD_ENQUEUE), 60);
    for (unsigned i = 1; i <= 60; i++) {
        assert_int_equal(heard->records[i].seq, i);
        assert_int_equal(heard->payload_sizes[i], 100 + i * 500);
    }
}

static void test_committer_work_restore_after_release_needs_no_body(void **state)
{
    struct journal_bench *b = *state;
    journal_bench_put_session(b, 0, 1);
    journal_bench_enqueue(b, 0, 1, 1, 100);
    journal_bench_run(b);
    journal_bench_put(
        b, 0, (struct record_journal){.kind = RECORD_SENT, .session = 1, .seq = 1, .packet_id = 5});
    journal_bench_put(b, 0,
                      (struct record_journal){.kind = RECORD_RELEASED, .session = 1, .seq = 1});
    struct journal_heard *heard = journal_bench_restore(b, 0);
    assert_int_equal(heard->count, 2);
    assert_int_equal(heard->records[1].message_id, 0);
    assert_int_equal(heard->records[1].packet_id, 5);
    assert_true(heard->records[1].released);
}

static void test_committer_work_restore_gives_wills(void **state)
{
    struct journal_bench *b = *state;
    char name[24];
    struct record_message will = {.purpose = RECORD_FOR_JOURNAL,
                                  .message_id = 500,
                                  .will_delay_s = 7,
                                  .expiry_at_ms = 30, /* not yet begun: the interval */
                                  .topic = bytes_of("last/words"),
                                  .payload = bytes_of("adieu")};
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "w%u", i);
        will.client_id = bytes_of(name);
        will.message_id++;
        journal_bench_put_message(b, 0, &will);
        journal_bench_put(
            b, 0, (struct record_journal){.kind = RECORD_KEEP_WILL, .message_id = will.message_id});
    }
    journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_FORGET_WILL, .message_id = 504});
    journal_bench_run(b);
    journal_bench_restart(b);
    unsigned count = journal_bench_restore(b, 0)->count;
    count += journal_bench_restore(b, 1)->count;
    assert_int_equal(count, 7);
    /* The key of homes is new: they may all live with one worker. */
    assert_int_equal(b->heard[b->heard[0].count > 0 ? 0 : 1].expiries[0], 30);
    assert_int_equal(b->heard[0].refused_count + b->heard[1].refused_count, 0);
}

static void test_committer_work_restore_gives_new_runs(void **state)
{
    struct journal_bench *b = *state;
    uint32_t last = 0;
    for (unsigned i = 0; i < 40; i++) {
        struct journal_heard *heard = journal_bench_restore(b, i % 2);
        assert_true(heard->run > last);
        last = heard->run;
        if (i % 7 == 0)
            journal_bench_kill(b);
        if (i % 11 == 0)
            journal_bench_restart(b);
    }
}

/* -- deaths -- */

static void test_committer_work_open_confirms_what_predecessor_did_not(void **state)
{
    struct journal_bench *b = *state;
    uint64_t serial = journal_bench_put_session(b, 0, 1);
    mesh_publish(&b->workers[0]);
    committer_work_turn(&b->work);
    /* Committed, and confirmed into a ring that the worker has not read. */
    journal_bench_kill(b);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, serial);
}

static void test_committer_work_open_reads_unreleased_again(void **state)
{
    struct journal_bench *b = *state;
    b->conf.durability = CONF_DURABILITY_RELAXED;
    journal_bench_restart(b);
    journal_bench_put_session(b, 0, 1);
    uint64_t serial = journal_bench_enqueue(b, 0, 1, 1, 3000);
    journal_bench_turn(b);
    assert_int_equal(b->heard[0].confirmed, serial); /* it is taken, and not on disk */
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 0);
    journal_bench_kill(b);
    b->work.commit_wanted = true;
    journal_bench_run(b);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 1);
}

/* A body larger than the ring, whose first parts are released when we die: its entry
 * is refused, not lost in silence. */
static void test_committer_work_open_refuses_entry_of_lost_parts(void **state)
{
    struct journal_bench *b = *state;
    struct record_sender sender = {0};
    const struct record_message message = {.purpose = RECORD_FOR_JOURNAL,
                                           .message_id = 1,
                                           .topic = bytes_of("large"),
                                           .payload = {b->payload, 200000}};
    journal_bench_put_session(b, 0, 1);
    assert_false(record_put_message(&b->workers[0], JOURNAL_BENCH_COMMITTER, &message, &sender));
    journal_bench_turn(b);
    journal_bench_kill(b);
    while (!record_put_message(&b->workers[0], JOURNAL_BENCH_COMMITTER, &message, &sender))
        journal_bench_turn(b);
    uint64_t serial = journal_bench_put(
        b, 0,
        (struct record_journal){
            .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 1, .qos = 1});
    journal_bench_run(b);
    assert_int_equal(b->heard[0].refused, serial);
    serial = journal_bench_enqueue(b, 0, 1, 2, 200000);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, serial);
    assert_int_equal(b->heard[0].refused_count, 1);
}

static void test_committer_work_open_restores_again_for_half_told(void **state)
{
    struct journal_bench *b = *state;
    const struct record_journal reset = {.kind = RECORD_JOURNAL_RESET, .epoch = 5};
    journal_bench_put_session(b, 0, 1);
    for (uint64_t seq = 1; seq <= 20; seq++)
        journal_bench_enqueue_sent(b, 0, 1, seq, 6000);
    journal_bench_run(b);
    assert_true(record_put_journal(&b->workers[0], JOURNAL_BENCH_COMMITTER, &reset));
    mesh_publish(&b->workers[0]);
    committer_work_turn(&b->work); /* the ring is full in the midst of it */
    journal_bench_kill(b);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].begin_count, 2);
    assert_int_equal(b->heard[0].end_count, 1);
    assert_int_equal(journal_bench_count(&b->heard[0], RECORD_ENQUEUE), 20);
}

/* -- limits -- */

static void test_committer_work_turn_refuses_when_full(void **state)
{
    struct journal_bench *b = *state;
    b->conf.persistence_size_max = 1 << 20;
    journal_bench_restart(b);
    journal_bench_put_session(b, 0, 1);
    uint64_t seq = 0;
    while (b->heard[0].refused_count == 0 && seq < 1000) {
        journal_bench_enqueue(b, 0, 1, ++seq, 4000);
        journal_bench_run(b);
    }
    assert_true(seq > 50 && seq < 1000);
    assert_int_equal(b->heard[0].reason, REASON_QUOTA_EXCEEDED);
    assert_true(b->heard[0].was_full); /* and is not any more, if all this took a second */
    for (uint64_t i = 1; i < seq; i++)
        journal_bench_done(b, 0, 1, i);
    journal_bench_run(b);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 0);
    for (unsigned i = 0; i < 3; i++) { /* pages are free two commits later */
        journal_bench_put(
            b, 0, (struct record_journal){.kind = RECORD_RECEIVED, .session = 1, .packet_id = 1});
        journal_bench_run(b);
    }
    clock_skew_ms(5000);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].state, RECORD_JOURNAL_OK);
    unsigned refused = b->heard[0].refused_count;
    journal_bench_enqueue(b, 0, 1, seq + 1, 4000);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].refused_count, refused);
}

/* Files may not grow any more, as on a disk that fails: all waits, and goes on. */
static void test_committer_work_turn_tries_again(void **state)
{
    struct journal_bench *b = *state;
    struct rlimit limit;
    journal_bench_put_session(b, 0, 1);
    journal_bench_run(b);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit none = {4096, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    journal_bench_put(b, 0, (struct record_journal){.kind = RECORD_SESSION_END, .session = 1});
    for (int i = 0; i < 3; i++) {
        journal_bench_turn(b);
        clock_skew_ms(5000);
    }
    uint64_t confirmed = b->heard[0].confirmed;
    enum record_journal_state failed = b->heard[0].state;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(confirmed < b->serials[0]);
    assert_int_equal(failed, RECORD_JOURNAL_FAILING);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].confirmed, b->serials[0]);
    assert_int_equal(b->heard[0].state, RECORD_JOURNAL_OK);
    assert_int_equal(journal_bench_stat(b, STAT_durable_sessions), 0);
}

static void fill_disk(const struct journal_bench *b, const char *name)
{
    static const uint8_t zeros[4096];
    char path[96];
    snprintf(path, sizeof path, "%s/%s", b->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, zeros, sizeof zeros) > 0)
        continue;
    close(fd);
}

/* A small disk of its own, which only root can make. */
static void test_committer_work_turn_refuses_on_full_disk(void **state)
{
    struct journal_bench *b = *state;
    char path[96];
    journal_bench_stop(b);
    if (mount("tmpfs", b->folder, "tmpfs", 0, "size=4m") != 0) {
        print_message("needs the right to mount\n");
        skip();
    }
    journal_bench_restart(b);
    journal_bench_put_session(b, 0, 1);
    journal_bench_enqueue(b, 0, 1, 1, 20000);
    journal_bench_run(b);
    fill_disk(b, "other");
    uint64_t seq = 2;
    while (b->heard[0].refused_count == 0 && seq < 500) {
        journal_bench_enqueue(b, 0, 1, seq++, 20000);
        journal_bench_run(b);
    }
    assert_true(seq < 500);
    assert_int_equal(b->heard[0].reason, REASON_QUOTA_EXCEEDED);
    assert_true(b->heard[0].was_full); /* and is not any more, if all this took a second */
    for (uint64_t i = 1; i < seq; i++)
        journal_bench_done(b, 0, 1, i);
    journal_bench_run(b);
    assert_int_equal(journal_bench_stat(b, STAT_durable_messages), 0);
    snprintf(path, sizeof path, "%s/other", b->folder);
    unlink(path);
    clock_skew_ms(5000);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].state, RECORD_JOURNAL_OK);
    unsigned refused = b->heard[0].refused_count;
    journal_bench_enqueue(b, 0, 1, seq, 20000);
    journal_bench_run(b);
    assert_int_equal(b->heard[0].refused_count, refused);
    journal_bench_stop(b);
    umount(b->folder);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, journal_bench_open, journal_bench_close)
    const struct CMUnitTest tests[] = {
        BENCHED(test_committer_work_turn_confirms_after_commit),
        BENCHED(test_committer_work_turn_writes_nothing_that_cancels_out),
        BENCHED(test_committer_work_turn_keeps_body_while_needed),
        BENCHED(test_committer_work_turn_refuses_entry_without_body),
        BENCHED(test_committer_work_turn_keeps_answers_when_ring_is_full),
        BENCHED(test_committer_work_restore_gives_back_all),
        BENCHED(test_committer_work_restore_waits_for_room),
        BENCHED(test_committer_work_restore_after_release_needs_no_body),
        BENCHED(test_committer_work_restore_gives_wills),
        BENCHED(test_committer_work_restore_gives_new_runs),
        BENCHED(test_committer_work_open_confirms_what_predecessor_did_not),
        BENCHED(test_committer_work_open_reads_unreleased_again),
        BENCHED(test_committer_work_open_refuses_entry_of_lost_parts),
        BENCHED(test_committer_work_open_restores_again_for_half_told),
        BENCHED(test_committer_work_turn_refuses_when_full),
        BENCHED(test_committer_work_turn_tries_again),
        BENCHED(test_committer_work_turn_refuses_on_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
