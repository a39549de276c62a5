#ifndef COURTIER_COMMON_CONF_CONF_OPTION_H
#define COURTIER_COMMON_CONF_CONF_OPTION_H

/*
 * The table made from conf_list.h, and the way of a value into the struct that
 * the row names. Internal to common/conf.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"

struct conf_parse;

enum conf_kind { CONF_KIND_VALUE, CONF_KIND_ACTION, CONF_KIND_IGNORED, CONF_KIND_MISSING };

enum conf_type {
    CONF_TYPE_BOOL, /* true or false; 1 and 0 as in Mosquitto 2.0 */
    CONF_TYPE_NUMBER,
    CONF_TYPE_SIZE,       /* a number, perhaps with K, M or G */
    CONF_TYPE_SIZE_POWER, /* a SIZE that is a power of two */
    CONF_TYPE_EXPIRY,     /* a number with s, h, d, w, m or y; in seconds */
    CONF_TYPE_WORKERS,    /* a number or "auto" */
    CONF_TYPE_LOOP,       /* a word of enum conf_event_loop */
    CONF_TYPE_DOMAIN,     /* a word of enum conf_socket_domain */
    CONF_TYPE_DURABILITY, /* a word of enum conf_durability */
    CONF_TYPE_QUEUE_FULL, /* a word of enum conf_queue_full */
    CONF_TYPE_TEXT        /* the rest of the line */
};

enum conf_scope {
    CONF_SCOPE_GLOBAL,   /* one value */
    CONF_SCOPE_LISTENER, /* one value per listener */
    CONF_SCOPE_EACH      /* every line counts */
};

enum conf_group { CONF_GROUP_NONE, CONF_GROUP_AUTOSAVE, CONF_GROUP_PLUGIN, CONF_GROUP_BRIDGE };

/* What a line gives: `text` for CONF_TYPE_TEXT, otherwise NULL and `number`. */
struct conf_value {
    int64_t number;
    const char *text;
};

typedef void (*conf_action_fn)(struct conf_parse *parse, const struct conf_value *value);

/* One row of conf_list.h. */
struct conf_option {
    const char *keyword;
    enum conf_kind kind;
    enum conf_type type;
    enum conf_scope scope;
    enum conf_group group;
    bool is_reloadable;
    size_t field_offset; /* VALUE: in struct conf or conf_listener, after scope */
    size_t field_size;
    conf_action_fn action;
    int64_t minimum;
    int64_t maximum;
    const char *standard; /* or the harmless value */
    const char *help;     /* or the text for a problem */
};

/* The row at `index`, or NULL behind the last. */
const struct conf_option *conf_option_at(size_t index);
/* The row of this keyword, or NULL. */
const struct conf_option *conf_option_find(struct bytes keyword);
/* True for a row that stands for all keywords that begin with its own. */
bool conf_option_is_prefix(const struct conf_option *option);
/* Puts a value into its field; `target` is the struct of the row's scope. A text
 * is borrowed for the life of the target. */
void conf_option_store(const struct conf_option *option, void *target,
                       const struct conf_value *value);

#endif
