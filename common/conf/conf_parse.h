#ifndef COURTIER_COMMON_CONF_CONF_PARSE_H
#define COURTIER_COMMON_CONF_CONF_PARSE_H

/*
 * A configuration in the making: the state that conf_load's helpers share, and
 * the way from a text in memory to a finished struct conf. Internal to
 * common/conf and its tests.
 */

#include <stdbool.h>

#include "common/base/bytes.h"
#include "common/base/list.h"
#include "common/conf/conf.h"
#include "common/conf/conf_option.h"

/* Where a setting stands. File NULL: the command line; line 0: the whole file. */
struct conf_place {
    const char *file;
    unsigned line;
};

/* What a line has set, kept so that a second line can be compared with it. */
struct conf_setting {
    struct list_node node;
    const struct conf_option *option;
    const void *target; /* the conf or the listener */
    struct conf_place place;
    struct conf_value value;
};

/* A text that a conf points to. */
struct conf_text {
    struct list_node node;
    char bytes[];
};

/* What conf_load really allocates. */
struct conf_owner {
    struct conf conf;
    struct list_node texts; /* of struct conf_text */
};

struct conf_parse {
    struct conf_owner *owner;
    struct conf *conf; /* &owner->conf */
    struct list_node *problems;
    struct list_node settings;
    struct conf_place place;                /* of the line being read */
    struct conf_listener *listener;         /* its options come now */
    struct conf_listener *default_listener; /* of port and bind_address; linked when used */
    unsigned error_count;
    unsigned warning_count;
    unsigned reported_groups; /* bits of enum conf_group */
    bool is_main;             /* reading the main file, not an included one */
    bool log_dest_given;
    bool log_type_given;
    bool is_out_of_memory;
};

/* Starts with the defaults. `problems` is an initialised list, borrowed until
 * conf_parse_done. 0 or -ENOMEM; then nothing is to be undone. */
int conf_parse_init(struct conf_parse *parse, struct list_node *problems);
/* Applies all lines of `text`. `file` is its name in problems, borrowed for the
 * life of the parse; the text is not needed afterwards. Only with `is_main` may
 * it include others. */
void conf_parse_text(struct conf_parse *parse, struct bytes text, const char *file, bool is_main);
/* Applies the command line, checks across all that was set, and gives the
 * configuration, or NULL when there was an error. Ends the parse. */
struct conf *conf_parse_done(struct conf_parse *parse, const struct conf_arguments *arguments);

/* Sets the fields of all VALUE rows of this scope that have a default. `target` is
 * the struct of the scope. */
void conf_parse_defaults(struct conf_parse *parse, enum conf_scope scope, void *target);
/* A NUL-terminated copy that lives as long as the conf. NULL without memory,
 * which has then been reported. */
const char *conf_parse_keep(struct conf_parse *parse, struct bytes text);
/* Remembers that the current line has set the option of `target`. */
void conf_parse_remember(struct conf_parse *parse, const struct conf_option *option,
                         const void *target, const struct conf_value *value);
/* The first setting of this option and target, or NULL. */
const struct conf_setting *conf_parse_setting(const struct conf_parse *parse, const char *keyword,
                                              const void *target);

#endif
