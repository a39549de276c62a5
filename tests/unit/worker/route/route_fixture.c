#include "tests/unit/worker/route/route_fixture.h"

#include "common/base/log.h"
#include "shm/live/retain.h"
#include "shm/live/trie.h"
#include "worker/route/await.h"
#include "worker/route/hold.h"
#include "worker/route/lookup.h"
#include "worker/route/redistribute.h"
#include "worker/route/replay.h"
#include "worker/route/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    RING_SIZE = 64 * 1024,
    LARGE_RING_SIZE = 2 * 1024 * 1024,
    LIVE_SIZE_MAX = 16 * 1024 * 1024,
    WINDOW = 100
};

static const struct topic_limits LIMITS = {65535, 65535};

static void on_ack(struct conn *conn, const struct publisher_ack *ack)
{
    struct fixture *f = conn->context->owner;
    assert_true(f->ack_count < FIXTURE_ACKS_MAX);
    f->acks[f->ack_count++] = (struct fixture_ack){conn, *ack};
}

static void open_region(struct fixture *f, uint32_t ring_size)
{
    assert_int_equal(region_open(&f->region, FIXTURE_WORKERS, ring_size, false), 0);
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++) {
        f->bell_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert_true(f->bell_fds[i] >= 0);
    }
    for (unsigned i = FIXTURE_PEER; i <= FIXTURE_STORE; i++)
        mesh_open(&f->ends[i], &f->region, i, f->bell_fds);
}

static void open_live(struct fixture *f)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(f->folder, sizeof(f->folder), "%s/courtier-test-XXXXXX", base);
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(live_open_writer(&f->router.live, f->folder, LIVE_SIZE_MAX), 0);
    assert_int_equal(live_begin(f->router.live), 0);
}

static void close_live(struct fixture *f)
{
    static const char *const NAMES[] = {"data.mdb", "lock.mdb"};
    live_close(f->router.live);
    if (f->folder[0] == '\0')
        return;
    for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s/%s", f->folder, NAMES[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->folder);
}

static void open_router(struct fixture *f)
{
    struct router *r = &f->router;
    *r = (struct router){
        .region = &f->region,
        .tunable = &f->tunable,
        .loop = &f->loop,
        .stats = stats_of(&f->region, FIXTURE_SELF),
        .self = FIXTURE_SELF,
        .store = FIXTURE_STORE,
        .live_seen = generation_live(&f->region),
        .cache = cache_new(region_key(&f->region)),
        .scratch = lookup_scratch_new(),
        .message_id_base = (uint64_t)FIXTURE_EPOCH << 46,
    };
    list_init(&r->holds);
    list_init(&r->backlog);
    list_init(&r->replays);
    list_init(&r->leaving);
    list_init(&r->moves);
    mesh_open(&r->mesh, &f->region, FIXTURE_SELF, f->bell_fds);
    settle_init(&r->settle, &r->mesh, &r->journal, on_ack);
    publishers_init(&r->publishers, &f->loop, r->stats, &r->settle, &r->journal);
    outbound_init(&r->outbound, &r->mesh, r->stats, &r->publishers, r);
    journal_init(&r->journal, &r->outbound, 0, false);
    filters_init(&r->filters, &f->region, &r->announcer);
    r->filters.on_filter_change = announce_filter;
    r->filters.on_group_change = announce_group;
    announcer_start(&r->announcer, &r->outbound, &r->filters, r->store, FIXTURE_EPOCH);
}

static void set_up(void **state, uint32_t ring_size)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    hash_start();
    log_set_mask(0);
    open_region(f, ring_size);
    fake_loop_open(&f->loop, FIXTURE_START_MS);
    f->tunable =
        (struct conf_tunable){.output_buffer_max = 1 << 20, .allow_duplicate_messages = true};
    f->conns = (struct conn_context){
        .loop = &f->loop,
        .tunable = &f->tunable,
        .stats = stats_of(&f->region, FIXTURE_SELF),
        .owner = f,
    };
    session_table_init(&f->sessions, region_key(&f->region), f->conns.stats);
    open_router(f);
    *state = f;
}

int fixture_set_up(void **state)
{
    set_up(state, RING_SIZE);
    return 0;
}

int fixture_set_up_live(void **state)
{
    set_up(state, RING_SIZE);
    open_live(*state);
    return 0;
}

int fixture_set_up_large(void **state)
{
    set_up(state, LARGE_RING_SIZE);
    open_live(*state);
    return 0;
}

/* What a test that failed has left. */
static void end_sessions(struct fixture *f)
{
    struct session *s;
    for (size_t cursor = 0; (s = map_next(&f->sessions.by_client_id, &cursor)) != NULL; cursor = 0)
        fixture_end(f, s);
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    redistribute_done(&f->router);
    end_sessions(f);
    outbound_done(&f->router.outbound);
    await_done(&f->router.await);
    filters_done(&f->router.filters);
    publishers_done(&f->router.publishers);
    cache_free(f->router.cache);
    lookup_scratch_free(f->router.scratch);
    close_live(f);
    map_done(&f->sessions.by_client_id);
    map_done(&f->sessions.paged);
    for (unsigned i = 0; i <= FIXTURE_STORE; i++)
        record_assembly_done(&f->assemblies[i]);
    fake_loop_close(&f->loop);
    for (unsigned i = 0; i < FIXTURE_SLOTS; i++)
        close(f->bell_fds[i]);
    region_close(&f->region);
    free(f);
    return 0;
}

/* -- sessions -- */

struct session *fixture_session(struct fixture *f, const char *client_id, struct fake_conn *conn)
{
    struct session *s = session_new(&f->sessions, bytes_of(client_id));
    assert_non_null(s);
    s->window = WINDOW;
    s->version = MQTT_V5;
    if (conn != NULL) {
        fake_conn_open(conn, &f->conns, MQTT_V5);
        conn->conn.session = s;
        s->conn = &conn->conn;
    }
    return s;
}

void fixture_detach(struct fixture *f, struct session *session, struct fake_conn *conn)
{
    hold_release(&f->router, session);
    replay_stop(session, (struct bytes){NULL, 0});
    publishers_remove(session->publisher);
    session->publisher = NULL;
    session_forget_connection(session);
    session->conn = NULL;
    fake_conn_close(conn);
}

void fixture_end(struct fixture *f, struct session *session)
{
    if (session->conn != NULL)
        fixture_detach(f, session, list_owner(session->conn, struct fake_conn, conn));
    filters_remove_all(&f->router.filters, session);
    session_free(session);
}

struct subscription *fixture_subscribe(struct fixture *f, struct session *session, const char *text,
                                       enum qos qos)
{
    struct topic_share share;
    assert_int_equal(topic_check_subscription(bytes_of(text), &LIMITS, &share), TOPIC_OK);
    struct subscription *s = filters_add(&f->router.filters, session, &share, bytes_of(text));
    assert_non_null(s);
    s->qos = (uint8_t)qos;
    return s;
}

struct publisher *fixture_publisher(struct fixture *f, struct session *session)
{
    if (session->publisher == NULL)
        session->publisher = publishers_add(&f->router.publishers, session->conn);
    assert_non_null(session->publisher);
    return session->publisher;
}

/* -- the live store -- */

void fixture_want(struct fixture *f, const char *filter, unsigned worker)
{
    bool changed;
    assert_int_equal(trie_set(f->router.live, bytes_of(filter), worker, true, false, &changed), 0);
}

struct hash128 fixture_want_group(struct fixture *f, const char *text, unsigned worker,
                                  uint32_t online)
{
    struct topic_share share;
    struct hash128 id = filters_group_id(bytes_of(text));
    bool changed;
    assert_int_equal(topic_check_subscription(bytes_of(text), &LIMITS, &share), TOPIC_OK);
    assert_int_equal(trie_set_group(f->router.live, share.filter, &id, worker,
                                    (struct trie_weight){online, 0}, &changed),
                     0);
    return id;
}

void fixture_retain(struct fixture *f, const char *topic, const char *payload,
                    uint64_t expiry_at_ms)
{
    struct retained message = {
        .topic = bytes_of(topic),
        .payload = bytes_of(payload),
        .message_id = 1,
        .expiry_at_ms = expiry_at_ms,
        .qos = QOS_AT_LEAST_ONCE,
    };
    struct retain_delta delta;
    assert_int_equal(retain_set(f->router.live, &message, &delta), 0);
}

/* -- the other ends -- */

bool fixture_next(struct fixture *f, unsigned slot, struct ring_record *ret_record)
{
    mesh_publish(&f->router.mesh);
    return ring_next(&f->ends[slot].in[FIXTURE_SELF], ret_record);
}

bool fixture_next_message(struct fixture *f, unsigned slot, struct record_message *ret_message)
{
    struct ring_record record;
    while (fixture_next(f, slot, &record)) {
        if (record.kind != RECORD_MESSAGE && record.kind != RECORD_FRAGMENT)
            continue;
        enum record_progress progress =
            record_get_message(&f->assemblies[slot], &record, PACKET_REMAINING_MAX, ret_message);
        assert_int_not_equal(progress, RECORD_BROKEN);
        if (progress == RECORD_WHOLE)
            return true;
    }
    return false;
}

void fixture_settle(struct fixture *f, unsigned slot)
{
    ring_settle(&f->ends[slot].in[FIXTURE_SELF]);
    mesh_release(&f->ends[slot], FIXTURE_SELF);
}

unsigned fixture_drain(struct fixture *f, unsigned slot)
{
    struct ring_record record;
    unsigned count = 0;
    while (fixture_next(f, slot, &record))
        count++;
    fixture_settle(f, slot);
    return count;
}

void fixture_fill(struct fixture *f, unsigned slot)
{
    while (record_put_hold(&f->router.mesh, slot, true, 0))
        continue;
}

uint64_t fixture_stat(const struct fixture *f, enum stat_id stat)
{
    return stats_get(f->router.stats, stat);
}

void assert_bytes(struct bytes b, const char *text)
{
    assert_int_equal(b.size, strlen(text));
    assert_memory_equal(b.data, text, b.size);
}
