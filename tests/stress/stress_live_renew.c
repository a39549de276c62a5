/*
 * Readers renew their snapshot as fast as they can while a writer commits as
 * fast as it can, and a third process stops the readers at random moments, so
 * that some stand still in the middle of a renewal.
 *
 * Each commit writes its number into records on many pages, and its neighbour
 * moves the root and the end of the file. A snapshot is right when all of them
 * show one number, which is not older than what was committed before the
 * renewal, nor than the snapshot before.
 *
 *   stress_live_renew [seconds]      default 5
 */

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "shm/live/live.h"
#include "shm/live/live_internal.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READERS = 2,
    STAMPS = 6,
    STAMP_SIZE = 1500,    /* two to a page */
    MAP_SIZE = 512 << 20, /* a reader that stands still for 50 ms pins a tenth of it */
    RATE_MIN = 10000
};

struct shared {
    _Atomic uint64_t committed;
    _Atomic uint64_t renewed[READERS];
    _Atomic int stop;
};

static _Noreturn void fail(const char *what, int64_t detail)
{
    fprintf(stderr, "FAILED: %s (%" PRId64 ")\n", what, detail);
    exit(1);
}

static void must(int r, const char *what)
{
    if (r != 0)
        fail(what, r);
}

static struct bytes key_of(uint8_t key[2], unsigned number)
{
    key[0] = 0x7F;
    key[1] = (uint8_t)number;
    return (struct bytes){key, 2};
}

static void put_number(struct live *live, unsigned record, uint64_t number, size_t size)
{
    uint8_t key[2];
    uint8_t *memory;
    must(live_reserve(live, key_of(key, record), size, &memory), "put");
    memset(memory, 0, size);
    memcpy(memory, &number, sizeof number);
}

/* Makes the tree deeper and the file longer with one commit, and takes that
 * back with the next. */
static void move_root(struct live *live, uint64_t number)
{
    uint8_t key[2];
    for (unsigned i = 0; i < 4; i++) {
        unsigned record = 100 + (unsigned)(number / 2 % 8) * 4 + i;
        if (number % 2 == 0)
            put_number(live, record, number, 1000 + i * 3000);
        if (number % 2 == 1)
            (void)live_delete(live, key_of(key, record));
    }
}

static void run_writer(const char *folder, struct shared *shared)
{
    struct live *live;
    must(live_open_writer(&live, folder, MAP_SIZE), "open writer");
    for (uint64_t number = 1; atomic_load(&shared->stop) == 0; number++) {
        must(live_begin(live), "begin");
        for (unsigned i = 0; i < STAMPS; i++) {
            put_number(live, i, number, STAMP_SIZE);
        }
        move_root(live, number);
        must(live_commit(live), "commit");
        atomic_store(&shared->committed, number);
        if (number % 1024 == 0)
            live_reap_readers(live);
    }
    live_close(live);
}

static uint64_t number_at(struct live *live, unsigned record)
{
    uint8_t key[2];
    struct bytes value;
    must(live_get(live, key_of(key, record), &value), "get");
    uint64_t number;
    if (value.size != STAMP_SIZE)
        fail("size of a stamp", (int64_t)value.size);
    memcpy(&number, value.data, sizeof number);
    return number;
}

static void run_reader(const char *folder, struct shared *shared, unsigned index)
{
    struct live *live;
    must(live_open_reader(&live, folder), "open reader");
    uint64_t last = 0;
    uint64_t renewed = 0;
    while (atomic_load(&shared->stop) == 0) {
        uint64_t floor = atomic_load(&shared->committed);
        must(live_renew(live), "renew");
        uint64_t number = number_at(live, 0);
        if (number < floor)
            fail("older than a commit before it", (int64_t)(floor - number));
        if (number < last)
            fail("older than the snapshot before", (int64_t)(last - number));
        for (unsigned i = 1; i < STAMPS; i++) {
            if (number_at(live, i) != number)
                fail("a mixture", (int64_t)number);
        }
        last = number;
        atomic_store(&shared->renewed[index], ++renewed);
        if (renewed % 8 == 0)
            live_rest(live);
    }
    live_close(live);
}

static pid_t start(const char *folder, struct shared *shared, int reader)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork", errno);
    if (pid > 0)
        return pid;
    if (reader < 0)
        run_writer(folder, shared);
    if (reader >= 0)
        run_reader(folder, shared, (unsigned)reader);
    exit(0);
}

/* Stops and continues the readers, each for a moment. */
static void interrupt(const pid_t *readers, uint64_t end_ms)
{
    while (clock_now_ms() < end_ms) {
        uint32_t random;
        hash_random(&random, sizeof random);
        pid_t pid = readers[random % READERS];
        kill(pid, SIGSTOP);
        usleep(random / READERS % 1000);
        kill(pid, SIGCONT);
        usleep(200);
    }
}

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 5;
    hash_start();
    char folder[64];
    if (fixture_make_folder(folder, sizeof folder) != 0)
        return 77;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("mmap", errno);
    pid_t children[1 + READERS];
    children[0] = start(folder, shared, -1);
    while (atomic_load(&shared->committed) == 0) {
        usleep(1000);
    }
    for (int i = 0; i < READERS; i++) {
        children[1 + i] = start(folder, shared, i);
    }
    uint64_t begin_ms = clock_now_ms();
    interrupt(children + 1, begin_ms + seconds * 1000);
    atomic_store(&shared->stop, 1);
    int bad = 0;
    for (int i = 0; i < 1 + READERS; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        bad += status != 0;
    }
    uint64_t commits = atomic_load(&shared->committed);
    printf("%" PRIu64 " commits, %" PRIu64 " and %" PRIu64 " snapshots in %" PRIu64 " ms\n",
           commits, atomic_load(&shared->renewed[0]), atomic_load(&shared->renewed[1]),
           clock_now_ms() - begin_ms);
    fixture_remove_folder(folder);
    if (commits < RATE_MIN * seconds)
        printf("slower than %d commits a second\n", RATE_MIN);
    return bad != 0;
}
