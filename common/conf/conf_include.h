#ifndef COURTIER_COMMON_CONF_CONF_INCLUDE_H
#define COURTIER_COMMON_CONF_CONF_INCLUDE_H

/* The only part of common/conf that reads files. Internal to common/conf. */

#include <stdbool.h>

struct conf_parse;
struct conf_value;

/* Reads and applies one file; a failure is reported. `path` is borrowed for the
 * life of the parse. */
void conf_include_file(struct conf_parse *parse, const char *path, bool is_main);
/* Action of conf_list.h: all *.conf files of a folder, in Mosquitto's order. */
void conf_include_take_dir(struct conf_parse *parse, const struct conf_value *value);

#endif
