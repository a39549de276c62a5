#include "worker/route/journal.h"

#include "tests/unit/worker/route/route_fixture.h"

#include <string.h>

enum { COMMITTER = FIXTURE_OTHER, LAST = 100, WAITS = 4 }; /* LAST: serial on disk */

struct told {
    struct journal_wait wait;
    unsigned count;
    enum mqtt_reason reason;
};

static void on_done(struct journal_wait *wait, enum mqtt_reason reason)
{
    struct told *told = list_owner(wait, struct told, wait);
    told->count++;
    told->reason = reason;
}

/* A journal that is restored, and whose RESET was taken. */
static struct journal *begin(void **state)
{
    struct fixture *f = *state;
    struct journal *journal = &f->router.journal;
    const struct record_journal answer = {.epoch = FIXTURE_EPOCH, .serial = LAST, .run = 3};
    journal_init(journal, &f->router.outbound, COMMITTER, true);
    journal_start(journal, FIXTURE_EPOCH);
    assert_true(journal_restore_begin(journal, &answer));
    journal_restore_end(journal);
    assert_int_equal(fixture_drain(f, COMMITTER), 1);
    return journal;
}

static uint64_t put_done(struct journal *journal, uint64_t seq)
{
    struct record_journal record = {.kind = RECORD_DONE, .session = 1, .seq = seq};
    return journal_put(journal, &record);
}

static struct record_journal next(struct fixture *f)
{
    struct ring_record record;
    struct record_journal journal;
    assert_true(fixture_next(f, COMMITTER, &record));
    assert_true(record_get_journal(&record, &journal));
    return journal;
}

static void wait_for(struct journal *journal, struct told *told, uint64_t first, uint64_t last)
{
    *told = (struct told){.wait.done = on_done};
    journal_wait_for(journal, &told->wait, first, last);
}

static void test_journal_put_numbers_on_from_what_is_on_disk(void **state)
{
    struct journal *journal = begin(state);
    assert_int_equal(put_done(journal, 1), LAST + 1);
    assert_int_equal(put_done(journal, 2), LAST + 2);
    assert_int_equal(journal->sent, LAST + 2);
    for (uint64_t i = 1; i <= 2; i++) {
        struct record_journal record = next(*state);
        assert_int_equal(record.kind, RECORD_DONE);
        assert_int_equal(record.serial, LAST + i);
        assert_int_equal(record.seq, i);
    }
}

static void test_journal_put_waits_for_a_full_ring_in_order(void **state)
{
    struct fixture *f = *state;
    struct journal *journal = begin(state);
    struct record_journal named = {
        .kind = RECORD_UNSUBSCRIBE, .session = 1, .name = bytes_of("a/b")};
    fixture_fill(f, COMMITTER);
    (void)journal_put(journal, &named);
    (void)put_done(journal, 2);
    assert_int_equal(journal->sent, LAST);
    named.name = bytes_of("???");
    (void)fixture_drain(f, COMMITTER);
    (void)outbound_retry(&f->router.outbound);
    assert_int_equal(journal->sent, LAST + 2);
    struct record_journal record = next(f);
    assert_int_equal(record.kind, RECORD_UNSUBSCRIBE);
    assert_bytes(record.name, "a/b");
    assert_int_equal(next(f).serial, LAST + 2);
}

static void test_journal_put_message_puts_the_body_right_before(void **state)
{
    struct fixture *f = *state;
    struct journal *journal = begin(state);
    struct message *m = message_new(bytes_of("t"), bytes_of(""), bytes_of("payload"));
    assert_non_null(m);
    m->id = 55;
    struct record_journal record = {
        .kind = RECORD_ENQUEUE, .session = 1, .seq = 1, .message_id = 55, .qos = 1};
    assert_int_equal(journal_put_message(journal, &record, m, 0), LAST + 1);
    message_put(m);
    struct record_message body;
    assert_true(fixture_next_message(f, COMMITTER, &body));
    assert_int_equal(body.purpose, RECORD_FOR_JOURNAL);
    assert_int_equal(body.message_id, 55);
    assert_bytes(body.payload, "payload");
    assert_int_equal(next(f).kind, RECORD_ENQUEUE);
}

static void test_journal_wait_for_is_over_when_all_is_on_disk(void **state)
{
    struct journal *journal = begin(state);
    struct told told[WAITS];
    for (uint64_t i = 1; i <= WAITS; i++)
        (void)put_done(journal, i);
    wait_for(journal, &told[0], LAST + 3, LAST + 4);
    wait_for(journal, &told[1], LAST + 1, LAST + 2);
    wait_for(journal, &told[2], LAST + 2, LAST + 3);
    wait_for(journal, &told[3], LAST + 1, LAST + 3);
    journal_wait_cancel(&told[3].wait);
    journal_confirm(journal, LAST + 3);
    assert_int_equal(told[0].count, 0);
    assert_int_equal(told[1].count, 1);
    assert_int_equal(told[2].count, 1);
    assert_int_equal(told[3].count, 0);
    journal_confirm(journal, LAST + 1); /* a new committer says it again */
    assert_true(journal_is_safe(journal, LAST + 3));
    journal_confirm(journal, LAST + 4);
    assert_int_equal(told[0].count, 1);
    assert_int_equal(told[0].reason, REASON_SUCCESS);
}

static void test_journal_wait_for_at_once(void **state)
{
    struct journal *journal = begin(state);
    struct told told;
    (void)put_done(journal, 1);
    wait_for(journal, &told, 0, LAST + 1);
    assert_int_equal(told.count, 1);
    wait_for(journal, &told, LAST, LAST);
    assert_int_equal(told.count, 1);
}

static void test_journal_refuse_tells_those_who_care(void **state)
{
    struct journal *journal = begin(state);
    struct told told[3];
    for (uint64_t i = 1; i <= 3; i++)
        (void)put_done(journal, i);
    for (unsigned i = 0; i < 3; i++)
        wait_for(journal, &told[i], LAST + 1 + i, LAST + 1 + i);
    journal_refuse(journal, LAST + 2, REASON_QUOTA_EXCEEDED);
    assert_int_equal(told[1].count, 0);
    journal_confirm(journal, LAST + 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(told[i].count, 1);
        assert_int_equal(told[i].reason, i == 1 ? REASON_QUOTA_EXCEEDED : REASON_SUCCESS);
    }
}

static void test_journal_set_state_failing_ends_hasty_waits(void **state)
{
    struct journal *journal = begin(state);
    struct told told[3];
    for (unsigned i = 0; i < 3; i++) {
        uint64_t serial = put_done(journal, i + 1);
        if (i == 2)
            journal_set_state(journal, RECORD_JOURNAL_FAILING);
        told[i] = (struct told){.wait = {.done = on_done, .is_hasty = i > 0}};
        journal_wait_for(journal, &told[i].wait, serial, serial);
    }
    assert_int_equal(told[0].count, 0);
    assert_int_equal(told[1].reason, REASON_QUOTA_EXCEEDED);
    assert_int_equal(told[2].reason, REASON_QUOTA_EXCEEDED);
    journal_confirm(journal, LAST + 3);
    assert_int_equal(told[0].reason, REASON_SUCCESS);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(told[i].count, 1);
}

static void test_journal_restore_begin_is_for_this_process(void **state)
{
    struct fixture *f = *state;
    struct journal *journal = &f->router.journal;
    struct record_journal answer = {.epoch = FIXTURE_EPOCH - 1, .serial = LAST, .run = 3};
    journal_init(journal, &f->router.outbound, COMMITTER, true);
    journal_start(journal, FIXTURE_EPOCH);
    assert_int_equal(next(f).epoch, FIXTURE_EPOCH);
    journal_confirm(journal, LAST + 9); /* a predecessor's */
    assert_false(journal_restore_begin(journal, &answer));
    answer.epoch = FIXTURE_EPOCH;
    assert_true(journal_restore_begin(journal, &answer));
    answer.run = 4;
    assert_true(journal_restore_begin(journal, &answer)); /* of a new committer */
    journal_restore_end(journal);
    assert_false(journal_restore_begin(journal, &answer));
    assert_int_equal(journal->confirmed, LAST);
    assert_int_equal(journal_next_session(journal), 4ULL << 32 | 1);
    assert_int_equal(journal_next_session(journal), 4ULL << 32 | 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_journal_put_numbers_on_from_what_is_on_disk),
        FIXTURE_TEST(test_journal_put_waits_for_a_full_ring_in_order),
        FIXTURE_TEST(test_journal_put_message_puts_the_body_right_before),
        FIXTURE_TEST(test_journal_wait_for_is_over_when_all_is_on_disk),
        FIXTURE_TEST(test_journal_wait_for_at_once),
        FIXTURE_TEST(test_journal_refuse_tells_those_who_care),
        FIXTURE_TEST(test_journal_set_state_failing_ends_hasty_waits),
        FIXTURE_TEST(test_journal_restore_begin_is_for_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
