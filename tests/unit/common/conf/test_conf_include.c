#include "common/conf/conf_include.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/common/conf/conf_outcome.h"

/* A folder with files, for conf_load; its path replaces DIR in texts. */
struct folder {
    char path[128];
};

static void folder_open(struct folder *folder)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder->path, sizeof(folder->path), "%s/test_conf_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder->path));
}

static void replace_dir(const struct folder *folder, const char *text, char *result, size_t size)
{
    size_t used = 0;

    for (const char *place = NULL; (place = strstr(text, "DIR")) != NULL; text = place + 3)
        used += (size_t)snprintf(result + used, size - used, "%.*s%s", (int)(place - text), text,
                                 folder->path);
    used += (size_t)snprintf(result + used, size - used, "%s", text);
    assert_true(used < size);
}

static void folder_put(const struct folder *folder, const char *name, const char *text)
{
    char path[256], content[1024];
    FILE *file = NULL;

    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    replace_dir(folder, text, content, sizeof(content));
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void folder_close(const struct folder *folder)
{
    char command[256];

    snprintf(command, sizeof(command), "rm -r '%s'", folder->path);
    assert_int_equal(system(command), 0);
}

static void load(const struct folder *folder, const char *name, struct conf_outcome *outcome)
{
    char path[256];
    const struct conf_arguments arguments = {.file = path};
    struct list_node problems;

    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    list_init(&problems);
    outcome->conf = conf_load(&arguments, &problems);
    conf_outcome_collect(outcome, &problems);
}

static void assert_problems(const struct folder *folder, const struct conf_outcome *outcome,
                            const char *expected)
{
    char text[2048];

    replace_dir(folder, expected, text, sizeof(text));
    assert_string_equal(outcome->problems, text);
}

static void test_load_without_a_file(void **state)
{
    const struct conf_arguments arguments = {.file = NULL};
    struct list_node problems;
    struct conf *conf = NULL;

    (void)state;
    list_init(&problems);
    conf = conf_load(&arguments, &problems);
    assert_non_null(conf);
    assert_true(list_is_empty(&problems));
    assert_null(conf->file);
    assert_true(conf_outcome_listener(conf, 0)->local_only);
    conf_free(conf);
}

static void test_load_takes_the_files_of_debian(void **state)
{
    struct folder folder;
    struct conf_outcome outcome;

    (void)state;
    folder_open(&folder);
    folder_put(&folder, "main",
               "pid_file DIR/courtier.pid\n\npersistence true\n"
               "persistence_location DIR/lib/\n\nlog_dest file DIR/courtier.log\n"
               "\ninclude_dir DIR\n");
    folder_put(&folder, "local.conf",
               "\xEF\xBB\xBF"
               "allow_anonymous true\r\nlistener 1883\r\n");
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome, "");
    assert_non_null(outcome.conf);
    assert_int_equal(outcome.conf->log_dest, CONF_LOG_FILE);
    assert_true(outcome.conf->tunable.allow_anonymous);
    assert_false(conf_outcome_listener(outcome.conf, 0)->local_only);
    conf_free(outcome.conf);
    folder_close(&folder);
}

static void test_load_reads_included_files_in_order(void **state)
{
    static const char *const names[] = {"b.conf", "A.conf", "01.conf", "a.conf", "B.conf"};
    struct folder folder;
    struct conf_outcome outcome;

    (void)state;
    folder_open(&folder);
    folder_put(&folder, "main", "include_dir DIR/\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        folder_put(&folder, names[i], "xyzzy 1\n");
    folder_put(&folder, "c.conf.txt", "xyzzy 1\n");
    folder_put(&folder, "d.conf~", "xyzzy 1\n");
    folder_put(&folder, ".e.conf", "xyzzy 1\n");
    folder_put(&folder, "README", "xyzzy 1\n");
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/01.conf:1: error: unknown option \"xyzzy\". Remove the line\n"
                    "DIR/A.conf:1: error: unknown option \"xyzzy\". Remove the line\n"
                    "DIR/a.conf:1: error: unknown option \"xyzzy\". Remove the line\n"
                    "DIR/B.conf:1: error: unknown option \"xyzzy\". Remove the line\n"
                    "DIR/b.conf:1: error: unknown option \"xyzzy\". Remove the line\n"
                    "DIR/main:1: warning: include_dir skips \"c.conf.txt\": the name does not end "
                    "in .conf. Rename or remove the file\n"
                    "DIR/main:1: warning: include_dir skips \"d.conf~\": the name does not end in "
                    ".conf. Rename or remove the file");
    assert_null(outcome.conf);
    folder_close(&folder);
}

static void test_load_ends_a_listener_with_its_file(void **state)
{
    struct folder folder;
    struct conf_outcome outcome;

    (void)state;
    folder_open(&folder);
    folder_put(&folder, "main", "listener 1883\ninclude_dir DIR\nmax_connections 5\n");
    folder_put(&folder, "a.conf", "listener 1884\n");
    folder_put(&folder, "b.conf", "max_connections 6\n");
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/b.conf:1: warning: max_connections stands before the first listener of "
                    "the file and has no effect. Move it below its listener");
    assert_int_equal(conf_outcome_listener(outcome.conf, 0)->connections_max, 5);
    assert_int_equal(conf_outcome_listener(outcome.conf, 1)->connections_max, -1);
    conf_free(outcome.conf);
    folder_close(&folder);
}

static void test_load_reports_both_files_of_different_values(void **state)
{
    struct folder folder;
    struct conf_outcome outcome;

    (void)state;
    folder_open(&folder);
    folder_put(&folder, "main", "log_dest file /a\npid_file /a\ninclude_dir DIR\n");
    folder_put(&folder, "a.conf", "log_dest file /b\npid_file /b\n");
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/a.conf:1: error: log_dest file has another path at DIR/main:1 already. "
                    "Remove one of the two lines\n"
                    "DIR/a.conf:2: error: pid_file has another value at DIR/main:2 already. "
                    "Remove one of the two lines");
    folder_close(&folder);
}

static void test_load_refuses_an_include_in_an_include(void **state)
{
    struct folder folder;
    struct conf_outcome outcome;

    (void)state;
    folder_open(&folder);
    folder_put(&folder, "main", "include_dir DIR\n");
    folder_put(&folder, "a.conf", "include_dir DIR\n");
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/a.conf:1: error: include_dir stands in an included "
                    "file. Move it to the main file");
    folder_close(&folder);
}

static void test_load_reports_what_it_cannot_read(void **state)
{
    struct folder folder;
    struct conf_outcome outcome;
    char path[256];

    (void)state;
    folder_open(&folder);
    load(&folder, "none", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/none: error: cannot read the file: No such file or "
                    "directory. Check its name and its rights");
    folder_put(&folder, "main", "include_dir DIR/none\ninclude_dir DIR\n");
    snprintf(path, sizeof(path), "%s/a.conf", folder.path);
    assert_int_equal(mkdir(path, 0700), 0);
    load(&folder, "main", &outcome);
    assert_problems(&folder, &outcome,
                    "DIR/main:1: error: include_dir cannot read DIR/none: No such file or "
                    "directory. Create the folder, or remove the line\n"
                    "DIR/a.conf: error: cannot read the file: Is a directory. Check its name and "
                    "its rights");
    folder_close(&folder);
}

static void test_load_bounds_the_size_of_a_file(void **state)
{
    const struct conf_arguments arguments = {.file = "/dev/zero"};
    struct list_node problems;
    struct conf_outcome outcome;

    (void)state;
    list_init(&problems);
    assert_null(conf_load(&arguments, &problems));
    conf_outcome_collect(&outcome, &problems);
    assert_string_equal(outcome.problems, "/dev/zero: error: cannot read the file: File too large. "
                                          "Check its name and its rights");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_without_a_file),
        cmocka_unit_test(test_load_takes_the_files_of_debian),
        cmocka_unit_test(test_load_reads_included_files_in_order),
        cmocka_unit_test(test_load_ends_a_listener_with_its_file),
        cmocka_unit_test(test_load_reports_both_files_of_different_values),
        cmocka_unit_test(test_load_refuses_an_include_in_an_include),
        cmocka_unit_test(test_load_reports_what_it_cannot_read),
        cmocka_unit_test(test_load_bounds_the_size_of_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
