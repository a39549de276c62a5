#include "common/conf/conf_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/conf/conf_finish.h"
#include "common/conf/conf_lexer.h"
#include "common/conf/conf_listener.h"
#include "common/conf/conf_problem.h"
#include "common/conf/conf_suggest.h"
#include "common/conf/conf_value.h"

const char *conf_parse_keep(struct conf_parse *parse, struct bytes text)
{
    struct conf_text *copy = malloc(sizeof(*copy) + text.size + 1);

    if (!copy) {
        conf_problem_memory(parse);
        return NULL;
    }
    if (text.size > 0)
        memcpy(copy->bytes, text.data, text.size);
    copy->bytes[text.size] = '\0';
    list_push_back(&parse->owner->texts, &copy->node);
    return copy->bytes;
}

void conf_parse_remember(struct conf_parse *parse, const struct conf_option *option,
                         const void *target, const struct conf_value *value)
{
    struct conf_setting *setting = malloc(sizeof(*setting));

    if (!setting) {
        conf_problem_memory(parse);
        return;
    }
    setting->option = option;
    setting->target = target;
    setting->place = parse->place;
    setting->value = *value;
    list_push_back(&parse->settings, &setting->node);
}

const struct conf_setting *conf_parse_setting(const struct conf_parse *parse, const char *keyword,
                                              const void *target)
{
    list_for_each(node, &parse->settings) {
        const struct conf_setting *setting = list_owner(node, struct conf_setting, node);

        if (setting->target == target && strcmp(setting->option->keyword, keyword) == 0)
            return setting;
    }
    return NULL;
}

static bool is_same(const struct conf_value *a, const struct conf_value *b)
{
    if (a->text && b->text)
        return strcmp(a->text, b->text) == 0;
    return a->number == b->number;
}

/* True when the option has been set before; a different value is reported. */
static bool is_repeated(struct conf_parse *parse, const struct conf_option *option,
                        const void *target, const struct conf_value *value)
{
    const struct conf_setting *first = conf_parse_setting(parse, option->keyword, target);
    char place[CONF_PROBLEM_PLACE_SIZE];

    if (!first)
        return false;
    if (!is_same(&first->value, value))
        conf_problem_error(parse, "%s has another value at %s already. Remove one of the two lines",
                           option->keyword,
                           conf_problem_place(&first->place, place, sizeof(place)));
    return true;
}

/* A line of an option that has an effect. */
static void take_value(struct conf_parse *parse, const struct conf_option *option,
                       struct bytes text)
{
    void *target = option->scope == CONF_SCOPE_LISTENER ? (void *)parse->listener : parse->conf;
    struct conf_value value;

    if (!conf_value_parse(parse, option, text, &value))
        return;
    if (option->scope != CONF_SCOPE_EACH) {
        if (is_repeated(parse, option, target, &value))
            return;
        conf_parse_remember(parse, option, target, &value);
    }
    if (option->kind == CONF_KIND_VALUE)
        conf_option_store(option, target, &value);
    else
        option->action(parse, &value);
}

/* A line of one of Mosquitto's options that has no effect here. */
static void take_other(struct conf_parse *parse, const struct conf_option *option,
                       struct bytes text)
{
    unsigned group_bit = 1U << option->group;
    struct bytes rest = text;
    struct bytes word = conf_lexer_word(&rest);

    if (option->standard && bytes_equal(word, bytes_of(option->standard)) &&
        conf_lexer_is_end(rest))
        return;
    if (option->group != CONF_GROUP_NONE && (parse->reported_groups & group_bit) != 0)
        return;
    parse->reported_groups |= group_bit;
    if (option->kind == CONF_KIND_IGNORED)
        conf_problem_warning(parse, "%s has no effect: %s", option->keyword, option->help);
    else if (option->standard)
        conf_problem_error(parse, "\"%s %s\" is not available yet in this version. %s",
                           option->keyword, log_text(word).text, option->help);
    else
        conf_problem_error(parse, "%s is not available yet in this version. %s", option->keyword,
                           option->help);
}

/* The part before a '=', as in "port=1883"; the whole keyword without one. */
static struct bytes before_equals(struct bytes keyword)
{
    const uint8_t *equals = memchr(keyword.data, '=', keyword.size);

    if (equals)
        keyword.size = (size_t)(equals - keyword.data);
    return keyword;
}

static void report_unknown(struct conf_parse *parse, const struct conf_line *line)
{
    struct bytes name = before_equals(line->keyword);
    const struct conf_option *option = conf_option_find(name);
    const char *nearest = NULL;

    if (option) {
        conf_problem_error(parse, "\"=\" does not belong here. Write \"%s VALUE\", with a blank",
                           option->keyword);
        return;
    }
    nearest = conf_suggest_keyword(name);
    if (nearest)
        conf_problem_error(parse, "unknown option \"%s\". Did you mean \"%s\"?",
                           log_text(name).text, nearest);
    else
        conf_problem_error(parse, "unknown option \"%s\". Remove the line", log_text(name).text);
}

static void take_line(struct conf_parse *parse, const struct conf_line *line)
{
    const struct conf_option *option = conf_option_find(line->keyword);

    if (!option)
        report_unknown(parse, line);
    else if (option->kind == CONF_KIND_IGNORED || option->kind == CONF_KIND_MISSING)
        take_other(parse, option, line->value);
    else if (conf_lexer_is_end(line->value))
        conf_problem_error(parse, "%s has no value. Write behind it: %s", option->keyword,
                           option->help);
    else if (line->value.data[0] == '=')
        conf_problem_error(parse, "\"=\" does not belong here. Write \"%s VALUE\", with a blank",
                           option->keyword);
    else
        take_value(parse, option, line->value);
}

/* Options before the first `listener` of a file are the default listener's, as in
 * Mosquitto, also in an included file. */
void conf_parse_text(struct conf_parse *parse, struct bytes text, const char *file, bool is_main)
{
    struct conf_lexer lexer = conf_lexer_of(text);
    struct conf_place outer_place = parse->place;
    struct conf_listener *outer_listener = parse->listener;
    bool outer_is_main = parse->is_main;
    struct conf_line line = {.fault = CONF_LINE_OK};

    parse->listener = parse->default_listener;
    parse->is_main = is_main;
    while (line.fault != CONF_LINE_NUL && parse->error_count <= CONF_PROBLEM_COUNT_MAX &&
           conf_lexer_next(&lexer, &line)) {
        parse->place = (struct conf_place){.file = file, .line = line.number};
        if (line.fault == CONF_LINE_NUL)
            conf_problem_error(parse, "a NUL byte: this is not a text file. Save it as UTF-8 text");
        else if (line.fault == CONF_LINE_LONG)
            conf_problem_error(parse, "the line is over %d bytes long. Shorten it",
                               CONF_LEXER_LINE_SIZE_MAX);
        else
            take_line(parse, &line);
    }
    parse->place = outer_place;
    parse->listener = outer_listener;
    parse->is_main = outer_is_main;
}

void conf_parse_defaults(struct conf_parse *parse, enum conf_scope scope, void *target)
{
    const struct conf_option *option = NULL;

    for (size_t i = 0; (option = conf_option_at(i)) != NULL; i++) {
        struct conf_value value;

        if (option->kind != CONF_KIND_VALUE || option->scope != scope || !option->standard)
            continue;
        if (conf_value_parse(parse, option, bytes_of(option->standard), &value))
            conf_option_store(option, target, &value);
    }
}

int conf_parse_init(struct conf_parse *parse, struct list_node *problems)
{
    struct conf_owner *owner = calloc(1, sizeof(*owner));

    if (!owner)
        return -ENOMEM;
    list_init(&owner->texts);
    list_init(&owner->conf.listeners);
    *parse = (struct conf_parse){.owner = owner, .conf = &owner->conf, .problems = problems};
    list_init(&parse->settings);
    conf_parse_defaults(parse, CONF_SCOPE_GLOBAL, parse->conf);
    conf_finish_defaults(parse->conf);
    parse->default_listener = conf_listener_new(parse);
    parse->listener = parse->default_listener;
    if (parse->default_listener)
        return 0;
    conf_free(parse->conf);
    return -ENOMEM;
}

static void free_settings(struct conf_parse *parse)
{
    list_for_each(node, &parse->settings) {
        list_remove(node);
        free(list_owner(node, struct conf_setting, node));
    }
}

struct conf *conf_parse_done(struct conf_parse *parse, const struct conf_arguments *arguments)
{
    struct conf *conf = parse->conf;

    conf_listener_complete(parse, arguments);
    conf_finish_values(parse, arguments);
    free_settings(parse);
    if (!list_is_linked(&parse->default_listener->node))
        free(parse->default_listener);
    if (parse->is_out_of_memory)
        conf_problem_error(parse, "out of memory. Free some and try again");
    if (parse->error_count > 0 || parse->is_out_of_memory) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}
