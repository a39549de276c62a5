/*
 * Power cuts, recorded and enumerated: the real store works for a while, each change
 * of its files is noted, and for each moment all kinds of files that a cut could have
 * left are made and opened again. And the same with disks, and a store, that break
 * their word: that must be found out.
 *
 * POWER_IMAGES is how many to look at, POWER_SEED the first seed. A failure prints its
 * seed and its image; with these as POWER_SEED and POWER_IMAGE, that image alone is
 * looked at, and what is wrong with it is told row by row.
 */

#include "common/base/hash.h"
#include "tests/power/power_replay.h"
#include "tests/power/power_workload.h"

#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGES = 50000, SEED = 1, CHILD_MAX_S = 600, FAILURES = 100 };

#define FOLDER_IN_MEMORY "/dev/shm/courtier-power-XXXXXX"

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* -- in a process of its own -- */

static void run(struct power_replay *replay)
{
    struct power_log log = {0};
    struct power_model model;
    struct power_image left = {0};
    power_workload_run(replay->seed, &log, &model, &left);
    replay->log = &log;
    replay->model = &model;
    replay->progress->is_recorded = power_replay_is_complete(&log, &left);
    if (replay->progress->is_recorded)
        power_replay_run(replay);
    power_image_done(&left);
    power_model_done(&model);
    power_log_done(&log);
}

/* A disk that lies may make LMDB end the process, or never end: cmocka, which lives on
 * in the parent, shall not catch that. */
static void run_child(struct power_replay replay)
{
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    alarm(CHILD_MAX_S);
    if (replay.lie != POWER_HONEST && freopen("/dev/null", "w", stderr) == NULL)
        abort();
    run(&replay);
    fflush(stdout);
    _exit(0);
}

static void empty_folder(const char *folder)
{
    struct power_image nothing = {0};
    struct power_image unknown = {0};
    power_image_show(&nothing, folder, &unknown, true);
    assert_int_equal(rmdir(folder), 0);
}

/* True when all images were right; *ret_progress tells about it. */
static bool run_one(struct power_replay replay, struct power_progress *ret_progress)
{
    char folder[] = FOLDER_IN_MEMORY;
    int status;
    struct power_progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(progress != MAP_FAILED);
    assert_non_null(mkdtemp(folder));
    replay.folder = folder;
    replay.progress = progress;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(replay);
    assert_int_equal(waitpid(child, &status, 0), child);
    *ret_progress = *progress;
    munmap(progress, sizeof *progress);
    empty_folder(folder);
    if (!ret_progress->is_recorded)
        fail_msg("the recorder has missed a change of the files, or the store fails as it is");
    if (WIFSIGNALED(status))
        snprintf(ret_progress->what, sizeof ret_progress->what, "the process ended: %s",
                 strsignal(WTERMSIG(status)));
    return status == 0 && ret_progress->failed == 0;
}

/* -- tests -- */

static void test_power_cut_loses_nothing(void **state)
{
    (void)state;
    uint64_t only = number_of("POWER_IMAGE", UINT64_MAX);
    uint64_t wanted = only == UINT64_MAX ? number_of("POWER_IMAGES", IMAGES) : 1;
    uint64_t seed = number_of("POWER_SEED", SEED);
    uint64_t images = 0;
    struct power_progress progress;
    for (; images < wanted; seed++) {
        const struct power_replay replay = {.seed = seed, .only = only, .failures_max = 1};
        if (!run_one(replay, &progress))
            fail_msg("POWER_SEED=%" PRIu64 " POWER_IMAGE=%" PRIu64 ": %s", seed, progress.image,
                     progress.what);
        images += progress.images;
        if (progress.images == 0)
            fail_msg("seed %" PRIu64 " has no image %" PRIu64, seed, only);
    }
    print_message("%" PRIu64 " images, all right\n", images);
}

static void expect_failure(struct power_replay replay)
{
    struct power_progress progress;
    replay.seed = number_of("POWER_SEED", SEED);
    replay.only = UINT64_MAX;
    replay.failures_max = FAILURES;
    if (run_one(replay, &progress))
        fail_msg("%" PRIu64 " images, and none shows it", progress.images);
    print_message("%" PRIu64 " of %" PRIu64 " images are wrong; %s\n", progress.failed,
                  progress.images, progress.what);
}

static void test_power_disk_that_ignores_syncs_is_found_out(void **state)
{
    (void)state;
    expect_failure((struct power_replay){.lie = POWER_NO_SYNC});
}

static void test_power_disk_that_ignores_meta_syncs_is_found_out(void **state)
{
    (void)state;
    expect_failure((struct power_replay){.lie = POWER_NO_META_SYNC});
}

static void test_power_store_that_confirms_early_is_found_out(void **state)
{
    (void)state;
    expect_failure((struct power_replay){.confirms_early = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cut_loses_nothing),
        cmocka_unit_test(test_power_disk_that_ignores_syncs_is_found_out),
        cmocka_unit_test(test_power_disk_that_ignores_meta_syncs_is_found_out),
        cmocka_unit_test(test_power_store_that_confirms_early_is_found_out),
    };
    hash_start();
    /* LMDB asks for 2 MB of zeros each time it opens: from the kernel they cost nothing. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
