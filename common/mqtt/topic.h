#ifndef COURTIER_COMMON_MQTT_TOPIC_H
#define COURTIER_COMMON_MQTT_TOPIC_H

/*
 * Topic names and topic filters: validity, levels, matching. Pure functions on
 * borrowed bytes; nothing here recurses, so depth costs no stack.
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Limits of the configuration. The standard's own limit is 65535 bytes. */
struct topic_limits {
    uint16_t size_max;   /* bytes */
    uint16_t levels_max; /* levels, at least 1 */
};

enum topic_check {
    TOPIC_OK,
    TOPIC_MALFORMED, /* empty, not UTF-8, or a wildcard where none may stand */
    TOPIC_OVER_LIMIT /* well formed, longer or deeper than the limits */
};

/* A topic name: at least one byte, valid string, no wildcard [MQTT-3.3.2-2]
 * [MQTT-4.7.3-1]. */
enum topic_check topic_check_name(struct bytes name, const struct topic_limits *limits);
/* A topic filter without `$share`: wildcards only as whole levels, `#` only
 * last [MQTT-4.7.1-1] [MQTT-4.7.1-2]. */
enum topic_check topic_check_filter(struct bytes filter, const struct topic_limits *limits);

/* A subscription's filter taken apart: "$share/group/filter" or plain. */
struct topic_share {
    struct bytes group;  /* empty for a plain subscription */
    struct bytes filter; /* what is matched */
};
/* Checks a whole filter as it stands in SUBSCRIBE and takes it apart. A group
 * is at least one byte without "/", "+", "#" [MQTT-4.8.2-1] [MQTT-4.8.2-2]. */
enum topic_check topic_check_subscription(struct bytes text, const struct topic_limits *limits,
                                          struct topic_share *ret_share);

/* Walks the levels of a name or filter: start with `topic_levels(b)`, call
 * until it returns false. "a//b" has three levels, the middle one empty; empty
 * bytes have none. */
struct topic_levels {
    const uint8_t *next;
    const uint8_t *end; /* one past the end, or NULL when all are taken */
};
struct topic_levels topic_levels(struct bytes b);
bool topic_next_level(struct topic_levels *levels, struct bytes *ret_level);

bool topic_level_is_plus(struct bytes level);
bool topic_level_is_hash(struct bytes level);
/* Begins with "$": no leading wildcard matches it [MQTT-4.7.2-1]. */
bool topic_is_dollar(struct bytes b);
bool topic_has_wildcard(struct bytes filter);
/* The first level, without its separator. */
struct bytes topic_first_level(struct bytes b);

/* Does `filter` (valid, plain) match `name` (valid)? */
bool topic_matches(struct bytes filter, struct bytes name);

#endif
