#ifndef COURTIER_TESTS_UNIT_SHM_LIVE_LIVE_FIXTURE_H
#define COURTIER_TESTS_UNIT_SHM_LIVE_LIVE_FIXTURE_H

/* A live environment in a folder of its own, for tests: the writer is open. */

#include "common/base/hash.h"
#include "shm/live/live.h"
#include "shm/live/live_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIXTURE_MAP = 256 << 20 };

struct fixture {
    char folder[64];
    struct live *live;
    uint32_t random; /* never 0 */
};

/* A new private folder on a memory file system, if there is one. 0 or -1. */
static inline int fixture_make_folder(char *folder, size_t size)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, size, "%s/courtier-test-XXXXXX", base);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline void fixture_remove_folder(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* 0 or -errno. */
static inline int fixture_open(struct fixture *f, size_t size_max)
{
    hash_start();
    memset(f, 0, sizeof *f);
    f->random = 0x9E3779B9;
    if (fixture_make_folder(f->folder, sizeof f->folder) != 0)
        return -1;
    return live_open_writer(&f->live, f->folder, size_max);
}

static inline void fixture_close(struct fixture *f)
{
    live_close(f->live);
    f->live = NULL;
    fixture_remove_folder(f->folder);
}

/* No record from the first kind to the last. */
static inline bool fixture_is_empty(struct fixture *f, enum live_kind first, enum live_kind last)
{
    uint8_t from = (uint8_t)first;
    struct bytes key;
    struct bytes value;
    int r = live_seek(f->live, (struct bytes){&from, 1}, &key, &value);
    return r == -ENOENT || (r == 0 && key.data[0] > last);
}

/* A number below `limit`. */
static inline uint32_t fixture_random(struct fixture *f, uint32_t limit)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 17;
    f->random ^= f->random << 5;
    return f->random % limit;
}

/* A seed of this run, printed so that a failure can be repeated with SEED=... */
static inline void fixture_seed(struct fixture *f)
{
    const char *given = getenv("SEED");
    uint32_t seed = 0;
    hash_random(&seed, sizeof seed);
    if (given != NULL)
        seed = (uint32_t)strtoul(given, NULL, 0);
    f->random = seed | 1;
    printf("SEED=%u\n", (unsigned)seed);
}

#endif
