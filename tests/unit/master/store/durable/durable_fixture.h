#ifndef COURTIER_TESTS_UNIT_MASTER_STORE_DURABLE_DURABLE_FIXTURE_H
#define COURTIER_TESTS_UNIT_MASTER_STORE_DURABLE_DURABLE_FIXTURE_H

/* A folder for a durable environment, and cmocka with its headers in its order. */

#include "common/base/hash.h"
#include "common/base/log.h"
#include "master/store/durable/durable_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DURABLE_FIXTURE_SIZE = 8 << 20 };

struct durable_fixture {
    char folder[64];
    struct hash_key key;
};

static inline void durable_fixture_drop(enum log_level level, const char *line, size_t size,
                                        void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

static inline int durable_fixture_open(void **state)
{
    struct durable_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    hash_start();
    hash_make_key(&f->key);
    log_set_sink(durable_fixture_drop, NULL);
    strcpy(f->folder, "/tmp/test-durable-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return 0;
}

static inline int durable_fixture_close(void **state)
{
    struct durable_fixture *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    unlink(path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static inline struct durable_env *durable_fixture_env(const struct durable_fixture *f)
{
    struct durable_env *env = NULL;
    assert_int_equal(durable_env_open(&env, f->folder, DURABLE_FIXTURE_SIZE), 0);
    return env;
}

/* One row, in a transaction of its own. */
static inline void durable_fixture_put(struct durable_env *env, struct durable_key key,
                                       const char *text)
{
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_put(env, &key, bytes_of(text)), 0);
    assert_int_equal(durable_env_commit(env), 0);
}

/* A row that is no row: its checksum is wrong. */
static inline void durable_fixture_damage(struct durable_env *env, struct durable_key key)
{
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_put_raw(env, &key, bytes_of("garbage, and no checksum")), 0);
    assert_int_equal(durable_env_commit(env), 0);
}

#endif
