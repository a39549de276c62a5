#include "tests/unit/master/store/journal_bench.h"

#include "common/base/hash.h"
#include "common/base/log.h"
#include "shm/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { RING_SIZE = 64 * 1024, SIZE_MAX_ON_DISK = 32 << 20 };

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

static void open_region(struct journal_bench *b)
{
    assert_int_equal(region_open(&b->region, JOURNAL_BENCH_WORKERS, RING_SIZE, true), 0);
    for (unsigned i = 0; i < JOURNAL_BENCH_SLOTS; i++)
        b->bells[i] = eventfd(0, EFD_NONBLOCK);
    for (unsigned i = 0; i < JOURNAL_BENCH_WORKERS; i++) {
        mesh_open(&b->workers[i], &b->region, i, b->bells);
        memset(&b->heard[i], 0, sizeof b->heard[i]);
    }
    b->inherit = (struct inherit){
        .role = ROLE_STORE,
        .slot = JOURNAL_BENCH_WORKERS,
        .region = &b->region,
        .conf = &b->conf,
        .bell_fds = b->bells,
        .durable_path = b->folder,
    };
}

static void close_region(struct journal_bench *b)
{
    for (unsigned i = 0; i < JOURNAL_BENCH_SLOTS; i++)
        close(b->bells[i]);
    for (unsigned i = 0; i < JOURNAL_BENCH_WORKERS; i++)
        record_assembly_done(&b->assemblies[i]);
    region_close(&b->region);
}

void journal_bench_start(struct journal_bench *b)
{
    assert_int_equal(committer_work_open(&b->work, &b->inherit), 0);
    b->is_open = true;
}

void journal_bench_stop(struct journal_bench *b)
{
    if (b->is_open)
        committer_work_close(&b->work);
    b->is_open = false;
}

int journal_bench_open(void **state)
{
    struct journal_bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    hash_start();
    log_set_sink(drop_line, NULL);
    strcpy(b->folder, "/tmp/test-journal-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    b->conf.persistence_size_max = SIZE_MAX_ON_DISK;
    b->conf.commit_interval_s = 3600;
    b->next_message = 1;
    open_region(b);
    journal_bench_start(b);
    *state = b;
    return 0;
}

int journal_bench_close(void **state)
{
    struct journal_bench *b = *state;
    char path[96];
    journal_bench_stop(b);
    snprintf(path, sizeof path, "%s/data.mdb", b->folder);
    unlink(path);
    assert_int_equal(rmdir(b->folder), 0);
    close_region(b);
    free(b);
    return 0;
}

/* What the process had in memory is gone: an open transaction too. */
void journal_bench_kill(struct journal_bench *b)
{
    journal_bench_stop(b);
    b->inherit.is_successor = true;
    journal_bench_start(b);
}

void journal_bench_restart(struct journal_bench *b)
{
    journal_bench_stop(b);
    close_region(b);
    open_region(b);
    journal_bench_start(b);
}

/* -- what a worker hears -- */

static void note(struct journal_heard *heard, const struct record_journal *record,
                 const struct record_message *message)
{
    unsigned i = heard->count++;
    assert_true(i < JOURNAL_BENCH_HEARD_MAX);
    heard->records[i] = *record;
    snprintf(heard->names[i], sizeof heard->names[i], "%.*s", (int)record->name.size,
             (const char *)record->name.data);
    if (record->kind == RECORD_KEEP_WILL)
        snprintf(heard->names[i], sizeof heard->names[i], "%.*s", (int)message->client_id.size,
                 (const char *)message->client_id.data);
    heard->payload_sizes[i] = 0;
    if (message->message_id != record->message_id || record->message_id == 0)
        return;
    heard->payload_sizes[i] = message->payload.size;
    heard->expiries[i] = message->expiry_at_ms;
    if (message->payload.size >= sizeof(uint32_t))
        memcpy(&heard->payload_tags[i], message->payload.data, sizeof(uint32_t));
}

static void hear_journal(struct journal_heard *heard, const struct ring_record *record,
                         const struct record_message *message)
{
    struct record_journal journal;
    assert_true(record_get_journal(record, &journal));
    if (journal.kind == RECORD_JOURNAL_STATE) {
        heard->state = (enum record_journal_state)journal.state;
        heard->was_full = heard->was_full || heard->state == RECORD_JOURNAL_FULL;
    } else if (journal.kind == RECORD_RESTORE_BEGIN) {
        heard->begin_count++;
        heard->count = 0;
        heard->last_serial = journal.serial;
        heard->run = journal.run;
    } else if (journal.kind == RECORD_RESTORE_END) {
        heard->end_count++;
    } else {
        note(heard, &journal, message);
    }
}

void journal_bench_hear(struct journal_bench *b, unsigned worker)
{
    struct journal_heard *heard = &b->heard[worker];
    struct record_message message = {0};
    struct ring_record record;
    while (ring_next(&b->workers[worker].in[JOURNAL_BENCH_COMMITTER], &record)) {
        if (record.kind == RECORD_CONFIRM) {
            uint64_t before = heard->confirmed;
            assert_true(record_get_confirm(&record, &heard->confirmed));
            assert_true(heard->confirmed >= before);
            heard->confirm_count++;
        } else if (record.kind == RECORD_REFUSE) {
            assert_true(record_get_refuse(&record, &heard->refused, &heard->reason));
            heard->refused_count++;
        } else if (record_is_journal(record.kind)) {
            hear_journal(heard, &record, &message);
        } else {
            (void)record_get_message(&b->assemblies[worker], &record, 1 << 20, &message);
        }
    }
    mesh_release(&b->workers[worker], JOURNAL_BENCH_COMMITTER);
}

void journal_bench_turn(struct journal_bench *b)
{
    for (unsigned i = 0; i < JOURNAL_BENCH_WORKERS; i++)
        mesh_publish(&b->workers[i]);
    committer_work_turn(&b->work);
    for (unsigned i = 0; i < JOURNAL_BENCH_WORKERS; i++)
        journal_bench_hear(b, i);
}

void journal_bench_run(struct journal_bench *b)
{
    for (int i = 0; i < 10000; i++) {
        journal_bench_turn(b);
        if (committer_work_is_idle(&b->work))
            return;
    }
    fail_msg("the committer finds no rest");
}

struct journal_heard *journal_bench_restore(struct journal_bench *b, unsigned worker)
{
    struct journal_heard *heard = &b->heard[worker];
    const struct record_journal reset = {.kind = RECORD_JOURNAL_RESET, .epoch = 77};
    memset(heard, 0, sizeof *heard);
    assert_true(record_put_journal(&b->workers[worker], JOURNAL_BENCH_COMMITTER, &reset));
    journal_bench_run(b);
    assert_int_equal(heard->end_count, 1);
    b->serials[worker] = heard->last_serial;
    return heard;
}

unsigned journal_bench_count(const struct journal_heard *heard, enum record_kind kind)
{
    unsigned count = 0;
    for (unsigned i = 0; i < heard->count; i++)
        count += heard->records[i].kind == kind;
    return count;
}

/* -- what a worker says -- */

uint64_t journal_bench_put(struct journal_bench *b, unsigned worker, struct record_journal record)
{
    record.serial = ++b->serials[worker];
    while (!record_put_journal(&b->workers[worker], JOURNAL_BENCH_COMMITTER, &record))
        journal_bench_turn(b);
    return record.serial;
}

void journal_bench_put_message(struct journal_bench *b, unsigned worker,
                               const struct record_message *message)
{
    struct record_sender sender = {0};
    while (!record_put_message(&b->workers[worker], JOURNAL_BENCH_COMMITTER, message, &sender))
        journal_bench_turn(b);
}

uint64_t journal_bench_put_body(struct journal_bench *b, unsigned worker, size_t size)
{
    const struct record_message message = {
        .purpose = RECORD_FOR_JOURNAL,
        .message_id = b->next_message++,
        .qos = 1,
        .topic = bytes_of("a/topic"),
        .properties = bytes_of("xy"),
        .payload = {b->payload, size},
    };
    uint32_t tag = (uint32_t)message.message_id;
    memcpy(b->payload, &tag, sizeof tag);
    journal_bench_put_message(b, worker, &message);
    return message.message_id;
}

uint64_t journal_bench_put_session(struct journal_bench *b, unsigned worker, uint64_t session)
{
    char name[24];
    unsigned try = 0;
    do
        snprintf(name, sizeof name, "client-%u-%u", (unsigned)session, try++);
    while (home_of(&b->region, bytes_of(name)) != worker);
    return journal_bench_put(b, worker,
                             (struct record_journal){.kind = RECORD_SESSION,
                                                     .session = session,
                                                     .expiry_s = 3600,
                                                     .version = 5,
                                                     .connected = true,
                                                     .name = bytes_of(name)});
}

static uint64_t enqueue(struct journal_bench *b, unsigned worker, struct record_journal record,
                        size_t size)
{
    record.kind = RECORD_ENQUEUE;
    record.message_id = journal_bench_put_body(b, worker, size);
    record.bytes = size;
    record.qos = 1;
    return journal_bench_put(b, worker, record);
}

uint64_t journal_bench_enqueue(struct journal_bench *b, unsigned worker, uint64_t session,
                               uint64_t seq, size_t size)
{
    return enqueue(b, worker, (struct record_journal){.session = session, .seq = seq}, size);
}

uint64_t journal_bench_enqueue_sent(struct journal_bench *b, unsigned worker, uint64_t session,
                                    uint64_t seq, size_t size)
{
    return enqueue(
        b, worker,
        (struct record_journal){.session = session, .seq = seq, .packet_id = (uint16_t)seq}, size);
}

uint64_t journal_bench_done(struct journal_bench *b, unsigned worker, uint64_t session,
                            uint64_t seq)
{
    return journal_bench_put(
        b, worker, (struct record_journal){.kind = RECORD_DONE, .session = session, .seq = seq});
}

uint64_t journal_bench_stat(struct journal_bench *b, enum stat_id stat)
{
    return stats_get(stats_of(&b->region, JOURNAL_BENCH_COMMITTER), stat);
}
