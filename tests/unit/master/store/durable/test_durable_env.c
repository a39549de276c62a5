#include "tests/unit/master/store/durable/durable_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void test_durable_env_open_refuses_second_broker(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_env *first = durable_fixture_env(f);
    struct durable_env *second;
    assert_int_equal(durable_env_open(&second, f->folder, DURABLE_FIXTURE_SIZE), -EBUSY);
    durable_env_close(first);
    durable_env_close(durable_fixture_env(f));
}

static void test_durable_env_open_refuses_missing_folder(void **state)
{
    struct durable_env *env;
    (void)state;
    assert_int_equal(durable_env_open(&env, "/nonexistent/folder", DURABLE_FIXTURE_SIZE), -ENOENT);
}

static void put_format(const struct durable_fixture *f, uint32_t format, uint32_t complement)
{
    struct durable_env *env = durable_fixture_env(f);
    struct durable_key key = durable_key_of(DURABLE_FORMAT);
    uint8_t memory[12];
    struct writer w = writer_of(memory, sizeof memory);
    writer_u32(&w, 0x43525452);
    writer_u32(&w, format);
    writer_u32(&w, complement);
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_put_raw(env, &key, (struct bytes){memory, sizeof memory}), 0);
    assert_int_equal(durable_env_commit(env), 0);
    durable_env_close(env);
}

static void read_file(const struct durable_fixture *f, uint8_t *memory, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, memory, size) > 0);
    close(fd);
}

static void assert_left_alone(const struct durable_fixture *f, uint32_t format)
{
    enum { SIZE = 64 * 1024 };
    struct durable_env *env;
    uint8_t *before = calloc(1, SIZE);
    uint8_t *after = calloc(1, SIZE);
    put_format(f, format, ~format);
    read_file(f, before, SIZE);
    assert_int_equal(durable_env_open(&env, f->folder, DURABLE_FIXTURE_SIZE), -EPROTO);
    read_file(f, after, SIZE);
    assert_memory_equal(before, after, SIZE);
    free(before);
    free(after);
}

static void test_durable_env_open_leaves_older_format_alone(void **state)
{
    assert_left_alone(*state, 1);
}

static void test_durable_env_open_leaves_newer_format_alone(void **state)
{
    assert_left_alone(*state, 99);
}

/* What can't be read is no other format: the rest is served. */
static void test_durable_env_open_makes_damaged_format_anew(void **state)
{
    put_format(*state, 77, 0);
    durable_env_close(durable_fixture_env(*state));
}

static void test_durable_env_open_refuses_what_is_no_database(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_env *env;
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 20000; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(durable_env_open(&env, f->folder, DURABLE_FIXTURE_SIZE), -EUCLEAN);
}

/* Bytes of the file from `offset` on become 0xFF, as a card may leave a sector. */
static void garble(const struct durable_fixture *f, off_t offset)
{
    char path[96];
    uint8_t sector[512];
    memset(sector, 0xFF, sizeof sector);
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, sector, sizeof sector, offset), sizeof sector);
    close(fd);
}

/* Whichever of the two it is: all is there, but perhaps the last commit. */
static void test_durable_env_open_repairs_a_meta_page(void **state)
{
    const struct durable_fixture *f = *state;
    long page_size = sysconf(_SC_PAGESIZE);
    for (int page = 0; page < 2; page++) {
        struct durable_env *env = durable_fixture_env(f);
        char path[96];
        for (uint64_t i = 1; i <= 6; i++)
            durable_fixture_put(env, durable_key_number(DURABLE_SESSION, i), "content");
        durable_env_close(env);
        garble(f, page * page_size);
        env = durable_fixture_env(f);
        assert_int_equal(durable_env_begin_read(env), 0);
        for (uint64_t i = 1; i <= 5; i++) {
            struct durable_key key = durable_key_number(DURABLE_SESSION, i);
            struct bytes content;
            assert_int_equal(durable_env_get(env, &key, &content), 0);
        }
        durable_env_abort(env);
        durable_fixture_put(env, durable_key_number(DURABLE_SESSION, 7), "content");
        durable_env_close(env);
        snprintf(path, sizeof path, "%s/data.mdb.damaged", f->folder);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_durable_env_open_refuses_two_bad_meta_pages(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_env *env = durable_fixture_env(f);
    durable_fixture_put(env, durable_key_number(DURABLE_SESSION, 1), "content");
    durable_env_close(env);
    garble(f, 0);
    garble(f, sysconf(_SC_PAGESIZE));
    assert_int_equal(durable_env_open(&env, f->folder, DURABLE_FIXTURE_SIZE), -EUCLEAN);
}

/* The power went while it was made: nothing was ever in it. */
static void test_durable_env_open_makes_an_unborn_file_anew(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_env *env;
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, 2 * sysconf(_SC_PAGESIZE)), 0);
    close(fd);
    env = durable_fixture_env(f);
    durable_fixture_put(env, durable_key_number(DURABLE_SESSION, 1), "content");
    durable_env_close(env);
    snprintf(path, sizeof path, "%s/data.mdb.damaged", f->folder);
    assert_int_equal(unlink(path), 0);
}

static void test_durable_env_get_tells_damage(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct durable_key good = durable_key_number(DURABLE_SESSION, 1);
    struct durable_key bad = durable_key_number(DURABLE_SESSION, 2);
    struct bytes content;
    durable_fixture_put(env, good, "content");
    durable_fixture_damage(env, bad);
    assert_int_equal(durable_env_begin_read(env), 0);
    assert_int_equal(durable_env_get(env, &good, &content), 0);
    assert_true(bytes_equal(content, bytes_of("content")));
    assert_int_equal(durable_env_get(env, &bad, &content), -EBADMSG);
    assert_true(durable_env_has(env, &bad));
    durable_env_abort(env);
    durable_env_close(env);
}

/* Each byte of a stored row matters, and its place. */
static void test_durable_env_get_tells_every_changed_byte(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct durable_key from = durable_key_number(DURABLE_SESSION, 1);
    struct durable_key to = durable_key_number(DURABLE_SESSION, 2);
    uint8_t stored[32];
    struct bytes content;
    durable_fixture_put(env, from, "text");
    assert_int_equal(durable_env_begin_read(env), 0);
    assert_int_equal(durable_env_get(env, &from, &content), 0);
    memcpy(stored, content.data, content.size + 8);
    durable_env_abort(env);
    for (size_t i = 0; i <= content.size + 8; i++) {
        uint8_t copy[32];
        memcpy(copy, stored, sizeof copy);
        struct durable_key *key = i == content.size + 8 ? &to : &from;
        copy[i] ^= key == &from ? 1 : 0;
        assert_int_equal(durable_env_begin(env), 0);
        assert_int_equal(durable_env_put_raw(env, key, (struct bytes){copy, content.size + 8}), 0);
        struct bytes got;
        assert_int_equal(durable_env_get(env, key, &got), -EBADMSG);
        durable_env_abort(env);
    }
    durable_env_close(env);
}

static void test_durable_env_next_keeps_to_prefix(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct bytes content;
    for (uint64_t session = 1; session <= 3; session++)
        for (uint64_t seq = 254; seq <= 258; seq++)
            durable_fixture_put(env, durable_key_pair(DURABLE_QUEUE, session, seq), "x");
    durable_fixture_put(env, durable_key_number(DURABLE_SESSION, 2), "x");
    struct durable_key key = durable_key_number(DURABLE_QUEUE, 2);
    assert_int_equal(durable_env_begin_read(env), 0);
    for (uint64_t seq = 254; seq <= 258; seq++) {
        assert_int_equal(durable_env_next(env, &key, DURABLE_NUMBER_PREFIX, &content), 0);
        assert_int_equal(durable_key_first(&key), 2);
        assert_int_equal(durable_key_second(&key), seq);
    }
    assert_int_equal(durable_env_next(env, &key, DURABLE_NUMBER_PREFIX, &content), -ENOENT);
    assert_int_equal(durable_env_next(env, &key, DURABLE_KIND_PREFIX, &content), 0);
    assert_int_equal(durable_key_first(&key), 3);
    durable_env_abort(env);
    durable_env_close(env);
}

static void test_durable_env_commit_survives_and_abort_does_not(void **state)
{
    struct durable_env *env = durable_fixture_env(*state);
    struct durable_key kept = durable_key_number(DURABLE_SESSION, 1);
    struct durable_key lost = durable_key_number(DURABLE_SESSION, 2);
    durable_fixture_put(env, kept, "x");
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_put(env, &lost, bytes_of("y")), 0);
    durable_env_close(env);
    env = durable_fixture_env(*state);
    assert_int_equal(durable_env_begin_read(env), 0);
    assert_true(durable_env_has(env, &kept));
    assert_false(durable_env_has(env, &lost));
    durable_env_abort(env);
    durable_env_close(env);
}

/* Refused while there is room for deletes; then there is room again. */
static void test_durable_env_room_leaves_enough_for_deletes(void **state)
{
    const struct durable_fixture *f = *state;
    struct durable_env *env;
    uint8_t memory[2000] = {0};
    uint64_t count = 0;
    assert_int_equal(durable_env_open(&env, f->folder, 1 << 20), 0);
    for (int r = 0; r == 0; count++) {
        struct durable_key key = durable_key_number(DURABLE_SESSION, count + 1);
        assert_int_equal(durable_env_begin(env), 0);
        r = durable_env_room(env, sizeof memory);
        if (r == 0)
            assert_int_equal(durable_env_put(env, &key, (struct bytes){memory, sizeof memory}), 0);
        assert_int_equal(durable_env_commit(env), 0);
    }
    assert_true(count > 100);
    for (uint64_t i = 1; i < count; i++) {
        struct durable_key key = durable_key_number(DURABLE_SESSION, i);
        assert_int_equal(durable_env_begin(env), 0);
        assert_int_equal(durable_env_delete(env, &key), 0);
        assert_int_equal(durable_env_commit(env), 0);
    }
    assert_int_equal(durable_env_begin(env), 0);
    assert_int_equal(durable_env_room(env, sizeof memory), 0);
    durable_env_abort(env);
    durable_env_close(env);
}

int main(void)
{
#define FIXTURED(test) \
    cmocka_unit_test_setup_teardown(test, durable_fixture_open, durable_fixture_close)
    const struct CMUnitTest tests[] = {
        FIXTURED(test_durable_env_open_refuses_second_broker),
        FIXTURED(test_durable_env_open_refuses_missing_folder),
        FIXTURED(test_durable_env_open_leaves_older_format_alone),
        FIXTURED(test_durable_env_open_leaves_newer_format_alone),
        FIXTURED(test_durable_env_open_makes_damaged_format_anew),
        FIXTURED(test_durable_env_open_refuses_what_is_no_database),
        FIXTURED(test_durable_env_open_repairs_a_meta_page),
        FIXTURED(test_durable_env_open_makes_an_unborn_file_anew),
        FIXTURED(test_durable_env_open_refuses_two_bad_meta_pages),
        FIXTURED(test_durable_env_get_tells_damage),
        FIXTURED(test_durable_env_get_tells_every_changed_byte),
        FIXTURED(test_durable_env_next_keeps_to_prefix),
        FIXTURED(test_durable_env_commit_survives_and_abort_does_not),
        FIXTURED(test_durable_env_room_leaves_enough_for_deletes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
