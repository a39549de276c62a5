#include "worker/protocol/restore.h"

#include "tests/unit/worker/route/route_fixture.h"
#include "worker/protocol/lifecycle.h"
#include "worker/protocol/will.h"

#include <string.h>

enum { COMMITTER = FIXTURE_OTHER, LAST = 100, NUMBER = 11, RUN = 3 };

static struct protocol protocol;
static struct restore restore;

static struct fixture *begin(void **state)
{
    struct fixture *f = *state;
    protocol = (struct protocol){
        .router = &f->router,
        .tunable = &f->tunable,
        .region = &f->region,
        .stats = f->router.stats,
    };
    session_table_init(&protocol.sessions, region_key(&f->region), f->router.stats);
    protocol.sessions.owner = &protocol;
    protocol.sessions.on_timer = lifecycle_on_timer;
    journal_init(&f->router.journal, &f->router.outbound, COMMITTER, true);
    journal_start(&f->router.journal, FIXTURE_EPOCH);
    (void)fixture_drain(f, COMMITTER);
    restore_init(&restore, &protocol, false);
    return f;
}

static void end(struct fixture *f)
{
    restore_done(&restore);
    lifecycle_free_all(&protocol);
    map_done(&protocol.sessions.by_client_id);
    map_done(&protocol.sessions.paged);
    (void)fixture_drain(f, COMMITTER);
}

static void take(struct record_journal record)
{
    restore_take(&restore, &record);
}

static void take_begin(void)
{
    take((struct record_journal){
        .kind = RECORD_RESTORE_BEGIN, .epoch = FIXTURE_EPOCH, .serial = LAST, .run = RUN});
}

static void take_end(void)
{
    take((struct record_journal){.kind = RECORD_RESTORE_END, .epoch = FIXTURE_EPOCH});
}

static void take_session(uint64_t number, const char *client_id, bool connected, uint64_t end_at_ms)
{
    take((struct record_journal){
        .kind = RECORD_SESSION,
        .session = number,
        .expiry_s = 60,
        .end_at_ms = end_at_ms,
        .version = MQTT_V5,
        .connected = connected,
        .name = bytes_of(client_id),
    });
}

static void take_body(uint64_t message_id, const char *payload)
{
    restore_take_body(&restore, &(struct record_message){.purpose = RECORD_FOR_JOURNAL,
                                                         .message_id = message_id,
                                                         .qos = 2,
                                                         .topic = bytes_of("t"),
                                                         .payload = bytes_of(payload)});
}

static void take_enqueue(uint64_t session, uint64_t seq, uint64_t message_id, uint16_t packet_id)
{
    take((struct record_journal){
        .kind = RECORD_ENQUEUE,
        .session = session,
        .seq = seq,
        .message_id = message_id,
        .packet_id = packet_id,
        .qos = 2,
        .released = message_id == 0,
    });
}

static struct session *find(const char *client_id)
{
    return session_find(&protocol.sessions, bytes_of(client_id));
}

static void test_restore_take_builds_a_session(void **state)
{
    struct fixture *f = begin(state);
    take_begin();
    take_session(NUMBER, "one", false, FIXTURE_START_MS + 5000);
    take((struct record_journal){.kind = RECORD_SUBSCRIBE,
                                 .session = NUMBER,
                                 .subscription_id = 9,
                                 .options = QOS_AT_LEAST_ONCE | 1 << 2 | 1 << 3,
                                 .name = bytes_of("a/+")});
    take((struct record_journal){.kind = RECORD_RECEIVED, .session = NUMBER, .packet_id = 7});
    take_end();
    const struct session *s = find("one");
    assert_non_null(s);
    assert_int_equal(s->number, NUMBER);
    assert_int_equal(s->expiry_s, 60);
    assert_int_equal(s->expires_at_ms, FIXTURE_START_MS + 5000);
    assert_true(session_is_receiving(s, 7));
    assert_int_equal(session_receive_open(s), 0);
    assert_int_equal(s->subscription_count, 1);
    const struct subscription *sub =
        list_owner(list_first(&s->subscriptions), struct subscription, session_node);
    assert_int_equal(sub->id, 9);
    assert_int_equal(sub->qos, QOS_AT_LEAST_ONCE);
    assert_true(sub->no_local && sub->retain_as_published);
    assert_true(f->router.journal.is_restored);
    assert_int_equal(router_next_message_id(&f->router) >> 40, RUN);
    end(f);
}

static void test_restore_take_deliveries_of_one_body(void **state)
{
    struct fixture *f = begin(state);
    take_begin();
    take_session(NUMBER, "one", false, 0);
    take_enqueue(NUMBER, 3, 0, 40); /* released: only the id */
    take_body(500, "first");
    take_enqueue(NUMBER, 4, 500, 41);
    take_body(501, "second");
    take_enqueue(NUMBER, 5, 501, 0);
    take_session(NUMBER + 1, "two", false, 0);
    take_body(500, "first");
    take_enqueue(NUMBER + 1, 1, 500, 0);
    take_end();
    struct session *s = find("one");
    assert_int_equal(s->seq, 5);
    assert_int_equal(s->inflight.count, 2);
    assert_int_equal(inflight_find(&s->inflight, 40)->state, DELIVERY_WAITS_PUBCOMP);
    const struct delivery *sent = inflight_find(&s->inflight, 41);
    assert_int_equal(sent->state, DELIVERY_WAITS_PUBREC);
    assert_true(sent->sent);
    assert_int_equal(s->queued_count, 1);
    assert_int_equal(sent->message->kept, 2);
    assert_int_equal(sent->message->references, 2);
    struct delivery *other = session_dequeue(find("two"));
    assert_ptr_equal(other->message, sent->message);
    delivery_free(other);
    end(f);
}

static void test_restore_take_begins_anew(void **state)
{
    struct fixture *f = begin(state);
    take_session(1, "predecessor's", false, 0);
    take_begin();
    take_session(NUMBER, "one", false, 0);
    take_body(500, "lost");
    take_begin();
    take_session(NUMBER + 1, "two", false, 0);
    take_end();
    take_begin(); /* the answer to our RESET once more */
    take_session(NUMBER + 2, "three", false, 0);
    take_end();
    assert_int_equal(protocol.sessions.by_client_id.count, 1);
    assert_non_null(find("two"));
    end(f);
}

static void test_restore_is_complete_when_routed(void **state)
{
    struct fixture *f = begin(state);
    take_begin();
    take_session(NUMBER, "one", false, 0);
    take((struct record_journal){
        .kind = RECORD_SUBSCRIBE, .session = NUMBER, .name = bytes_of("a")});
    assert_false(restore_is_complete(&restore));
    take_end();
    assert_false(restore_is_complete(&restore));
    assert_true(announcer_confirm(&f->router.announcer, f->router.announcer.serial));
    assert_true(restore_is_complete(&restore));
    end(f);
}

static struct record_journal next(struct fixture *f)
{
    struct ring_record record;
    struct record_journal journal;
    assert_true(fixture_next(f, COMMITTER, &record));
    assert_true(record_get_journal(&record, &journal));
    return journal;
}

/* Who was connected when everything died is offline since now. */
static void test_restore_then_sessions_wait_again(void **state)
{
    struct fixture *f = begin(state);
    take_begin();
    take_session(NUMBER, "was here", true, 0);
    take_session(NUMBER + 1, "was away", false, FIXTURE_START_MS + 5000);
    take_end();
    lifecycle_wait_again(&protocol);
    struct record_journal record = next(f);
    assert_int_equal(record.kind, RECORD_SESSION);
    assert_int_equal(record.session, NUMBER);
    assert_false(record.connected);
    assert_int_equal(record.end_at_ms, FIXTURE_START_MS + 60000);
    fake_loop_advance(&f->loop, 5001);
    assert_null(find("was away"));
    record = next(f);
    assert_int_equal(record.kind, RECORD_SESSION_END);
    assert_int_equal(record.session, NUMBER + 1);
    assert_non_null(find("was here"));
    end(f);
}

/* Its client may be the first that we hear of, and would take a will away that is not due. */
static void test_restore_then_overdue_wills_go_out(void **state)
{
    const struct {
        uint32_t delay_s;
        uint64_t end_at_ms;
        bool is_out;
    } cases[] = {
        {0, FIXTURE_START_MS + 60000, true}, /* offline since now */
        {0, FIXTURE_START_MS + 50000, true},
        {10, FIXTURE_START_MS + 50000, true},
        {11, FIXTURE_START_MS + 50000, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = begin(state);
        list_init(&protocol.published_wills);
        settle_queue_init(&protocol.unsettled_wills, NULL);
        f->router.settle.on_settled = will_settled;
        f->router.settle.owner = &protocol;
        take_begin();
        take_session(NUMBER, "one", false, cases[i].end_at_ms);
        restore_take_body(&restore, &(struct record_message){.purpose = RECORD_FOR_JOURNAL,
                                                             .message_id = 5,
                                                             .will_delay_s = cases[i].delay_s,
                                                             .session_expiry_s = 60,
                                                             .topic = bytes_of("t"),
                                                             .client_id = bytes_of("one")});
        take_end();
        lifecycle_wait_again(&protocol);
        assert_int_equal(find("one")->will == NULL, cases[i].is_out);
        will_done(&protocol);
        end(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST_LIVE(test_restore_take_builds_a_session),
        FIXTURE_TEST_LIVE(test_restore_take_deliveries_of_one_body),
        FIXTURE_TEST_LIVE(test_restore_take_begins_anew),
        FIXTURE_TEST_LIVE(test_restore_is_complete_when_routed),
        FIXTURE_TEST_LIVE(test_restore_then_sessions_wait_again),
        FIXTURE_TEST_LIVE(test_restore_then_overdue_wills_go_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
