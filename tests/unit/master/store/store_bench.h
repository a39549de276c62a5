#ifndef COURTIER_TESTS_UNIT_MASTER_STORE_STORE_BENCH_H
#define COURTIER_TESTS_UNIT_MASTER_STORE_STORE_BENCH_H

/*
 * A store on a real region and a real environment, and two workers that are only
 * their ends of the rings. Nobody sleeps: the test says when a turn is.
 */

#include "common/conf/conf.h"
#include "master/store/store.h"
#include "shm/mesh.h"
#include "shm/record.h"
#include "shm/region.h"
#include "shm/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_BENCH_WORKERS = 2,
    STORE = STORE_BENCH_WORKERS, /* its slot */
    STORE_BENCH_PAYLOAD_MAX = 32 * 1024
};

struct store_bench {
    struct region region;
    int bells[STORE_BENCH_WORKERS + 2];
    char folder[64];
    struct conf conf;
    struct inherit inherit;
    struct store *store;
    struct mesh workers[STORE_BENCH_WORKERS];
    uint64_t serials[STORE_BENCH_WORKERS];
    uint8_t payload[STORE_BENCH_PAYLOAD_MAX];
};

/* What a worker heard. */
struct store_heard {
    unsigned confirm_count;
    uint64_t confirmed;
    unsigned refused_count;
    uint64_t refused;
    unsigned will_count;
    unsigned wills_after_confirm;
    size_t will_bytes;
    struct record_message will; /* the last one, without its text */
};

/* cmocka's setup and teardown; *state is the struct store_bench. */
int store_bench_open(void **state);
int store_bench_close(void **state);

/* A new process in a worker's slot; its serials begin at `epoch` << 32. */
void store_bench_start_worker(struct store_bench *b, unsigned worker, uint64_t epoch);
/* A new store process; the one before was closed by the test. */
void store_bench_start_store(struct store_bench *b);

/* What a worker says; a serial is returned. */
uint64_t store_bench_put_reset(struct store_bench *b, unsigned worker);
uint64_t store_bench_put_filter(struct store_bench *b, unsigned worker, const char *text, bool any);
void store_bench_put_message(struct store_bench *b, unsigned worker,
                             const struct record_message *message);
void store_bench_put_retained(struct store_bench *b, unsigned worker, const char *topic,
                              size_t size);
void store_bench_put_will(struct store_bench *b, unsigned worker, const char *client, size_t size);

/* Takes all that there is for a worker, adding to `heard`. */
void store_bench_hear(struct store_bench *b, unsigned worker, struct store_heard *heard);
/* Turns until the store would sleep, with the worker listening all the time. */
struct store_heard store_bench_run(struct store_bench *b, unsigned worker);
uint64_t store_bench_stat(struct store_bench *b, enum stat_id stat);

#endif
