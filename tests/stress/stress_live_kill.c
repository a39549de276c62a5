/*
 * Kills the writer of the live store inside its transactions, over and over,
 * while readers go on; every few rounds a reader is killed in its snapshot too.
 *
 * Each transaction changes a filter and the retained message of the same name
 * together, so a snapshot with one but not the other shows a torn transaction.
 * At the end a last writer finds no reader left behind, room in the map, and can
 * clear all.
 *
 *   stress_live_kill [kills]      default 200
 */

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "shm/live/live.h"
#include "shm/live/live_internal.h"
#include "shm/live/retain.h"
#include "shm/live/trie.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READERS = 2,
    PAIRS = 3000,
    BATCH = 20,
    MAP_SIZE = 256 << 20, /* a reader that waits for a CPU must not fill it meanwhile */
    RECOVERY_MS_MAX = 500,
    READER_KILL_EVERY = 5
};

struct shared {
    _Atomic uint64_t commits;
    _Atomic uint64_t checks;
    _Atomic uint64_t recovery_ms; /* longest */
    _Atomic int stop;
};

struct stress {
    const char *folder;
    struct shared *shared;
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

static uint32_t random_below(uint32_t limit)
{
    uint32_t random;
    hash_random(&random, sizeof random);
    return random % limit;
}

static struct bytes name_of(char *text, size_t size, uint32_t pair)
{
    snprintf(text, size, "pair/%u/%u", pair % 50, pair);
    return bytes_of(text);
}

static void flip_pair(struct live *live, uint32_t pair)
{
    char text[64];
    struct bytes name = name_of(text, sizeof text, pair);
    struct retained message = {.topic = name, .payload = name, .expiry_at_ms = pair};
    struct retain_delta delta;
    bool changed;
    struct retained old;
    int r = retain_get(live, name, &old);
    if (r != 0 && r != -ENOENT)
        fail("retain_get", r);
    bool on = r == -ENOENT;
    must(trie_set(live, name, pair % 8, on, on, &changed), "trie_set");
    if (!changed)
        fail("a pair torn, seen by the writer", pair);
    must(on ? retain_set(live, &message, &delta) : retain_clear(live, name, &delta), "retain");
}

static void note_recovery(struct shared *shared, uint64_t start_ms)
{
    uint64_t ms = clock_now_ms() - start_ms;
    if (ms > atomic_load(&shared->recovery_ms))
        atomic_store(&shared->recovery_ms, ms);
}

static void run_writer(const struct stress *stress)
{
    uint64_t start_ms = clock_now_ms();
    struct live *live;
    must(live_open_writer(&live, stress->folder, MAP_SIZE), "open writer");
    live_reap_readers(live);
    note_recovery(stress->shared, start_ms);
    for (;;) {
        must(live_begin(live), "begin");
        for (unsigned i = 0; i < BATCH; i++) {
            flip_pair(live, random_below(PAIRS));
        }
        must(live_commit(live), "commit");
        atomic_fetch_add(&stress->shared->commits, 1);
    }
}

static void check_pair(struct live *live, uint32_t pair)
{
    char text[64];
    struct bytes name = name_of(text, sizeof text, pair);
    struct trie_match match;
    struct retained message;
    must(trie_match(live, name, 0, &match), "trie_match");
    int r = retain_get(live, name, &message);
    if (r != 0 && r != -ENOENT)
        fail("retain_get", r);
    if ((match.any == 0) != (r == -ENOENT))
        fail("a pair torn", pair);
    if (r == 0 && !bytes_equal(message.payload, name))
        fail("a wrong payload", pair);
}

static void run_reader(const struct stress *stress)
{
    struct live *live;
    must(live_open_reader(&live, stress->folder), "open reader");
    while (atomic_load(&stress->shared->stop) == 0) {
        must(live_renew(live), "renew");
        for (unsigned i = 0; i < BATCH; i++) {
            check_pair(live, random_below(PAIRS));
        }
        atomic_fetch_add(&stress->shared->checks, BATCH);
    }
    live_close(live);
}

static void clear_pairs(struct live *live)
{
    char text[64];
    struct retain_delta delta;
    bool changed;
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        if (pair % BATCH == 0)
            must(live_begin(live), "begin");
        struct bytes name = name_of(text, sizeof text, pair);
        must(trie_set(live, name, pair % 8, false, false, &changed), "trie_set");
        must(retain_clear(live, name, &delta), "retain_clear");
        if (pair % BATCH == BATCH - 1)
            must(live_commit(live), "commit");
    }
}

static void run_last_writer(const struct stress *stress)
{
    struct live *live;
    must(live_open_writer(&live, stress->folder, MAP_SIZE), "open last writer");
    live_reap_readers(live);
    uint64_t lag = live_reader_lag(live);
    if (lag != 0)
        fail("a dead reader's slot is left", (int64_t)lag);
    uint64_t used;
    uint64_t size_max;
    live_usage(live, &used, &size_max);
    if (used > size_max / 4)
        fail("the map filled up", (int64_t)used);
    clear_pairs(live);
    must(live_begin(live), "begin");
    uint8_t kind = LIVE_TRIE;
    struct bytes key;
    struct bytes value;
    int r = live_seek(live, (struct bytes){&kind, 1}, &key, &value);
    if (r != -ENOENT)
        fail("something is left", r);
    live_close(live);
}

typedef void (*run_fn)(const struct stress *stress);

static pid_t start(const struct stress *stress, run_fn run)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork", errno);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* when this test fails, nothing stays behind */
    run(stress);
    exit(0);
}

static void end(pid_t pid, int signal)
{
    int status = 0;
    if (signal != 0)
        kill(pid, signal);
    waitpid(pid, &status, 0);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == signal;
    if (!killed && status != 0)
        fail("a child", status);
}

static void run_rounds(const struct stress *stress, unsigned kills)
{
    pid_t readers[READERS] = {0};
    for (unsigned round = 0; round < kills; round++) {
        uint64_t before = atomic_load(&stress->shared->commits);
        pid_t writer = start(stress, run_writer);
        /* Long enough to commit, then at any moment. */
        while (atomic_load(&stress->shared->commits) == before) {
            if (waitpid(writer, NULL, WNOHANG) != 0)
                fail("the writer ended", round);
            usleep(100);
        }
        pid_t *reader = &readers[round % READERS];
        if (*reader != 0 && round % READER_KILL_EVERY == 0) {
            end(*reader, SIGKILL);
            *reader = 0;
        }
        if (*reader == 0)
            *reader = start(stress, run_reader);
        usleep(random_below(5000));
        end(writer, SIGKILL);
    }
    atomic_store(&stress->shared->stop, 1);
    for (unsigned i = 0; i < READERS; i++) {
        if (readers[i] != 0)
            end(readers[i], i == 0 ? SIGKILL : 0);
    }
}

int main(int argc, char **argv)
{
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    hash_start();
    char folder[64];
    if (fixture_make_folder(folder, sizeof folder) != 0)
        return 77;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("mmap", errno);
    struct stress stress = {.folder = folder, .shared = shared};
    run_rounds(&stress, kills);
    end(start(&stress, run_last_writer), 0);
    printf("%u kills, %" PRIu64 " commits, %" PRIu64 " checks, recovery at most %" PRIu64 " ms\n",
           kills, atomic_load(&shared->commits), atomic_load(&shared->checks),
           atomic_load(&shared->recovery_ms));
    fixture_remove_folder(folder);
    return atomic_load(&shared->recovery_ms) > RECOVERY_MS_MAX;
}
