#ifndef COURTIER_COMMON_CONF_CONF_ACTION_H
#define COURTIER_COMMON_CONF_CONF_ACTION_H

/* Actions of conf_list.h for the log and the state on disk. Internal to common/conf. */

struct conf_parse;
struct conf_value;

/* A destination beside the others; the first line takes the default away. */
void conf_action_log_dest(struct conf_parse *parse, const struct conf_value *value);
/* A kind of lines beside the others; the first line takes the default away. */
void conf_action_log_type(struct conf_parse *parse, const struct conf_value *value);
void conf_action_log_facility(struct conf_parse *parse, const struct conf_value *value);

#endif
