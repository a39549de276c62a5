#ifndef COURTIER_COMMON_CONF_CONF_LISTENER_H
#define COURTIER_COMMON_CONF_CONF_LISTENER_H

/*
 * Where the broker listens: the options `listener`, `port` and `bind_address`, the
 * argument -p, and the listener that is there when nothing says so. Internal to
 * common/conf.
 */

struct conf_arguments;
struct conf_listener;
struct conf_parse;
struct conf_value;

enum { CONF_LISTENER_PORT = 1883, CONF_LISTENER_COUNT_MAX = 64 };

/* A listener with default values, in no list; freed with free(). NULL without
 * memory. */
struct conf_listener *conf_listener_new(struct conf_parse *parse);
/* Actions of conf_list.h. */
void conf_listener_take_listener(struct conf_parse *parse, const struct conf_value *value);
void conf_listener_take_port(struct conf_parse *parse, const struct conf_value *value);
void conf_listener_take_address(struct conf_parse *parse, const struct conf_value *value);
/* Adds what -p asks for, or the local listener when there is none, and checks
 * them all. The list is not empty afterwards. */
void conf_listener_complete(struct conf_parse *parse, const struct conf_arguments *arguments);

#endif
