#include "common/conf/conf_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/conf/conf_lexer.h"
#include "common/conf/conf_option.h"
#include "common/conf/conf_parse.h"
#include "common/conf/conf_problem.h"

/* A suffix and what it multiplies by; a list ends with an empty one. */
struct unit {
    char suffix;
    int64_t factor;
};

enum { DAY_S = 24 * 60 * 60, BOUND_SIZE = 32 };

static const struct unit no_units[] = {{0, 0}};
static const struct unit size_units[] = {{'G', INT64_C(1) << 30},
                                         {'M', INT64_C(1) << 20},
                                         {'K', INT64_C(1) << 10},
                                         {'g', INT64_C(1) << 30},
                                         {'m', INT64_C(1) << 20},
                                         {'k', INT64_C(1) << 10},
                                         {0, 0}};
static const struct unit time_units[] = {
    {'s', 1},          {'h', 60 * 60},     {'d', DAY_S}, {'w', 7 * DAY_S},
    {'m', 30 * DAY_S}, {'y', 365 * DAY_S}, {0, 0}};

/* In the order of the enums. */
static const char *const loop_words[] = {"auto", "io_uring", "epoll", NULL};
static const char *const domain_words[] = {"any", "ipv4", "ipv6", NULL};
static const char *const durability_words[] = {"strict", "relaxed", NULL};
static const char *const queue_full_words[] = {"drop", "refuse", NULL};

_Static_assert(CONF_LOOP_AUTO == 0 && CONF_LOOP_URING == 1 && CONF_LOOP_EPOLL == 2, "loop_words");
_Static_assert(CONF_DOMAIN_ANY == 0 && CONF_DOMAIN_IPV4 == 1 && CONF_DOMAIN_IPV6 == 2,
               "domain_words");
_Static_assert(CONF_DURABILITY_STRICT == 0 && CONF_DURABILITY_RELAXED == 1, "durability_words");
_Static_assert(CONF_QUEUE_DROP == 0 && CONF_QUEUE_REFUSE == 1, "queue_full_words");

static bool is_word(struct bytes text, const char *word)
{
    return bytes_equal(text, bytes_of(word));
}

enum conf_number conf_value_number(struct bytes text, int64_t minimum, int64_t maximum,
                                   int64_t *ret_number)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    bool is_too_large = false;
    int64_t number = 0;

    if (is_negative)
        text = bytes_from(text, 1);
    if (text.size == 0)
        return CONF_NUMBER_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return CONF_NUMBER_INVALID;
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text.data[i] - '0', &number))
            is_too_large = true;
    }
    if (is_negative)
        number = -number;
    if (is_too_large || number < minimum || number > maximum)
        return CONF_NUMBER_RANGE;
    *ret_number = number;
    return CONF_NUMBER_OK;
}

/* The factor of the suffix, which is taken off, or 1. */
static int64_t take_unit(struct bytes *text, const struct unit *units)
{
    for (; units->factor != 0 && text->size > 1; units++) {
        if (text->data[text->size - 1] == (uint8_t)units->suffix) {
            text->size--;
            return units->factor;
        }
    }
    return 1;
}

static enum conf_number parse_units(const struct conf_option *option, struct bytes text,
                                    const struct unit *units, int64_t *ret_number)
{
    int64_t factor = take_unit(&text, units);
    int64_t number = 0;
    enum conf_number result = conf_value_number(text, INT64_MIN, INT64_MAX, &number);

    if (result != CONF_NUMBER_OK)
        return result;
    if (__builtin_mul_overflow(number, factor, &number) || number < option->minimum ||
        number > option->maximum)
        return CONF_NUMBER_RANGE;
    *ret_number = number;
    return CONF_NUMBER_OK;
}

/* A bound as a person would write it: 64K and not 65536. */
static const char *bound_text(int64_t bound, const struct unit *units, char *text)
{
    while (units->factor != 0 && (bound == 0 || bound % units->factor != 0))
        units++;
    if (units->factor == 0)
        snprintf(text, BOUND_SIZE, "%" PRId64, bound);
    else
        snprintf(text, BOUND_SIZE, "%" PRId64 "%c", bound / units->factor, units->suffix);
    return text;
}

/* `cure` says what may be written besides a number between the bounds. */
static bool parse_number(struct conf_parse *parse, const struct conf_option *option,
                         struct bytes text, const struct unit *units, const char *cure,
                         int64_t *ret_number)
{
    enum conf_number result = parse_units(option, text, units, ret_number);
    char low[BOUND_SIZE], high[BOUND_SIZE];

    if (result == CONF_NUMBER_OK)
        return true;
    conf_problem_error(
        parse, "%s: \"%s\" is %s. Give a number from %s to %s%s", option->keyword,
        log_text(text).text, result == CONF_NUMBER_RANGE ? "out of range" : "not a whole number",
        bound_text(option->minimum, units, low), bound_text(option->maximum, units, high), cure);
    return false;
}

static bool parse_bool(struct conf_parse *parse, const struct conf_option *option,
                       struct bytes text, int64_t *ret_number)
{
    static const char *const words[2][5] = {{"false", "0", "no", "off", NULL},
                                            {"true", "1", "yes", "on", NULL}};

    for (int64_t number = 0; number < 2; number++) {
        for (const char *const *word = words[number]; *word; word++) {
            if (strlen(*word) != text.size ||
                strncasecmp(*word, (const char *)text.data, text.size) != 0)
                continue;
            if (is_word(text, words[number][0]) || is_word(text, words[number][1])) {
                *ret_number = number;
                return true;
            }
            conf_problem_error(parse, "%s: \"%s\" is not understood here. Write \"%s %s\"",
                               option->keyword, log_text(text).text, option->keyword,
                               words[number][0]);
            return false;
        }
    }
    conf_problem_error(parse,
                       "%s: \"%s\" is neither true nor false. Write \"%s true\" or \"%s false\"",
                       option->keyword, log_text(text).text, option->keyword, option->keyword);
    return false;
}

static bool parse_words(struct conf_parse *parse, const struct conf_option *option,
                        struct bytes text, const char *const *words, int64_t *ret_number)
{
    for (int64_t i = 0; words[i]; i++) {
        if (is_word(text, words[i])) {
            *ret_number = i;
            return true;
        }
    }
    conf_problem_error(parse, "%s: \"%s\" is not known. Write %s", option->keyword,
                       log_text(text).text, option->help);
    return false;
}

static bool parse_size_power(struct conf_parse *parse, const struct conf_option *option,
                             struct bytes text, int64_t *ret_number)
{
    int64_t number = 0;

    if (!parse_number(parse, option, text, size_units, ", a power of two", &number))
        return false;
    if ((number & (number - 1)) != 0) {
        conf_problem_error(parse, "%s: \"%s\" is not a power of two. Write for example \"%s %s\"",
                           option->keyword, log_text(text).text, option->keyword, option->standard);
        return false;
    }
    *ret_number = number;
    return true;
}

static bool parse_expiry(struct conf_parse *parse, const struct conf_option *option,
                         struct bytes text, int64_t *ret_number)
{
    struct bytes number = text;

    if (is_word(text, "never")) {
        *ret_number = UINT32_MAX;
        return true;
    }
    take_unit(&number, time_units);
    if (number.size == text.size) {
        conf_problem_error(parse,
                           "%s: \"%s\" has no unit. Write s, h, d, w, m or y behind the number, "
                           "for example \"%s 2w\"",
                           option->keyword, log_text(text).text, option->keyword);
        return false;
    }
    return parse_number(parse, option, text, time_units, ", or \"never\"", ret_number);
}

static bool parse_workers(struct conf_parse *parse, const struct conf_option *option,
                          struct bytes text, int64_t *ret_number)
{
    if (is_word(text, "auto")) {
        *ret_number = CONF_WORKERS_AUTO;
        return true;
    }
    return parse_number(parse, option, text, no_units, ", or \"auto\"", ret_number);
}

static bool parse_word(struct conf_parse *parse, const struct conf_option *option,
                       struct bytes word, int64_t *ret_number)
{
    switch (option->type) {
    case CONF_TYPE_BOOL:
        return parse_bool(parse, option, word, ret_number);
    case CONF_TYPE_NUMBER:
        return parse_number(parse, option, word, no_units, "", ret_number);
    case CONF_TYPE_SIZE:
        return parse_number(parse, option, word, size_units, "", ret_number);
    case CONF_TYPE_SIZE_POWER:
        return parse_size_power(parse, option, word, ret_number);
    case CONF_TYPE_EXPIRY:
        return parse_expiry(parse, option, word, ret_number);
    case CONF_TYPE_WORKERS:
        return parse_workers(parse, option, word, ret_number);
    case CONF_TYPE_LOOP:
        return parse_words(parse, option, word, loop_words, ret_number);
    case CONF_TYPE_DOMAIN:
        return parse_words(parse, option, word, domain_words, ret_number);
    case CONF_TYPE_DURABILITY:
        return parse_words(parse, option, word, durability_words, ret_number);
    case CONF_TYPE_QUEUE_FULL:
        return parse_words(parse, option, word, queue_full_words, ret_number);
    case CONF_TYPE_TEXT:
        break;
    }
    unreachable();
}

bool conf_value_parse(struct conf_parse *parse, const struct conf_option *option, struct bytes text,
                      struct conf_value *ret_value)
{
    struct conf_value value = {.number = 0, .text = NULL};

    if (option->type == CONF_TYPE_TEXT) {
        value.text = conf_parse_keep(parse, text);
        if (!value.text)
            return false;
    } else {
        struct bytes rest = text;
        struct bytes word = conf_lexer_word(&rest);

        if (!conf_lexer_is_end(rest)) {
            conf_problem_error(parse, "%s: \"%s\" is one word too many. Write \"%s %s\"",
                               option->keyword, log_text(rest).text, option->keyword,
                               log_text(word).text);
            return false;
        }
        if (!parse_word(parse, option, word, &value.number))
            return false;
    }
    *ret_value = value;
    return true;
}
