#ifndef COURTIER_TESTS_UNIT_MASTER_STORE_JOURNAL_BENCH_H
#define COURTIER_TESTS_UNIT_MASTER_STORE_JOURNAL_BENCH_H

/*
 * The committer's work on a real region and a real environment, and workers that are
 * only their ends of the rings. Nobody sleeps: the test says when a turn is.
 */

#include "common/conf/conf.h"
#include "master/store/committer_work.h"
#include "shm/mesh.h"
#include "shm/record_journal.h"
#include "shm/region.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOURNAL_BENCH_WORKERS = 2,
    JOURNAL_BENCH_COMMITTER = JOURNAL_BENCH_WORKERS + 1, /* its slot */
    JOURNAL_BENCH_SLOTS = JOURNAL_BENCH_WORKERS + 3,
    JOURNAL_BENCH_HEARD_MAX = 4096,
    JOURNAL_BENCH_PAYLOAD_MAX = 256 * 1024
};

/* What a worker heard. Names are hashed away: only sizes and payload sums are kept. */
struct journal_heard {
    uint64_t confirmed;
    unsigned confirm_count;
    uint64_t refused; /* the last one */
    unsigned refused_count;
    enum mqtt_reason reason;
    enum record_journal_state state;
    bool was_full; /* that state was told, once */
    unsigned begin_count;
    unsigned end_count;
    uint64_t last_serial; /* of RESTORE_BEGIN */
    uint32_t run;
    unsigned count; /* restored records, in order: */
    struct record_journal records[JOURNAL_BENCH_HEARD_MAX];
    char names[JOURNAL_BENCH_HEARD_MAX][24];
    size_t payload_sizes[JOURNAL_BENCH_HEARD_MAX];
    uint32_t payload_tags[JOURNAL_BENCH_HEARD_MAX]; /* its first four bytes */
    uint64_t expiries[JOURNAL_BENCH_HEARD_MAX];
};

struct journal_bench {
    struct region region;
    int bells[JOURNAL_BENCH_SLOTS];
    char folder[64];
    struct conf conf;
    struct inherit inherit;
    struct committer_work work;
    bool is_open;
    struct mesh workers[JOURNAL_BENCH_WORKERS];
    struct record_assembly assemblies[JOURNAL_BENCH_WORKERS];
    uint64_t serials[JOURNAL_BENCH_WORKERS];
    uint64_t next_message;
    struct journal_heard heard[JOURNAL_BENCH_WORKERS];
    uint8_t payload[JOURNAL_BENCH_PAYLOAD_MAX];
};

/* cmocka's setup and teardown; *state is the struct journal_bench. */
int journal_bench_open(void **state);
int journal_bench_close(void **state);

/* The committer dies (nothing is closed but the file) and a successor comes; or it
 * ends in order and the whole broker starts again, with new rings. */
void journal_bench_kill(struct journal_bench *b);
void journal_bench_restart(struct journal_bench *b);
/* Opens or closes the committer alone. */
void journal_bench_start(struct journal_bench *b);
void journal_bench_stop(struct journal_bench *b);

/* One turn, and the workers listen. */
void journal_bench_turn(struct journal_bench *b);
/* Turns until the committer would sleep. */
void journal_bench_run(struct journal_bench *b);
/* A worker listens. */
void journal_bench_hear(struct journal_bench *b, unsigned worker);
/* RESET, and all that comes back, is in heard[worker]. */
struct journal_heard *journal_bench_restore(struct journal_bench *b, unsigned worker);
/* Restored records of a kind. */
unsigned journal_bench_count(const struct journal_heard *heard, enum record_kind kind);

/* What a worker says; the record's serial is set, and returned. */
uint64_t journal_bench_put(struct journal_bench *b, unsigned worker, struct record_journal record);
/* A body with a payload of `size` bytes (at least 4, or 0), which begin with its own
 * number; returns its message id. */
uint64_t journal_bench_put_body(struct journal_bench *b, unsigned worker, size_t size);
void journal_bench_put_message(struct journal_bench *b, unsigned worker,
                               const struct record_message *message);
/* A session with this number, whose home is `worker`. */
uint64_t journal_bench_put_session(struct journal_bench *b, unsigned worker, uint64_t session);
/* Body and ENQUEUE; the same in flight, with its seq as packet id. */
uint64_t journal_bench_enqueue(struct journal_bench *b, unsigned worker, uint64_t session,
                               uint64_t seq, size_t size);
uint64_t journal_bench_enqueue_sent(struct journal_bench *b, unsigned worker, uint64_t session,
                                    uint64_t seq, size_t size);
uint64_t journal_bench_done(struct journal_bench *b, unsigned worker, uint64_t session,
                            uint64_t seq);
uint64_t journal_bench_stat(struct journal_bench *b, enum stat_id stat);

#endif
