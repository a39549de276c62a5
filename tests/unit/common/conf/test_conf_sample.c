#include "common/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf/conf_lexer.h"
#include "common/conf/conf_option.h"

/* The root of the source tree, with a slash; the build may name it. */
#ifndef SOURCE_ROOT
#define SOURCE_ROOT ""
#endif

enum { SAMPLE_SIZE = 64 * 1024 };

struct sample {
    char text[SAMPLE_SIZE]; /* with all options switched on */
};

/* From this file's own name, which leads to the tree as the compiler saw it. */
static void sample_path(char *path, size_t size)
{
    const char *end = strstr(__FILE__, "tests/unit/common/conf/test_conf_sample.c");

    assert_non_null(end);
    if (SOURCE_ROOT[0] != '\0')
        snprintf(path, size, "%setc/courtier.conf", SOURCE_ROOT);
    else
        snprintf(path, size, "%.*setc/courtier.conf", (int)(end - __FILE__), __FILE__);
}

/* An option that is commented out has no blank behind its "#". */
static const char *switch_on(const char *line)
{
    return line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line + 1 : line;
}

static int setup(void **state)
{
    struct sample *sample = calloc(1, sizeof(*sample));
    char path[1024], line[256];
    size_t size = 0;
    FILE *file = NULL;

    sample_path(path, sizeof(path));
    file = fopen(path, "r");
    assert_non_null(sample);
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        const char *text = switch_on(line);

        /* The folder of the example need not exist here. */
        if (strncmp(text, "include_dir ", 12) == 0)
            text = "include_dir /proc/self/fdinfo\n";
        size += (size_t)snprintf(sample->text + size, SAMPLE_SIZE - size, "%s", text);
        assert_true(size < SAMPLE_SIZE);
    }
    fclose(file);
    *state = sample;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* The value that the sample gives first to an option; empty when it has none. */
static struct bytes find_value(const struct sample *sample, const char *keyword)
{
    struct conf_lexer lexer = conf_lexer_of(bytes_of(sample->text));
    struct conf_line line;

    while (conf_lexer_next(&lexer, &line)) {
        if (bytes_equal(line.keyword, bytes_of(keyword)))
            return line.value;
    }
    return (struct bytes){.data = NULL, .size = 0};
}

static void test_sample_has_every_option_at_its_default(void **state)
{
    const struct conf_option *option = NULL;

    for (size_t i = 0; (option = conf_option_at(i)) != NULL; i++) {
        struct bytes value = find_value(*state, option->keyword);

        if (option->kind == CONF_KIND_IGNORED || option->kind == CONF_KIND_MISSING) {
            assert_int_equal(value.size, 0);
            continue;
        }
        if (value.size == 0)
            fail_msg("%s is not in the sample", option->keyword);
        if (option->standard && !bytes_equal(value, bytes_of(option->standard)))
            fail_msg("%s: the sample shows another default", option->keyword);
    }
}

static void test_sample_is_right_with_all_options_on(void **state)
{
    const struct sample *sample = *state;
    char path[] = "/tmp/test_conf_sample_XXXXXX";
    const struct conf_arguments arguments = {.file = path};
    struct list_node problems;
    struct conf *conf = NULL;
    int fd = mkstemp(path);

    list_init(&problems);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, sample->text, strlen(sample->text)), strlen(sample->text));
    close(fd);
    conf = conf_load(&arguments, &problems);
    unlink(path);
    list_for_each(node, &problems)
        fail_msg("%s", list_owner(node, struct conf_problem, node)->text);
    assert_non_null(conf);
    assert_int_equal(conf->listener_count, 2);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_has_every_option_at_its_default),
        cmocka_unit_test(test_sample_is_right_with_all_options_on),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
