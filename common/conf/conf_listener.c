#include "common/conf/conf_listener.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/conf/conf_lexer.h"
#include "common/conf/conf_parse.h"
#include "common/conf/conf_problem.h"
#include "common/conf/conf_value.h"

enum { UNIX_PATH_SIZE_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

/* Beside the lines of the file: the default listener, and each -p. */
static_assert(CONF_LISTENER_COUNT_MAX + 1 + CONF_PORTS_MAX <= CONF_LISTENERS_MAX,
              "the limits hold together");

struct conf_listener *conf_listener_new(struct conf_parse *parse)
{
    struct conf_listener *listener = calloc(1, sizeof(*listener));

    if (!listener) {
        conf_problem_memory(parse);
        return NULL;
    }
    list_init(&listener->node);
    listener->port = CONF_LISTENER_PORT;
    conf_parse_defaults(parse, CONF_SCOPE_LISTENER, listener);
    return listener;
}

static void link_listener(struct conf_parse *parse, struct conf_listener *listener)
{
    if (list_is_linked(&listener->node))
        return;
    listener->index = (uint16_t)parse->conf->listener_count++;
    list_push_back(&parse->conf->listeners, &listener->node);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Two listeners with port 0 are never the same: the kernel picks their ports. */
static bool is_same(const struct conf_listener *a, const struct conf_listener *b)
{
    if (a->unix_path || b->unix_path)
        return is_same_text(a->unix_path, b->unix_path);
    return a->port != 0 && a->port == b->port && is_same_text(a->address, b->address);
}

/* A linked listener at the address of `wanted`, or NULL. The default listener is
 * left out: a line to come may still change its address. */
static struct conf_listener *find_same(const struct conf_parse *parse,
                                       const struct conf_listener *wanted)
{
    list_for_each(node, &parse->conf->listeners) {
        struct conf_listener *listener = list_owner(node, struct conf_listener, node);

        if (listener != parse->default_listener && is_same(listener, wanted))
            return listener;
    }
    return NULL;
}

/* A host name or an address, to put into the example of a correct line. */
static bool is_host(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_letter && (c < '0' || c > '9') && c != '.' && c != '-')
            return false;
    }
    return word.size > 0 && word.size < 64;
}

static void report_port(struct conf_parse *parse, struct bytes word, enum conf_number result)
{
    struct log_text host = log_text(is_host(word) ? word : bytes_of("192.168.1.10"));

    if (result == CONF_NUMBER_RANGE)
        conf_problem_error(parse,
                           "listener: \"%s\" is not a port. Give a number from 0 to 65535, for "
                           "example \"listener 1883\"",
                           log_text(word).text);
    else
        conf_problem_error(parse,
                           "listener: the port is missing before \"%s\". Write the port and then "
                           "the address, for example \"listener 1883 %s\"",
                           log_text(word).text, host.text);
}

/* The path of a Unix socket, or NULL and a report. */
static const char *keep_path(struct conf_parse *parse, struct bytes path)
{
    if (path.size <= UNIX_PATH_SIZE_MAX)
        return conf_parse_keep(parse, path);
    conf_problem_error(parse,
                       "listener: the path of a Unix socket has at most %d bytes. Choose a "
                       "shorter one",
                       UNIX_PATH_SIZE_MAX);
    return NULL;
}

/* An address that is one word, or NULL and a report. */
static const char *keep_address(struct conf_parse *parse, struct bytes text)
{
    struct bytes rest = text;
    struct bytes word = conf_lexer_word(&rest);

    if (conf_lexer_is_end(rest))
        return conf_parse_keep(parse, word);
    conf_problem_error(parse,
                       "\"%s\" is one word too many behind the address. Write one \"listener\" "
                       "line for each address",
                       log_text(rest).text);
    return NULL;
}

/* "PORT", "PORT ADDRESS" or "0 PATH". False, and a report, when it is neither. */
static bool parse_listener(struct conf_parse *parse, struct bytes text,
                           struct conf_listener *listener)
{
    struct bytes rest = text;
    struct bytes word = conf_lexer_word(&rest);
    int64_t port = 0;
    enum conf_number result = conf_value_number(word, 0, UINT16_MAX, &port);

    if (result != CONF_NUMBER_OK) {
        report_port(parse, word, result);
        return false;
    }
    listener->port = (uint16_t)port;
    if (conf_lexer_is_end(rest))
        return true;
    if (!memchr(rest.data, '/', rest.size)) {
        listener->address = keep_address(parse, rest);
        return listener->address != NULL;
    }
    if (port != 0) {
        conf_problem_error(parse, "listener: a Unix socket has no port. Write \"listener 0 %s\"",
                           log_text(rest).text);
        return false;
    }
    listener->unix_path = keep_path(parse, rest);
    return listener->unix_path != NULL;
}

/* The same address once more goes on with the listener that is there already. */
void conf_listener_take_listener(struct conf_parse *parse, const struct conf_value *value)
{
    struct conf_listener *listener = conf_listener_new(parse);
    struct conf_listener *same = NULL;

    if (!listener)
        return;
    if (!parse_listener(parse, bytes_of(value->text), listener)) {
        free(listener);
        return;
    }
    same = find_same(parse, listener);
    if (!same && parse->conf->listener_count >= CONF_LISTENER_COUNT_MAX) {
        conf_problem_error(parse, "more than %d listeners. Remove some", CONF_LISTENER_COUNT_MAX);
        free(listener);
        return;
    }
    if (same) {
        free(listener);
    } else {
        link_listener(parse, listener);
        conf_parse_remember(parse, conf_option_find(bytes_of("listener")), listener, value);
    }
    parse->listener = same ? same : listener;
}

void conf_listener_take_port(struct conf_parse *parse, const struct conf_value *value)
{
    parse->default_listener->port = (uint16_t)value->number;
    link_listener(parse, parse->default_listener);
}

void conf_listener_take_address(struct conf_parse *parse, const struct conf_value *value)
{
    parse->default_listener->address = keep_address(parse, bytes_of(value->text));
    link_listener(parse, parse->default_listener);
}

/* True when port and bind_address have opened the address of `wanted`. */
static bool is_linked_default(const struct conf_parse *parse, const struct conf_listener *wanted)
{
    return list_is_linked(&parse->default_listener->node) &&
           is_same(parse->default_listener, wanted);
}

/* One -p: on all addresses beside the listeners of the file, but local without any. */
static void add_argument(struct conf_parse *parse, const char *text, bool is_local)
{
    const struct conf_listener *standard = parse->default_listener;
    struct conf_listener *listener = NULL;
    int64_t port = 0;

    if (conf_value_number(bytes_of(text), 0, UINT16_MAX, &port) != CONF_NUMBER_OK) {
        conf_problem_error(parse, "-p: \"%s\" is not a port. Give a number from 0 to 65535",
                           log_text(bytes_of(text)).text);
        return;
    }
    listener = conf_listener_new(parse);
    if (!listener)
        return;
    if (is_local) {
        listener->domain = standard->domain;
        listener->connections_max = standard->connections_max;
        listener->qos_max = standard->qos_max;
        listener->local_only = true;
    }
    listener->port = (uint16_t)port;
    if (find_same(parse, listener) || is_linked_default(parse, listener))
        free(listener);
    else
        link_listener(parse, listener);
}

/* Mosquitto opens port 1883 for such options; we don't open what nobody asked for. */
static void warn_unused(struct conf_parse *parse)
{
    list_for_each(node, &parse->settings) {
        const struct conf_setting *setting = list_owner(node, struct conf_setting, node);

        if (setting->target != parse->default_listener)
            continue;
        parse->place = setting->place;
        conf_problem_warning(parse,
                             "%s stands before the first listener of the file and has no effect. "
                             "Move it below its listener",
                             setting->option->keyword);
    }
}

/* `listener` lines are compared as they come; port and bind_address only now. */
static void check_default(struct conf_parse *parse)
{
    const struct conf_listener *same = find_same(parse, parse->default_listener);
    const struct conf_setting *other = NULL, *own = NULL;
    char place[CONF_PROBLEM_PLACE_SIZE];

    if (!same)
        return;
    other = conf_parse_setting(parse, "listener", same);
    own = conf_parse_setting(parse, "port", parse->conf);
    if (!own)
        own = conf_parse_setting(parse, "bind_address", parse->conf);
    if (!own || !other) /* lost to want of memory, which is reported */
        return;
    parse->place = own->place;
    conf_problem_error(parse, "\"listener %s\" at %s opens the same port. Remove one of the two",
                       other->value.text, conf_problem_place(&other->place, place, sizeof(place)));
}

void conf_listener_complete(struct conf_parse *parse, const struct conf_arguments *arguments)
{
    bool is_local = list_is_empty(&parse->conf->listeners);

    if (list_is_linked(&parse->default_listener->node))
        check_default(parse);
    else if (!is_local)
        warn_unused(parse);
    parse->place = (struct conf_place){.file = NULL, .line = 0};
    for (unsigned i = 0; i < arguments->port_count; i++)
        add_argument(parse, arguments->ports[i], is_local);
    if (list_is_empty(&parse->conf->listeners)) {
        parse->default_listener->local_only = true;
        link_listener(parse, parse->default_listener);
    }
}
