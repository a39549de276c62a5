#include "tests/unit/master/store/store_bench.h"

#include "common/base/hash.h"
#include "common/base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { RING_SIZE = 64 * 1024 };

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

void store_bench_start_worker(struct store_bench *b, unsigned worker, uint64_t epoch)
{
    mesh_open(&b->workers[worker], &b->region, worker, b->bells);
    b->serials[worker] = epoch << 32;
}

void store_bench_start_store(struct store_bench *b)
{
    int error;
    b->store = store_open(&b->inherit, &error);
    assert_non_null(b->store);
    b->inherit.is_successor = true;
}

int store_bench_open(void **state)
{
    struct store_bench *b = calloc(1, sizeof *b);
    hash_start();
    log_set_sink(drop_line, NULL);
    assert_int_equal(region_open(&b->region, STORE_BENCH_WORKERS, RING_SIZE, false), 0);
    for (unsigned i = 0; i < STORE_BENCH_WORKERS + 2; i++)
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
    store_bench_start_store(b);
    for (unsigned i = 0; i < STORE_BENCH_WORKERS; i++)
        store_bench_start_worker(b, i, i + 1);
    *state = b;
    return 0;
}

int store_bench_close(void **state)
{
    struct store_bench *b = *state;
    char path[96];
    store_close(b->store);
    snprintf(path, sizeof path, "%s/data.mdb", b->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", b->folder);
    unlink(path);
    rmdir(b->folder);
    for (unsigned i = 0; i < STORE_BENCH_WORKERS + 2; i++)
        close(b->bells[i]);
    region_close(&b->region);
    free(b);
    return 0;
}

/* -- what a worker says -- */

uint64_t store_bench_put_reset(struct store_bench *b, unsigned worker)
{
    uint64_t serial = ++b->serials[worker];
    assert_true(record_put_reset(&b->workers[worker], STORE, serial));
    mesh_publish(&b->workers[worker]);
    return serial;
}

uint64_t store_bench_put_filter(struct store_bench *b, unsigned worker, const char *text, bool any)
{
    const struct record_filter filter = {
        .serial = ++b->serials[worker], .any = any, .filter = bytes_of(text)};
    assert_true(record_put_filter(&b->workers[worker], STORE, &filter));
    mesh_publish(&b->workers[worker]);
    return filter.serial;
}

void store_bench_put_message(struct store_bench *b, unsigned worker,
                             const struct record_message *message)
{
    struct record_sender sender = {0};
    while (!record_put_message(&b->workers[worker], STORE, message, &sender)) {
        mesh_publish(&b->workers[worker]);
        store_turn(b->store);
    }
    mesh_publish(&b->workers[worker]);
}

void store_bench_put_retained(struct store_bench *b, unsigned worker, const char *topic,
                              size_t size)
{
    store_bench_put_message(b, worker,
                            &(struct record_message){.purpose = RECORD_FOR_RETAIN,
                                                     .message_id = 1,
                                                     .topic = bytes_of(topic),
                                                     .payload = {b->payload, size}});
}

void store_bench_put_will(struct store_bench *b, unsigned worker, const char *client, size_t size)
{
    store_bench_put_message(b, worker,
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

static void hear_will(struct store_heard *heard, const struct record_message *will)
{
    heard->will_count++;
    heard->will_bytes += will->payload.size;
    heard->wills_after_confirm += heard->confirm_count > 0;
    heard->will = *will;
}

static void hear_record(struct store_heard *heard, struct record_assembly *assembly,
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

void store_bench_hear(struct store_bench *b, unsigned worker, struct store_heard *heard)
{
    struct record_assembly assembly = {0};
    struct ring_record record;
    while (ring_next(&b->workers[worker].in[STORE], &record))
        hear_record(heard, &assembly, &record);
    mesh_release(&b->workers[worker], STORE);
    record_assembly_done(&assembly);
}

struct store_heard store_bench_run(struct store_bench *b, unsigned worker)
{
    struct store_heard heard = {0};
    for (int i = 0; i < 10000; i++) {
        store_bench_hear(b, worker, &heard);
        if (store_is_idle(b->store))
            return heard;
        store_turn(b->store);
    }
    fail_msg("the store finds no rest");
    return heard;
}

uint64_t store_bench_stat(struct store_bench *b, enum stat_id stat)
{
    return stats_get(stats_of(&b->region, STORE), stat);
}
