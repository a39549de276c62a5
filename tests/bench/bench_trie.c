/*
 * Cost of the live store's subscription trie, in one process: bytes per filter,
 * writes in batches, probes, renewals.
 *
 *   bench_trie [filters]      default 100000
 */

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "shm/live/live.h"
#include "shm/live/trie.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAP_SIZE = 1 << 30, ROUNDS = 500000, BATCH_MAX = 1024 };

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "%s: %d\n", what, r);
    exit(1);
}

static void report(const char *what, uint64_t start_ns, uint64_t count)
{
    double each = (double)(clock_now_ns() - start_ns) / (double)count;
    printf("%-44s %8.0f ns\n", what, each);
}

/* Numbers of a full cycle in no order, as clients come. */
static unsigned scatter(unsigned i, unsigned count)
{
    return (unsigned)(i * UINT64_C(7919) % count);
}

static struct bytes filter_of(char *text, size_t size, unsigned number)
{
    snprintf(text, size, "bench/idle/%u", number);
    return bytes_of(text);
}

static void set_all(struct live *live, unsigned count, unsigned batch, bool on)
{
    char text[64];
    bool changed;
    for (unsigned i = 0; i < count; i++) {
        if (i % batch == 0)
            must(live_begin(live), "begin");
        struct bytes filter = filter_of(text, sizeof text, scatter(i, count));
        must(trie_set(live, filter, i % 4, on, false, &changed), "trie_set");
        if (i % batch == batch - 1 || i == count - 1)
            must(live_commit(live), "commit");
    }
}

static uint64_t used_bytes(struct live *live)
{
    uint64_t used;
    uint64_t size_max;
    live_usage(live, &used, &size_max);
    return used;
}

static void bench_writes(struct live *live, unsigned count)
{
    static const unsigned batches[] = {1, 8, 32, 256, BATCH_MAX};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        char what[64];
        uint64_t start = clock_now_ns();
        set_all(live, count, batches[i], true);
        snprintf(what, sizeof what, "set, %u a transaction", batches[i]);
        report(what, start, count);
        start = clock_now_ns();
        set_all(live, count, batches[i], false);
        snprintf(what, sizeof what, "clear, %u a transaction", batches[i]);
        report(what, start, count);
    }
}

static void bench_clear_worker(struct live *live, unsigned count)
{
    bool changed;
    uint64_t start = clock_now_ns();
    struct trie_clear *clear = trie_clear_new(1);
    int r;
    do {
        must(live_begin(live), "begin");
        r = trie_clear_step(live, clear, 256, &changed);
        must(live_commit(live), "commit");
    } while (r == -EAGAIN);
    must(r, "clear");
    trie_clear_free(clear);
    report("clear one worker of four, per filter there", start, count);
}

static void bench_match(struct live *live, unsigned count, unsigned modulo, const char *what)
{
    char text[64];
    struct trie_match match;
    uint64_t start = clock_now_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bytes topic = filter_of(text, sizeof text, scatter(i, count) % modulo);
        must(trie_match(live, topic, i, &match), "trie_match");
    }
    report(what, start, ROUNDS);
}

static int read_all(const char *folder, unsigned count)
{
    struct live *live;
    must(live_open_reader(&live, folder), "open reader");
    uint64_t start = clock_now_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        must(live_renew(live), "renew");
    }
    report("renew", start, ROUNDS);
    bench_match(live, count, 1, "match a/b/c, same topic (4 probes)");
    bench_match(live, count, count, "match a/b/c, any topic (4 probes)");
    live_close(live);
    return 0;
}

static void in_child(const char *folder, unsigned count)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        exit(read_all(folder, count));
    (void)waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    if (count == 0)
        return 2;
    hash_start();
    char folder[64];
    if (fixture_make_folder(folder, sizeof folder) != 0)
        return 1;
    struct live *live;
    must(live_open_writer(&live, folder, MAP_SIZE), "open writer");
    bench_writes(live, count);
    uint64_t before = used_bytes(live);
    set_all(live, count, 32, true);
    uint64_t after = used_bytes(live);
    printf("%-44s %8.1f\n", "bytes per filter", (double)(after - before) / (double)count);
    in_child(folder, count);
    bench_clear_worker(live, count);
    live_close(live);
    fixture_remove_folder(folder);
    return 0;
}
