#include "worker/route/fetch.h"

#include "tests/unit/worker/route/deliver_fixture.h"
#include "worker/session/paging.h"

#include <string.h>

enum { COMMITTER = FIXTURE_OTHER, NUMBER = 11, LAST = 100 };

static struct client client;

/* A session that is kept, offline; the committer has heard nothing. */
static struct client *begin(void **state)
{
    struct fixture *f = *state;
    const struct record_journal answer = {.epoch = FIXTURE_EPOCH, .serial = LAST, .run = 3};
    struct journal *journal = &f->router.journal;
    f->router.sessions = &f->sessions;
    fetch_init(&f->router.fetch);
    journal_init(journal, &f->router.outbound, COMMITTER, true);
    journal_start(journal, FIXTURE_EPOCH);
    assert_true(journal_restore_begin(journal, &answer));
    journal_restore_end(journal);
    (void)fixture_drain(f, COMMITTER);
    client_open(&client, f);
    session_keep(client.session, NUMBER);
    client_go_offline(&client);
    return &client;
}

static void end(struct client *c)
{
    fetch_done(&c->f->router.fetch);
    client_close(c);
    (void)fixture_drain(c->f, COMMITTER);
}

static void get(struct client *c, uint64_t message_id)
{
    struct publication p = client_publication("pay");
    p.qos = QOS_AT_LEAST_ONCE;
    p.message_id = message_id;
    client_deliver(c, p, (struct deliver_terms){.qos = QOS_AT_LEAST_ONCE});
}

/* The next record of this kind that the committer gets. */
static struct record_journal next(struct client *c, enum record_kind kind)
{
    struct ring_record record;
    struct record_journal journal = {0};
    do {
        assert_true(fixture_next(c->f, COMMITTER, &record));
        if (record_is_journal(record.kind))
            assert_true(record_get_journal(&record, &journal));
    } while (journal.kind != kind);
    return journal;
}

static void say_delivery(struct client *c, uint64_t request, uint64_t seq)
{
    const struct record_message body = {.purpose = RECORD_FOR_JOURNAL,
                                        .message_id = seq,
                                        .topic = bytes_of("topic"),
                                        .payload = bytes_of("pay"),
                                        .qos = 1};
    fetch_take_body(&c->f->router, &body);
    fetch_take(&c->f->router, &(struct record_journal){.kind = RECORD_ENQUEUE,
                                                       .serial = request,
                                                       .session = NUMBER,
                                                       .seq = seq,
                                                       .message_id = seq,
                                                       .qos = 1});
}

static void say_end(struct client *c, uint64_t request, uint64_t seq, bool is_all)
{
    fetch_take(&c->f->router, &(struct record_journal){.kind = RECORD_FETCH_END,
                                                       .serial = request,
                                                       .session = NUMBER,
                                                       .seq = seq,
                                                       .is_all = is_all});
}

static void test_fetch_offline_session_holds_nothing(void **state)
{
    struct client *c = begin(state);
    get(c, 1);
    get(c, 2);
    assert_int_equal(c->session->queued_count, 0);
    assert_int_equal(session_waiting_count(c->session), 2);
    assert_int_equal(c->session->paging->bytes, 2 * strlen("topicpay"));
    assert_int_equal(next(c, RECORD_ENQUEUE).seq, 1);
    assert_int_equal(next(c, RECORD_ENQUEUE).bytes, strlen("topicpay"));
    end(c);
}

static void test_fetch_take_delivers_in_order(void **state)
{
    struct client *c = begin(state);
    for (uint64_t id = 1; id <= 3; id++)
        get(c, id);
    client_reconnect(c, 10);
    struct record_journal ask = next(c, RECORD_FETCH);
    assert_int_equal(ask.seq, 0);
    assert_int_equal(ask.count, FETCH_PAGE_COUNT);
    get(c, 4); /* behind them */
    client_has_nothing(c);
    for (uint64_t seq = 1; seq <= 3; seq++)
        say_delivery(c, ask.serial, seq);
    say_end(c, ask.serial, 3, true);
    for (uint64_t seq = 1; seq <= 3; seq++)
        (void)client_next(c, "pay");
    assert_int_equal(session_waiting_count(c->session), 1);
    ask = next(c, RECORD_FETCH);
    assert_int_equal(ask.seq, 3);
    say_delivery(c, ask.serial, 4);
    say_end(c, ask.serial, 4, true);
    assert_null(c->session->paging);
    (void)client_next(c, "pay");
    end(c);
}

static void test_fetch_take_ignores_old_answers(void **state)
{
    struct client *c = begin(state);
    get(c, 1);
    client_reconnect(c, 10);
    struct record_journal old = next(c, RECORD_FETCH);
    fetch_repeat(&c->f->router);
    struct record_journal ask = next(c, RECORD_FETCH);
    assert_int_not_equal(ask.serial, old.serial);
    say_delivery(c, old.serial, 1);
    say_end(c, old.serial, 1, true);
    client_has_nothing(c);
    say_delivery(c, ask.serial, 1);
    say_end(c, ask.serial, 1, true);
    (void)client_next(c, "pay");
    client_has_nothing(c);
    end(c);
}

static void test_fetch_take_counts_what_was_not_queued(void **state)
{
    struct client *c = begin(state);
    get(c, 1);
    get(c, 2);
    fetch_take(&c->f->router,
               &(struct record_journal){
                   .kind = RECORD_NOT_QUEUED, .session = NUMBER, .seq = 2, .bytes = 8});
    assert_int_equal(session_waiting_count(c->session), 1);
    client_reconnect(c, 10);
    struct record_journal ask = next(c, RECORD_FETCH);
    say_delivery(c, ask.serial, 1);
    say_end(c, ask.serial, 1, true);
    assert_null(c->session->paging); /* the second is known not to come */
    end(c);
}

static void test_fetch_page_out_keeps_what_is_not_on_disk(void **state)
{
    struct client *c = begin(state);
    client_reconnect(c, 0); /* all must wait */
    for (uint64_t id = 1; id <= 3; id++)
        get(c, id);
    assert_int_equal(c->session->queued_count, 3);
    client_go_offline(c);
    fetch_page_out(&c->f->router, c->session);
    assert_int_equal(c->session->queued_count, 3);
    journal_confirm(&c->f->router.journal, c->f->router.journal.serial);
    fetch_page_out(&c->f->router, c->session);
    assert_int_equal(c->session->queued_count, 0);
    assert_int_equal(session_waiting_count(c->session), 3);
    assert_int_equal(c->session->paging->after, 0);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_fetch_offline_session_holds_nothing),
        FIXTURE_TEST(test_fetch_take_delivers_in_order),
        FIXTURE_TEST(test_fetch_take_ignores_old_answers),
        FIXTURE_TEST(test_fetch_take_counts_what_was_not_queued),
        FIXTURE_TEST(test_fetch_page_out_keeps_what_is_not_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
