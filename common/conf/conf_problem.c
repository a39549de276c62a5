#include "common/conf/conf_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/conf/conf.h"
#include "common/conf/conf_parse.h"

const char *conf_problem_place(const struct conf_place *place, char *text, unsigned size)
{
    if (!place->file)
        snprintf(text, size, "command line");
    else if (place->line == 0)
        snprintf(text, size, "%s", place->file);
    else
        snprintf(text, size, "%s:%u", place->file, place->line);
    return text;
}

/* Takes `text`. */
static void add_text(struct conf_parse *parse, bool is_error, char *text)
{
    struct conf_problem *problem = malloc(sizeof(*problem));

    if (!problem) {
        free(text);
        conf_problem_memory(parse);
        return;
    }
    problem->is_error = is_error;
    problem->text = text;
    list_push_back(parse->problems, &problem->node);
}

static void add(struct conf_parse *parse, bool is_error, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void add(struct conf_parse *parse, bool is_error, const char *format, va_list arguments)
{
    char place[CONF_PROBLEM_PLACE_SIZE];
    char *cause = NULL;
    char *text = NULL;
    int size = 0;
    unsigned count = is_error ? ++parse->error_count : ++parse->warning_count;

    if (count > CONF_PROBLEM_COUNT_MAX + 1)
        return;
    if (count > CONF_PROBLEM_COUNT_MAX)
        size = asprintf(&cause, "there are more problems. Mend those above first");
    else
        size = vasprintf(&cause, format, arguments);
    if (size < 0) {
        conf_problem_memory(parse);
        return;
    }
    size = asprintf(&text, "%s: %s: %s", conf_problem_place(&parse->place, place, sizeof(place)),
                    is_error ? "error" : "warning", cause);
    free(cause);
    if (size < 0)
        conf_problem_memory(parse);
    else
        add_text(parse, is_error, text);
}

void conf_problem_error(struct conf_parse *parse, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(parse, true, format, arguments);
    va_end(arguments);
}

void conf_problem_warning(struct conf_parse *parse, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(parse, false, format, arguments);
    va_end(arguments);
}

void conf_problem_memory(struct conf_parse *parse)
{
    parse->is_out_of_memory = true;
}
