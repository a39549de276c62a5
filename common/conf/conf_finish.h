#ifndef COURTIER_COMMON_CONF_CONF_FINISH_H
#define COURTIER_COMMON_CONF_CONF_FINISH_H

/* What no single line decides: defaults that are not in the table, and values
 * that depend on others or on the machine. Internal to common/conf. */

struct conf;
struct conf_arguments;
struct conf_parse;

/* Before the first line: the defaults of what actions set. */
void conf_finish_defaults(struct conf *conf);
/* After the last line and conf_listener_complete. */
void conf_finish_values(struct conf_parse *parse, const struct conf_arguments *arguments);

#endif
