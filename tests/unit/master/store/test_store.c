#include "master/store/store.h"

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "shm/mesh.h"
#include "shm/record.h"
#include "shm/region.h"
#include "shm/stats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A store on a real region and a real environment, and two workers that are only
 * their ends of the rings. Nobody sleeps: the test says when a turn is.
 */

enum {
    WORKERS = 2,
    STORE = WORKERS,
    RING_SIZE = 64 * 1024,
    PAYLOAD_MAX = 32 * 1024
};

struct bench {
    struct region region;
    int bells[WORKERS + 2];
    char folder[64];
    struct conf conf;
    struct inherit inherit;
    struct store *store;
    struct mesh workers[WORKERS];
    uint64_t serials[WORKERS];
    uint8_t payload[PAYLOAD_MAX];
};

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

static void start_worker(struct bench *b, unsigned worker, uint64_t epoch)
{
    mesh_open(&b->workers[worker], &b->region, worker, b->bells);
    b->serials[worker] = epoch << 32;
}

static void start_store(struct bench *b)
{
    int error;
    b->store = store_open(&b->inherit, &error);
    assert_non_null(b->store);
    b->inherit.is_successor = true;
}

static int open_bench(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    hash_start();
    log_set_sink(drop_line, NULL);
    assert_int_equal(region_open(&b->region, WORKERS, RING_SIZE), 0);
    for (unsigned i = 0; i < WORKERS + 2; i++)
        b->bells[i] = eventfd(0, EFD_NONBLOCK);
    strcpy(b->folder, "/dev/shm/test-store-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    b->conf.tunable.packet_size_max = 1 << 20;
    b->conf.tunable.retained_messages_max = 1000;
    b->inherit = (struct inherit){
        .role = ROLE_STORE,
        .slot = STORE,
        .region = &b->region,
        .conf = &b->conf,
        .bell_fds = b->bells,
        .control_fd = -1,
        .live_path = b->folder,
        .live_size_max = 8 << 20,
    };
    start_store(b);
    for (unsigned i = 0; i < WORKERS; i++)
        start_worker(b, i, i + 1);
    *state = b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;
    char path[96];
    store_close(b->store);
    snprintf(path, sizeof path, "%s/data.mdb", b->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", b->folder);
    unlink(path);
    rmdir(b->folder);
    for (unsigned i = 0; i < WORKERS + 2; i++)
        close(b->bells[i]);
    region_close(&b->region);
    free(b);
    return 0;
}

/* -- what a worker says -- */

static uint64_t put_reset(struct bench *b, unsigned worker)
{
    uint64_t serial = ++b->serials[worker];
    assert_true(record_put_reset(&b->workers[worker], STORE, serial));
    mesh_publish(&b->workers[worker]);
    return serial;
}

static uint64_t put_filter(struct bench *b, unsigned worker, const char *text, bool any)
{
    const struct record_filter filter = {
        .serial = ++b->serials[worker], .any = any, .filter = bytes_of(text)};
    assert_true(record_put_filter(&b->workers[worker], STORE, &filter));
    mesh_publish(&b->workers[worker]);
    return filter.serial;
}

static void put_message(struct bench *b, unsigned worker, const struct record_message *message)
{
    struct record_sender sender = {0};
    while (!record_put_message(&b->workers[worker], STORE, message, &sender)) {
        mesh_publish(&b->workers[worker]);
        store_turn(b->store);
    }
    mesh_publish(&b->workers[worker]);
}

static void put_retained(struct bench *b, unsigned worker, const char *topic, size_t size)
{
    put_message(b, worker,
                &(struct record_message){.purpose = RECORD_FOR_RETAIN,
                                         .message_id = 1,
                                         .topic = bytes_of(topic),
                                         .payload = {b->payload, size}});
}

static void put_will(struct bench *b, unsigned worker, const char *client, size_t size)
{
    put_message(b, worker,
                &(struct record_message){.purpose = RECORD_FOR_WILL,
                                         .message_id = 7,
                                         .will_delay_s = 5,
                                         .qos = 2,
                                         .retain = true,
                                         .topic = bytes_of("last/words"),
                                         .client_id = bytes_of(client),
                                         .payload = {b->payload, size}});
}

/* -- what a worker hears -- */

struct heard {
    unsigned confirm_count;
    uint64_t confirmed;
    unsigned refused_count;
    uint64_t refused;
    unsigned will_count;
    unsigned wills_after_confirm;
    size_t will_bytes;
    struct record_message will; /* the last one, without its text */
};

static void hear_will(struct heard *heard, const struct record_message *will)
{
    heard->will_count++;
    heard->will_bytes += will->payload.size;
    heard->wills_after_confirm += heard->confirm_count > 0;
    heard->will = *will;
}

static void hear_record(struct heard *heard, struct record_assembly *assembly,
                        const struct ring_record *record)
{
    struct record_message message;
    enum mqtt_reason reason;
    if (record->kind == RECORD_CONFIRM) {
        uint64_t before = heard->confirmed;
        assert_true(record_get_confirm(record, &heard->confirmed));
        assert_true(heard->confirmed > before);
        heard->confirm_count++;
    } else if (record->kind == RECORD_REFUSE) {
        assert_true(record_get_refuse(record, &heard->refused, &reason));
        assert_int_equal(reason, REASON_QUOTA_EXCEEDED);
        assert_true(heard->refused > heard->confirmed);
        heard->refused_count++;
    } else if (record_get_message(assembly, record, 1 << 20, &message) == RECORD_WHOLE) {
        hear_will(heard, &message);
    }
}

static void hear(struct bench *b, unsigned worker, struct heard *heard)
{
    struct record_assembly assembly = {0};
    struct ring_record record;
    while (ring_next(&b->workers[worker].in[STORE], &record))
        hear_record(heard, &assembly, &record);
    mesh_release(&b->workers[worker], STORE);
    record_assembly_done(&assembly);
}

/* Turns until the store would sleep, with the worker listening all the time. */
static struct heard run_until_idle(struct bench *b, unsigned worker)
{
    struct heard heard = {0};
    for (int i = 0; i < 10000; i++) {
        hear(b, worker, &heard);
        if (store_is_idle(b->store))
            return heard;
        store_turn(b->store);
    }
    fail_msg("the store finds no rest");
    return heard;
}

static uint64_t stat_of_store(struct bench *b, enum stat stat)
{
    return stats_get(stats_of(&b->region, STORE), stat);
}

/* -- tests -- */

static void test_store_turn_confirms_after_one_more_pass(void **state)
{
    struct bench *b = *state;
    struct heard heard = {0};
    uint64_t serial = put_filter(b, 0, "a/+", true);
    store_turn(b->store);
    hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 0);
    assert_false(store_is_idle(b->store));
    store_turn(b->store);
    hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 1);
    assert_int_equal(heard.confirmed, serial);
    assert_true(store_is_idle(b->store));
}

/* The publisher matched without the subscription; the subscriber must find the
 * message as retained when it is confirmed. */
static void test_store_turn_takes_racing_retained_before_confirm(void **state)
{
    struct bench *b = *state;
    struct heard heard = {0};
    put_filter(b, 0, "a/b", true);
    store_turn(b->store);
    put_retained(b, 1, "a/b", 10);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 0);
    store_turn(b->store);
    hear(b, 0, &heard);
    assert_int_equal(heard.confirm_count, 1);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 1);
}

static void test_store_turn_counts_retained(void **state)
{
    struct bench *b = *state;
    put_retained(b, 0, "a", 10);
    put_retained(b, 1, "b", 20000);
    put_retained(b, 1, "a", 5);
    run_until_idle(b, 0);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 2);
    assert_int_equal(stat_of_store(b, STAT_retained_bytes), 20005);
    put_retained(b, 0, "b", 0);
    run_until_idle(b, 0);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 1);
    assert_int_equal(stat_of_store(b, STAT_retained_bytes), 5);
}

static void test_store_turn_confirms_only_last_of_many(void **state)
{
    struct bench *b = *state;
    char text[32];
    uint64_t serial = 0;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "filter/%u", i);
        serial = put_filter(b, 0, text, true);
    }
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(heard.refused_count, 0);
}

/* A worker that does not listen for long loses no confirmation. */
static void test_store_turn_keeps_confirmation_when_ring_is_full(void **state)
{
    struct bench *b = *state;
    struct heard heard = {0};
    uint64_t serial = 0;
    for (unsigned i = 0; i < 6000; i++) {
        serial = put_filter(b, 0, "a", i % 2 == 0);
        store_turn(b->store);
        store_turn(b->store);
    }
    assert_true(store_is_idle(b->store));
    hear(b, 0, &heard);
    assert_true(heard.confirmed < serial);
    heard = run_until_idle(b, 0);
    assert_int_equal(heard.confirmed, serial);
}

static void test_store_turn_hands_wills_over_at_reset(void **state)
{
    struct bench *b = *state;
    put_will(b, 0, "one", 10);
    put_will(b, 0, "two", 20000);
    put_will(b, 1, "other worker's", 10);
    run_until_idle(b, 0);
    start_worker(b, 0, 9);
    uint64_t serial = put_reset(b, 0);
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.will_count, 2);
    assert_int_equal(heard.will_bytes, 20010);
    assert_int_equal(heard.wills_after_confirm, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(heard.will.purpose, RECORD_FOR_WILL);
    assert_int_equal(heard.will.will_delay_s, 5);
    assert_int_equal(heard.will.qos, 2);
    assert_true(heard.will.retain);
}

static void test_store_turn_keeps_wills_until_cleared(void **state)
{
    struct bench *b = *state;
    put_will(b, 0, "one", 10);
    put_will(b, 0, "two", 10);
    for (uint64_t epoch = 5; epoch < 7; epoch++) {
        start_worker(b, 0, epoch);
        put_reset(b, 0);
        assert_int_equal(run_until_idle(b, 0).will_count, 2);
    }
    assert_true(record_put_will_clear(&b->workers[0], STORE, bytes_of("one")));
    mesh_publish(&b->workers[0]);
    start_worker(b, 0, 8);
    put_reset(b, 0);
    assert_int_equal(run_until_idle(b, 0).will_count, 1);
}

/* The new worker's own clients are not among those who died. */
static void test_store_turn_hands_over_no_will_set_after_reset(void **state)
{
    struct bench *b = *state;
    put_will(b, 0, "old", 10);
    run_until_idle(b, 0);
    start_worker(b, 0, 9);
    put_reset(b, 0);
    put_will(b, 0, "new", 10);
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.will_count, 1);
}

static void test_store_turn_hands_over_more_wills_than_the_ring_holds(void **state)
{
    struct bench *b = *state;
    char client[32];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(client, sizeof client, "client %u", i);
        put_will(b, 0, client, 1000);
    }
    run_until_idle(b, 0);
    start_worker(b, 0, 9);
    uint64_t serial = put_reset(b, 0);
    put_filter(b, 1, "others/wait", true);
    for (int i = 0; i < 10; i++)
        store_turn(b->store);
    assert_true(store_is_idle(b->store)); /* it waits for room, and does not spin */
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.will_count, 300);
    assert_int_equal(heard.confirmed, serial);
    struct heard other = {0};
    hear(b, 1, &other);
    assert_int_equal(other.confirm_count, 1);
}

/* Committed and given back, but not confirmed: the successor does that. */
static void test_store_open_confirms_what_predecessor_did_not(void **state)
{
    struct bench *b = *state;
    uint64_t serial = put_filter(b, 0, "a", true);
    store_turn(b->store);
    store_close(b->store);
    start_store(b);
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.confirmed, serial);
}

static void test_store_open_recounts_retained(void **state)
{
    struct bench *b = *state;
    put_retained(b, 0, "a/b", 10);
    put_retained(b, 0, "$SYS/broker/version", 20);
    run_until_idle(b, 0);
    store_close(b->store);
    stats_reset_gauges(stats_of(&b->region, STORE));
    start_store(b);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 2);
    assert_int_equal(stat_of_store(b, STAT_retained_bytes), 30);
}

static void test_store_open_hands_wills_over_again(void **state)
{
    struct bench *b = *state;
    put_will(b, 0, "one", 10);
    for (unsigned i = 0; i < 60; i++) {
        char client[16];
        snprintf(client, sizeof client, "%u", i);
        put_will(b, 0, client, 2000);
    }
    run_until_idle(b, 0);
    start_worker(b, 0, 9);
    uint64_t serial = put_reset(b, 0);
    store_turn(b->store);
    store_close(b->store); /* in the midst of it: the ring was full */
    start_store(b);
    struct heard heard = run_until_idle(b, 0);
    assert_true(heard.will_count >= 61);
    assert_int_equal(heard.confirmed, serial);
}

/* The first parts of a message stay in the ring until it is whole. */
static void test_store_open_reads_parts_of_a_message_again(void **state)
{
    struct bench *b = *state;
    struct record_sender sender = {0};
    const struct record_message message = {.purpose = RECORD_FOR_RETAIN,
                                           .message_id = 1,
                                           .topic = bytes_of("large"),
                                           .payload = {b->payload, 20000}};
    assert_true(record_put_message(&b->workers[0], STORE, &message, &sender));
    struct ring *out = &b->workers[0].out[STORE];
    uint32_t whole = out->own;
    out->own = out->shown + 8192 + RING_HEADER_SIZE; /* publish its first record alone */
    mesh_publish(&b->workers[0]);
    store_turn(b->store);
    store_close(b->store);
    start_store(b);
    out->own = whole;
    b->workers[0].unpublished = UINT64_C(1) << STORE;
    mesh_publish(&b->workers[0]);
    run_until_idle(b, 0);
    assert_int_equal(stat_of_store(b, STAT_retained_bytes), 20000);
}

/* A filter of 20 levels that shares none of them with another number's. */
static void write_large_filter(char text[2048], unsigned number)
{
    memset(text, 'x', 2047);
    for (unsigned at = 100; at < 2000; at += 100)
        text[at] = '/';
    int size = snprintf(text, 16, "%u", number);
    text[size] = 'x';
    text[2047] = '\0';
}

static void test_store_turn_refuses_only_what_has_no_room(void **state)
{
    struct bench *b = *state;
    char text[2048];
    struct heard heard = {0};
    store_close(b->store);
    b->inherit.live_size_max = 1 << 20;
    start_store(b);
    for (unsigned i = 0; i < 2000 && heard.refused_count == 0; i++) {
        write_large_filter(text, i);
        put_filter(b, 0, text, true);
        put_filter(b, 0, "small", true); /* the same batch */
        heard = run_until_idle(b, 0);
    }
    assert_int_equal(heard.refused_count, 1);
    assert_int_equal(heard.refused, b->serials[0] - 1);
    assert_int_equal(heard.confirmed, b->serials[0]);
    assert_int_equal(stat_of_store(b, STAT_live_refused), 1);
    write_large_filter(text, 0);
    put_filter(b, 0, text, false); /* less is always possible */
    heard = run_until_idle(b, 0);
    assert_int_equal(heard.refused_count, 0);
}

static void test_store_turn_limits_retained_messages(void **state)
{
    struct bench *b = *state;
    store_close(b->store);
    b->conf.tunable.retained_messages_max = 2;
    start_store(b);
    put_retained(b, 0, "a", 1);
    put_retained(b, 0, "b", 1);
    put_retained(b, 1, "c", 1);
    put_retained(b, 1, "a", 2); /* not a new topic */
    run_until_idle(b, 0);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 2);
    assert_int_equal(stat_of_store(b, STAT_retained_bytes), 3);
    assert_int_equal(stat_of_store(b, STAT_live_refused), 1);
    put_retained(b, 0, "b", 0);
    put_retained(b, 0, "c", 1);
    run_until_idle(b, 0);
    assert_int_equal(stat_of_store(b, STAT_retained_messages), 2);
    assert_int_equal(stat_of_store(b, STAT_live_refused), 1);
}

static void test_store_turn_sets_malformed_records_aside(void **state)
{
    struct bench *b = *state;
    static const uint16_t kinds[] = {RECORD_RESET,   RECORD_FILTER, RECORD_GROUP,
                                     RECORD_MESSAGE, RECORD_HOLD,   999};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t *room = mesh_reserve(&b->workers[0], STORE, 3);
        memset(room, 0xFF, 3);
        mesh_commit(&b->workers[0], STORE, 3, kinds[i]);
    }
    uint64_t serial = put_filter(b, 0, "still/works", true);
    struct heard heard = run_until_idle(b, 0);
    assert_int_equal(heard.confirmed, serial);
    assert_int_equal(stat_of_store(b, STAT_quarantined), sizeof kinds / sizeof kinds[0]);
}

int main(void)
{
#define BENCHED(test) cmocka_unit_test_setup_teardown(test, open_bench, close_bench)
    const struct CMUnitTest tests[] = {
        BENCHED(test_store_turn_confirms_after_one_more_pass),
        BENCHED(test_store_turn_takes_racing_retained_before_confirm),
        BENCHED(test_store_turn_counts_retained),
        BENCHED(test_store_turn_confirms_only_last_of_many),
        BENCHED(test_store_turn_keeps_confirmation_when_ring_is_full),
        BENCHED(test_store_turn_hands_wills_over_at_reset),
        BENCHED(test_store_turn_keeps_wills_until_cleared),
        BENCHED(test_store_turn_hands_over_no_will_set_after_reset),
        BENCHED(test_store_turn_hands_over_more_wills_than_the_ring_holds),
        BENCHED(test_store_open_confirms_what_predecessor_did_not),
        BENCHED(test_store_open_recounts_retained),
        BENCHED(test_store_open_hands_wills_over_again),
        BENCHED(test_store_open_reads_parts_of_a_message_again),
        BENCHED(test_store_turn_refuses_only_what_has_no_room),
        BENCHED(test_store_turn_limits_retained_messages),
        BENCHED(test_store_turn_sets_malformed_records_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
