#include "common/mqtt/topic.h"

#include "common/mqtt/utf8.h"

#include <string.h>

static const char share_prefix[] = "$share/";

enum { SHARE_PREFIX_SIZE = sizeof(share_prefix) - 1 };

static size_t count_levels(struct bytes b)
{
    size_t count = 1;

    for (size_t i = 0; i < b.size; i++)
        count += b.data[i] == '/';
    return count;
}

static enum topic_check check_limits(struct bytes b, const struct topic_limits *limits)
{
    if (b.size > limits->size_max || count_levels(b) > limits->levels_max)
        return TOPIC_OVER_LIMIT;
    return TOPIC_OK;
}

enum topic_check topic_check_name(struct bytes name, const struct topic_limits *limits)
{
    if (name.size == 0 || !utf8_is_valid(name) || topic_has_wildcard(name))
        return TOPIC_MALFORMED;
    return check_limits(name, limits);
}

/* Is the byte at `i`, a wildcard, a level of its own, and last if it is "#"? */
static bool wildcard_is_placed(struct bytes filter, size_t i)
{
    bool begins = i == 0 || filter.data[i - 1] == '/';
    bool is_last = i + 1 == filter.size;

    if (filter.data[i] == '#')
        return begins && is_last;                            /* [MQTT-4.7.1-1] */
    return begins && (is_last || filter.data[i + 1] == '/'); /* [MQTT-4.7.1-2] */
}

enum topic_check topic_check_filter(struct bytes filter, const struct topic_limits *limits)
{
    if (filter.size == 0 || !utf8_is_valid(filter))
        return TOPIC_MALFORMED;
    for (size_t i = 0; i < filter.size; i++) {
        bool is_wildcard = filter.data[i] == '+' || filter.data[i] == '#';
        if (is_wildcard && !wildcard_is_placed(filter, i))
            return TOPIC_MALFORMED;
    }
    return check_limits(filter, limits);
}

enum topic_check topic_check_subscription(struct bytes text, const struct topic_limits *limits,
                                          struct topic_share *ret_share)
{
    struct topic_share share = {.group = {NULL, 0}, .filter = text};

    if (text.size >= SHARE_PREFIX_SIZE && memcmp(text.data, share_prefix, SHARE_PREFIX_SIZE) == 0) {
        struct bytes rest = bytes_from(text, SHARE_PREFIX_SIZE);
        share.group = topic_first_level(rest);
        if (share.group.size == 0 || share.group.size == rest.size ||
            topic_has_wildcard(share.group) || !utf8_is_valid(share.group))
            return TOPIC_MALFORMED; /* [MQTT-4.8.2-1] [MQTT-4.8.2-2] */
        share.filter = bytes_from(rest, share.group.size + 1);
    }
    enum topic_check result = topic_check_filter(share.filter, limits);
    if (result == TOPIC_OK && text.size > limits->size_max)
        result = TOPIC_OVER_LIMIT;
    if (result == TOPIC_OK)
        *ret_share = share;
    return result;
}

struct topic_levels topic_levels(struct bytes b)
{
    if (b.size == 0)
        return (struct topic_levels){.next = NULL, .end = NULL};
    return (struct topic_levels){.next = b.data, .end = b.data + b.size};
}

bool topic_next_level(struct topic_levels *levels, struct bytes *ret_level)
{
    if (levels->end == NULL)
        return false;
    size_t left = (size_t)(levels->end - levels->next);
    const uint8_t *slash = memchr(levels->next, '/', left);
    ret_level->data = levels->next;
    ret_level->size = slash != NULL ? (size_t)(slash - levels->next) : left;
    if (slash != NULL)
        levels->next = slash + 1;
    else
        levels->end = NULL;
    return true;
}

bool topic_level_is_plus(struct bytes level)
{
    return level.size == 1 && level.data[0] == '+';
}

bool topic_level_is_hash(struct bytes level)
{
    return level.size == 1 && level.data[0] == '#';
}

bool topic_is_dollar(struct bytes b)
{
    return b.size > 0 && b.data[0] == '$';
}

bool topic_has_wildcard(struct bytes filter)
{
    if (filter.size == 0)
        return false;
    return memchr(filter.data, '+', filter.size) != NULL ||
           memchr(filter.data, '#', filter.size) != NULL;
}

struct bytes topic_first_level(struct bytes b)
{
    struct topic_levels levels = topic_levels(b);
    struct bytes first = {NULL, 0};

    topic_next_level(&levels, &first);
    return first;
}

/* Byte by byte: since a valid wildcard is always a whole level, both sides stand
 * at the begin of a level when one is met. */
bool topic_matches(struct bytes filter, struct bytes name)
{
    size_t f = 0;
    size_t n = 0;

    if (topic_is_dollar(name) && filter.size > 0 &&
        (filter.data[0] == '+' || filter.data[0] == '#'))
        return false; /* [MQTT-4.7.2-1] */
    for (; f < filter.size; f++) {
        if (filter.data[f] == '#')
            return true;
        if (filter.data[f] == '+') {
            while (n < name.size && name.data[n] != '/')
                n++;
        } else if (n < name.size && filter.data[f] == name.data[n]) {
            n++;
        } else {
            break;
        }
    }
    if (n < name.size)
        return false;
    /* "a/#" matches its parent "a" too. */
    return f == filter.size || (filter.size - f == 2 && filter.data[f + 1] == '#');
}
