#include "common/conf/conf_action.h"

#include <string.h>

#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/conf/conf_lexer.h"
#include "common/conf/conf_list.h"
#include "common/conf/conf_parse.h"
#include "common/conf/conf_problem.h"

/* A word and what it stands for; a list ends with NULL. */
struct word_mask {
    const char *word;
    uint32_t mask;
};

static const struct word_mask destinations[] = {
    {"none", 0},
    {"stdout", CONF_LOG_STDOUT},
    {"stderr", CONF_LOG_STDERR},
    {"syslog", CONF_LOG_SYSLOG},
    {"topic", CONF_LOG_TOPIC},
    {NULL, 0},
};

static const struct word_mask types[] = {
    {"none", 0},
    {"all", LOG_MASK(LOG_LEVEL_COUNT) - 1},
    {"error", LOG_MASK(LOG_LEVEL_ERROR)},
    {"warning", LOG_MASK(LOG_LEVEL_WARNING)},
    {"notice", LOG_MASK(LOG_LEVEL_NOTICE)},
    {"information", LOG_MASK(LOG_LEVEL_INFO)},
    {"subscribe", LOG_MASK(LOG_LEVEL_SUBSCRIBE)},
    {"unsubscribe", LOG_MASK(LOG_LEVEL_UNSUBSCRIBE)},
    {"debug", LOG_MASK(LOG_LEVEL_DEBUG)},
    /* Mosquitto's; nothing is logged under them here. */
    {"websockets", LOG_MASK(LOG_LEVEL_COUNT)},
    {"internal", LOG_MASK(LOG_LEVEL_COUNT)},
    {NULL, 0},
};

/* In the order of their numbers in the file. */
static const char *const facilities[] = {"local0", "local1", "local2", "local3", "local4",
                                         "local5", "local6", "local7", "daemon"};

enum { FACILITY_COUNT = sizeof(facilities) / sizeof(facilities[0]) };

static const struct word_mask *find_word(const struct word_mask *list, struct bytes word)
{
    for (; list->word; list++) {
        if (bytes_equal(word, bytes_of(list->word)))
            return list;
    }
    return NULL;
}

static void take_log_file(struct conf_parse *parse, struct bytes path)
{
    struct conf *conf = parse->conf;
    struct conf_value value = {.number = 0, .text = NULL};
    const struct conf_setting *first = conf_parse_setting(parse, "log_dest", &conf->log_file);
    char place[CONF_PROBLEM_PLACE_SIZE];

    if (path.size == 0) {
        conf_problem_error(parse, "log_dest file: the path is missing. Write for example "
                                  "\"log_dest file /var/log/courtier/courtier.log\"");
        return;
    }
    value.text = conf_parse_keep(parse, path);
    if (!value.text)
        return;
    conf->log_dest |= CONF_LOG_FILE;
    if (!first) {
        conf->log_file = value.text;
        conf_parse_remember(parse, conf_option_find(bytes_of("log_dest")), &conf->log_file, &value);
    } else if (strcmp(first->value.text, value.text) != 0) {
        conf_problem_error(parse,
                           "log_dest file has another path at %s already. Remove one of the two "
                           "lines",
                           conf_problem_place(&first->place, place, sizeof(place)));
    }
}

void conf_action_log_dest(struct conf_parse *parse, const struct conf_value *value)
{
    struct bytes rest = bytes_of(value->text);
    struct bytes word = conf_lexer_word(&rest);
    const struct word_mask *destination = find_word(destinations, word);

    if (!parse->log_dest_given)
        parse->conf->log_dest = 0;
    parse->log_dest_given = true;
    if (bytes_equal(word, bytes_of("file"))) {
        take_log_file(parse, rest);
    } else if (!destination || !conf_lexer_is_end(rest)) {
        conf_problem_error(parse,
                           "log_dest: \"%s\" is not available. Write none, stdout, stderr, "
                           "syslog, topic, or file and a path",
                           log_text(bytes_of(value->text)).text);
    } else if (destination->mask == 0) {
        parse->conf->log_dest = 0;
    } else {
        parse->conf->log_dest |= destination->mask;
    }
}

void conf_action_log_type(struct conf_parse *parse, const struct conf_value *value)
{
    struct conf_tunable *tunable = &parse->conf->tunable;
    struct bytes rest = bytes_of(value->text);
    struct bytes word = conf_lexer_word(&rest);
    const struct word_mask *type = find_word(types, word);

    if (!type || !conf_lexer_is_end(rest)) {
        conf_problem_error(parse,
                           "log_type: \"%s\" is not known. Write one per line of error, warning, "
                           "notice, information, subscribe, unsubscribe, debug, all, none",
                           log_text(bytes_of(value->text)).text);
        return;
    }
    if (!parse->log_type_given || type->mask == 0)
        tunable->log_mask = 0;
    parse->log_type_given = true;
    tunable->log_mask |= type->mask & (LOG_MASK(LOG_LEVEL_COUNT) - 1);
}

void conf_action_log_facility(struct conf_parse *parse, const struct conf_value *value)
{
    struct bytes rest = bytes_of(value->text);
    struct bytes word = conf_lexer_word(&rest);

    for (size_t i = 0; i < FACILITY_COUNT && conf_lexer_is_end(rest); i++) {
        bool is_number = word.size == 1 && word.data[0] == '0' + i && i < 8;

        if (is_number || bytes_equal(word, bytes_of(facilities[i]))) {
            parse->conf->log_facility = facilities[i];
            return;
        }
    }
    conf_problem_error(parse,
                       "log_facility: \"%s\" is not known. Write daemon, or 0 to 7 for "
                       "local0 to local7",
                       log_text(bytes_of(value->text)).text);
}
