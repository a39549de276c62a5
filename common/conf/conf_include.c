#include "common/conf/conf_include.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/conf/conf_parse.h"
#include "common/conf/conf_problem.h"

enum { FILE_SIZE_MAX = 16 * 1024 * 1024, FILE_SIZE_START = 16 * 1024 };

static const char suffix[] = ".conf";

/* Makes room for one more read. Returns 0, -EFBIG or -ENOMEM. */
static int grow(char **text, size_t *capacity)
{
    size_t size = *capacity ? *capacity * 2 : FILE_SIZE_START;
    char *bigger = NULL;

    if (size > FILE_SIZE_MAX)
        return -EFBIG;
    bigger = realloc(*text, size);
    if (!bigger)
        return -ENOMEM;
    *text = bigger;
    *capacity = size;
    return 0;
}

/* All bytes to the end, from a pipe too. The caller frees *text also on failure. */
static int read_all(int fd, char **text, size_t *size)
{
    size_t capacity = 0;

    for (;;) {
        ssize_t got = 0;
        int error = *size == capacity ? grow(text, &capacity) : 0;

        if (error)
            return error;
        got = read(fd, *text + *size, capacity - *size);
        if (got == 0)
            return 0;
        if (got > 0)
            *size += (size_t)got;
        else if (errno != EINTR)
            return -errno;
    }
}

void conf_include_file(struct conf_parse *parse, const char *path, bool is_main)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int error = fd < 0 ? -errno : 0;
    char *text = NULL;
    size_t size = 0;

    if (!error) {
        error = read_all(fd, &text, &size);
        close(fd);
    }
    if (error) {
        struct conf_place outer_place = parse->place;

        parse->place = (struct conf_place){.file = path, .line = 0};
        conf_problem_error(parse, "cannot read the file: %s. Check its name and its rights",
                           strerror(-error));
        parse->place = outer_place;
    } else {
        conf_parse_text(parse, (struct bytes){.data = (const uint8_t *)text, .size = size}, path,
                        is_main);
    }
    free(text);
}

/* Mosquitto's order: by letter without regard to case, then upper case first. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    int order = strcasecmp((*a)->d_name, (*b)->d_name);

    return order != 0 ? order : strcmp((*a)->d_name, (*b)->d_name);
}

/* Hidden files are an editor's business. */
static int is_of_interest(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strstr(entry->d_name, suffix) != NULL;
}

static bool has_suffix(const char *name)
{
    size_t size = strlen(name);

    return size >= sizeof(suffix) && strcmp(name + size - (sizeof(suffix) - 1), suffix) == 0;
}

static void take_entry(struct conf_parse *parse, const char *dir, const char *name)
{
    char *joined = NULL;
    const char *path = NULL;
    size_t dir_size = strlen(dir);
    const char *separator = dir_size > 0 && dir[dir_size - 1] == '/' ? "" : "/";

    if (!has_suffix(name)) {
        conf_problem_warning(parse,
                             "include_dir skips \"%s\": the name does not end in .conf. "
                             "Rename or remove the file",
                             log_text(bytes_of(name)).text);
        return;
    }
    if (asprintf(&joined, "%s%s%s", dir, separator, name) < 0) {
        conf_problem_memory(parse);
        return;
    }
    path = conf_parse_keep(parse, bytes_of(joined));
    free(joined);
    if (path)
        conf_include_file(parse, path, false);
}

void conf_include_take_dir(struct conf_parse *parse, const struct conf_value *value)
{
    struct dirent **entries = NULL;
    int count = 0;

    if (!parse->is_main) {
        conf_problem_error(parse, "include_dir stands in an included file. Move it to the main "
                                  "file");
        return;
    }
    count = scandir(value->text, &entries, is_of_interest, compare_names);
    if (count < 0) {
        conf_problem_error(parse,
                           "include_dir cannot read %s: %s. Create the folder, or remove "
                           "the line",
                           value->text, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        take_entry(parse, value->text, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}
