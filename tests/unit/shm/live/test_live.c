#include "shm/live/live.h"

#include "shm/live/live_internal.h"
#include "tests/unit/shm/live/live_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int setup(void **state)
{
    static struct fixture fixture;
    *state = &fixture;
    return fixture_open(&fixture, FIXTURE_MAP);
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

/* Records of their own kind, so that no other code minds them. */
static struct bytes key_of(uint8_t key[5], uint32_t number)
{
    key[0] = 0x7F;
    for (int i = 0; i < 4; i++) {
        key[1 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return (struct bytes){key, 5};
}

static int put(struct live *live, uint32_t number, struct bytes value)
{
    uint8_t key[5];
    return live_put(live, key_of(key, number), value);
}

static int get(struct live *live, uint32_t number, struct bytes *ret_value)
{
    uint8_t key[5];
    return live_get(live, key_of(key, number), ret_value);
}

/* A child that runs `body` with a reader and answers with the exit status. */
typedef int (*child_fn)(struct live *reader, int go);

static pid_t start_child(const struct fixture *f, child_fn body, int *ret_go)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipes[1]);
        struct live *reader;
        if (live_open_reader(&reader, f->folder) != 0)
            _exit(100);
        _exit(body(reader, pipes[0]));
    }
    close(pipes[0]);
    *ret_go = pipes[1];
    return pid;
}

static int end_child(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_live_open_reader_without_store(void **state)
{
    (void)state;
    struct live *reader;
    assert_int_equal(live_open_reader(&reader, "/dev/shm/courtier-test-nowhere"), -ENOENT);
}

static void test_live_open_reader_before_store_is_done(void **state)
{
    struct fixture *f = *state;
    live_close(f->live);
    f->live = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    assert_int_equal(truncate(path, 0), 0);
    struct live *reader;
    assert_int_equal(live_open_reader(&reader, f->folder), -ENOENT);
}

static void test_live_open_writer_makes_private_files(void **state)
{
    struct fixture *f = *state;
    char path[96];
    struct stat file;
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void test_live_open_writer_refuses_tiny_map(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 64 << 10), -EINVAL);
    fixture_close(&f);
}

static void test_live_commit_survives_reopen(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(live_begin(f->live), 0);
    assert_int_equal(put(f->live, 1, bytes_of("one")), 0);
    uint64_t first;
    assert_int_equal(live_new_id(f->live, &first), 0);
    assert_int_equal(live_commit(f->live), 0);
    struct hash_key key = *live_hash_key(f->live);
    live_close(f->live);
    assert_int_equal(live_open_writer(&f->live, f->folder, FIXTURE_MAP), 0);
    assert_memory_equal(&key, live_hash_key(f->live), sizeof key);
    assert_int_equal(live_begin(f->live), 0);
    struct bytes value;
    assert_int_equal(get(f->live, 1, &value), 0);
    assert_true(bytes_equal(value, bytes_of("one")));
    uint64_t second;
    assert_int_equal(live_new_id(f->live, &second), 0);
    assert_true(second > first);
    live_abort(f->live);
}

static void test_live_abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t first;
    uint64_t second;
    assert_int_equal(live_begin(f->live), 0);
    assert_int_equal(put(f->live, 1, bytes_of("one")), 0);
    assert_int_equal(live_new_id(f->live, &first), 0);
    live_abort(f->live);
    assert_int_equal(live_begin(f->live), 0);
    struct bytes value;
    assert_int_equal(get(f->live, 1, &value), -ENOENT);
    assert_int_equal(live_new_id(f->live, &second), 0);
    assert_true(second > first);
    assert_int_equal(live_commit(f->live), 0);
}

/* Says by exit status which of value 1 it saw after each byte on the pipe. */
static int see_commits(struct live *reader, int go)
{
    struct bytes value;
    char c;
    if (live_renew(reader) != 0)
        return 1;
    if (get(reader, 1, &value) != -ENOENT)
        return 2;
    if (read(go, &c, 1) != 1)
        return 3;
    if (get(reader, 1, &value) != -ENOENT)
        return 4; /* the old snapshot */
    if (live_renew(reader) != 0)
        return 5;
    if (get(reader, 1, &value) != 0)
        return 6;
    live_rest(reader);
    live_rest(reader);
    live_close(reader);
    return 0;
}

static void test_live_renew_sees_commits_before_it(void **state)
{
    struct fixture *f = *state;
    int go;
    pid_t pid = start_child(f, see_commits, &go);
    while (live_reader_lag(f->live) == 0) {
        /* Any commit, until the child has its first snapshot. */
        assert_int_equal(live_begin(f->live), 0);
        assert_int_equal(put(f->live, 2, bytes_of("two")), 0);
        assert_int_equal(live_commit(f->live), 0);
        usleep(1000);
    }
    assert_int_equal(live_begin(f->live), 0);
    assert_int_equal(put(f->live, 1, bytes_of("one")), 0);
    assert_int_equal(live_commit(f->live), 0);
    assert_int_equal(write(go, "x", 1), 1);
    assert_int_equal(end_child(pid), 0);
    close(go);
}

static int hold_snapshot(struct live *reader, int go)
{
    char c;
    if (live_renew(reader) != 0)
        return 1;
    return read(go, &c, 1) < 0; /* returns when the parent closes its end */
}

static void commit_number(struct live *live, uint32_t number)
{
    assert_int_equal(live_begin(live), 0);
    assert_int_equal(put(live, 1, (struct bytes){(const uint8_t *)&number, sizeof number}), 0);
    assert_int_equal(live_commit(live), 0);
}

static void test_live_reader_lag_and_reap(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(live_reader_lag(f->live), 0);
    int go;
    pid_t pid = start_child(f, hold_snapshot, &go);
    uint32_t number = 0;
    while (live_reader_lag(f->live) < 5) {
        commit_number(f->live, number++);
        usleep(1000);
    }
    kill(pid, SIGKILL);
    end_child(pid);
    assert_true(live_reader_lag(f->live) >= 5);
    live_reap_readers(f->live);
    assert_int_equal(live_reader_lag(f->live), 0);
    close(go);
}

static int follow_growth(struct live *reader, int go)
{
    char c;
    struct bytes value;
    if (live_renew(reader) != 0)
        return 1;
    live_rest(reader);
    if (read(go, &c, 1) != 1)
        return 2;
    if (live_renew(reader) != 0)
        return 3;
    if (get(reader, 99, &value) != 0 || value.size != 8 << 20)
        return 4;
    return value.data[(8 << 20) - 1] == 0x55 ? 0 : 5;
}

/* The store's successor may come with a larger map. */
static void test_live_renew_follows_larger_map(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    int go;
    pid_t pid = start_child(&f, follow_growth, &go);
    usleep(50000);
    live_close(f.live);
    assert_int_equal(live_open_writer(&f.live, f.folder, 64 << 20), 0);
    assert_int_equal(live_begin(f.live), 0);
    uint8_t key[5];
    uint8_t *memory;
    assert_int_equal(live_reserve(f.live, key_of(key, 99), 8 << 20, &memory), 0);
    memset(memory, 0x55, 8 << 20);
    assert_int_equal(live_commit(f.live), 0);
    assert_int_equal(write(go, "x", 1), 1);
    assert_int_equal(end_child(pid), 0);
    close(go);
    fixture_close(&f);
}

static void test_live_put_on_full_map_spoils_transaction(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    assert_int_equal(live_begin(f.live), 0);
    assert_int_equal(put(f.live, 1, bytes_of("one")), 0);
    uint8_t key[5];
    uint8_t *memory;
    assert_int_equal(live_reserve(f.live, key_of(key, 2), 2 << 20, &memory), -ENOSPC);
    assert_int_equal(put(f.live, 3, bytes_of("three")), -ENOSPC);
    assert_int_equal(live_commit(f.live), -ENOSPC);
    assert_int_equal(live_begin(f.live), 0);
    struct bytes value;
    assert_int_equal(get(f.live, 1, &value), -ENOENT);
    assert_int_equal(put(f.live, 1, bytes_of("one")), 0);
    assert_int_equal(live_commit(f.live), 0);
    fixture_close(&f);
}

/* Fills the map with what live_room() grants; returns the number of records. */
static uint32_t fill(struct live *live)
{
    uint8_t value[3000] = {0};
    for (uint32_t number = 0;; number++) {
        assert_int_equal(live_begin(live), 0);
        int r = live_room(live, sizeof value);
        if (r != 0) {
            assert_int_equal(r, -ENOSPC);
            live_abort(live);
            return number;
        }
        assert_int_equal(put(live, number, (struct bytes){value, sizeof value}), 0);
        assert_int_equal(live_commit(live), 0);
    }
}

static void delete_all(struct live *live, uint32_t count)
{
    for (uint32_t number = 0; number < count; number++) {
        uint8_t key[5];
        assert_int_equal(live_begin(live), 0);
        assert_int_equal(live_delete(live, key_of(key, number)), 0);
        assert_int_equal(live_commit(live), 0);
    }
}

static void test_live_room_keeps_pages_for_deletes(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(fixture_open(&f, 1 << 20), 0);
    for (int round = 0; round < 3; round++) {
        uint32_t count = fill(f.live);
        assert_in_range(count, 100, 256);
        uint64_t used;
        uint64_t size_max;
        live_usage(f.live, &used, &size_max);
        assert_int_equal(size_max, 1 << 20);
        assert_in_range(used, size_max / 2, size_max - 40 * 4096);
        delete_all(f.live, count);
        live_usage(f.live, &used, &size_max);
        assert_in_range(used, 0, 20 * 4096);
    }
    fixture_close(&f);
}

/* A live environment on a tmpfs of 2 MiB that belongs to this process alone. */
static bool open_on_small_tmpfs(struct fixture *f)
{
    if (unshare(CLONE_NEWNS) != 0)
        return false;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    assert_int_equal(fixture_open(f, FIXTURE_MAP), 0);
    fixture_close(f);
    assert_int_equal(mkdir(f->folder, 0700), 0);
    assert_int_equal(mount("none", f->folder, "tmpfs", 0, "size=2m"), 0);
    assert_int_equal(live_open_writer(&f->live, f->folder, FIXTURE_MAP), 0);
    return true;
}

static void close_small_tmpfs(struct fixture *f)
{
    live_close(f->live);
    f->live = NULL;
    (void)umount2(f->folder, MNT_DETACH);
    (void)rmdir(f->folder);
}

static void test_live_on_full_tmpfs(void **state)
{
    (void)state;
    struct fixture f;
    if (!open_on_small_tmpfs(&f))
        skip();
    for (int round = 0; round < 2; round++) {
        uint32_t count = fill(f.live);
        assert_in_range(count, 100, 600);
        delete_all(f.live, count);
    }
    close_small_tmpfs(&f);
}

/* Who does not ask for room learns it at the commit, and nothing happened. */
static void test_live_commit_on_full_tmpfs(void **state)
{
    (void)state;
    struct fixture f;
    if (!open_on_small_tmpfs(&f))
        skip();
    static uint8_t value[3000];
    int r = 0;
    uint32_t number = 0;
    for (; r == 0; number++) {
        assert_int_equal(live_begin(f.live), 0);
        assert_int_equal(put(f.live, number, (struct bytes){value, sizeof value}), 0);
        r = live_commit(f.live);
    }
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(live_begin(f.live), 0);
    struct bytes found;
    assert_int_equal(get(f.live, number - 1, &found), -ENOENT);
    assert_int_equal(get(f.live, number - 2, &found), 0);
    live_abort(f.live);
    close_small_tmpfs(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_open_reader_without_store),
        cmocka_unit_test_setup_teardown(test_live_open_reader_before_store_is_done, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_live_open_writer_makes_private_files, setup, teardown),
        cmocka_unit_test(test_live_open_writer_refuses_tiny_map),
        cmocka_unit_test_setup_teardown(test_live_commit_survives_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_abort_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_renew_sees_commits_before_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_reader_lag_and_reap, setup, teardown),
        cmocka_unit_test(test_live_renew_follows_larger_map),
        cmocka_unit_test(test_live_put_on_full_map_spoils_transaction),
        cmocka_unit_test(test_live_room_keeps_pages_for_deletes),
        cmocka_unit_test(test_live_on_full_tmpfs),
        cmocka_unit_test(test_live_commit_on_full_tmpfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
