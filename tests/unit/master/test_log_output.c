#include "master/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64];
    char file[80];
    char moved[80];
    struct log_output *output;
    struct conf conf;
};

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/log-output-XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->file, sizeof place->file, "%s/log", place->folder);
    snprintf(place->moved, sizeof place->moved, "%s/log.1", place->folder);
    place->output = log_output_new();
    place->conf = (struct conf){.log_dest = CONF_LOG_FILE, .log_file = place->file};
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    log_output_free(place->output);
    unlink(place->file);
    unlink(place->moved);
    rmdir(place->folder);
    free(place);
    return 0;
}

static void say(struct place *place, const char *text)
{
    log_output_sink(LOG_LEVEL_INFO, text, strlen(text), place->output);
}

static const char *content(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[size] = '\0';
    return text;
}

static void test_log_output_writes_plain_lines(void **state)
{
    struct place *place = *state;
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    say(place, "one");
    say(place, "two");
    assert_string_equal(content(place->file), "one\ntwo\n");
}

static void test_log_output_stamps_epoch_seconds(void **state)
{
    struct place *place = *state;
    place->conf.log_timestamp = CONF_STAMP_EPOCH;
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    long before = (long)time(NULL);
    say(place, "text");
    char *rest;
    long stamp = strtol(content(place->file), &rest, 10);
    assert_in_range(stamp, before, before + 2);
    assert_string_equal(rest, ": text\n");
}

static void test_log_output_stamps_with_format(void **state)
{
    struct place *place = *state;
    place->conf.log_timestamp = CONF_STAMP_FORMAT;
    place->conf.log_timestamp_format = "<%%>";
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    say(place, "text");
    assert_string_equal(content(place->file), "<%>: text\n");
}

static void test_log_output_survives_format_that_is_too_long(void **state)
{
    struct place *place = *state;
    place->conf.log_timestamp = CONF_STAMP_FORMAT;
    place->conf.log_timestamp_format = "%A %A %A %A %A %A %A %A %A %A %A %A %A %A %A %A %A %A";
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    say(place, "text");
    assert_non_null(strstr(content(place->file), ": text\n"));
}

static void test_log_output_reopen_follows_moved_file(void **state)
{
    struct place *place = *state;
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    say(place, "old");
    assert_int_equal(rename(place->file, place->moved), 0);
    say(place, "late");
    assert_int_equal(log_output_reopen(place->output), 0);
    say(place, "new");
    assert_string_equal(content(place->moved), "old\nlate\n");
    assert_string_equal(content(place->file), "new\n");
}

static void test_log_output_use_fails_for_missing_folder(void **state)
{
    struct place *place = *state;
    place->conf.log_file = "/nonexistent/folder/log";
    assert_int_equal(log_output_use(place->output, &place->conf), -ENOENT);
    say(place, "lost, but nothing breaks");
}

static void test_log_output_reopen_keeps_old_file_on_error(void **state)
{
    struct place *place = *state;
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    assert_int_equal(rename(place->file, place->moved), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(log_output_reopen(place->output), -EISDIR);
    say(place, "still");
    assert_string_equal(content(place->moved), "still\n");
    rmdir(place->file);
}

/* Puts a pipe in the place of stderr for the time of a function. */
static void with_stderr(int fd, void (*run)(struct place *), struct place *place)
{
    int saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    run(place);
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void say_much(struct place *place)
{
    for (int i = 0; i < 10000; i++)
        say(place, "a pipe takes 64 KiB and then nothing more");
}

static void test_log_output_drops_when_pipe_is_full(void **state)
{
    struct place *place = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    place->conf.log_dest = CONF_LOG_STDERR;
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    with_stderr(fds[1], say_much, place);
    assert_true(log_output_dropped(place->output) > 0);
    close(fds[0]);
    close(fds[1]);
}

static void say_error(struct place *place)
{
    log_output_sink(LOG_LEVEL_ERROR, "bad", 3, place->output);
    say(place, "good");
    log_output_repeat_errors(place->output, false);
    log_output_sink(LOG_LEVEL_ERROR, "worse", 5, place->output);
}

static void test_log_output_repeats_errors_on_stderr_at_start(void **state)
{
    struct place *place = *state;
    char text[64] = "";
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(log_output_use(place->output, &place->conf), 0);
    with_stderr(fds[1], say_error, place);
    close(fds[1]);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    close(fds[0]);
    assert_string_equal(text, "bad\n");
    assert_string_equal(content(place->file), "bad\ngood\nworse\n");
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)
    const struct CMUnitTest tests[] = {
        PLACED(test_log_output_writes_plain_lines),
        PLACED(test_log_output_stamps_epoch_seconds),
        PLACED(test_log_output_stamps_with_format),
        PLACED(test_log_output_survives_format_that_is_too_long),
        PLACED(test_log_output_reopen_follows_moved_file),
        PLACED(test_log_output_use_fails_for_missing_folder),
        PLACED(test_log_output_reopen_keeps_old_file_on_error),
        PLACED(test_log_output_drops_when_pipe_is_full),
        PLACED(test_log_output_repeats_errors_on_stderr_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
