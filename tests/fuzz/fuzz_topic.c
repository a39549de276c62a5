/*
 * Topics and filters. The input is a limit byte, then a filter and a name with a
 * zero byte between them.
 */

#include "common/base/check.h"
#include "common/mqtt/topic.h"
#include "common/mqtt/utf8.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The levels, joined again, are the text. */
static size_t check_levels(struct bytes text)
{
    struct topic_levels levels = topic_levels(text);
    struct bytes level;
    size_t joined = 0;
    size_t count = 0;

    while (topic_next_level(&levels, &level)) {
        check(level.data == text.data + joined + count);
        joined += level.size;
        count++;
        check(level.size == 0 || memchr(level.data, '/', level.size) == NULL);
    }
    check(text.size == 0 ? count == 0 : joined + count - 1 == text.size);
    return count;
}

static void check_subscription(struct bytes text, const struct topic_limits *limits)
{
    struct topic_share share;

    if (topic_check_subscription(text, limits, &share) != TOPIC_OK)
        return;
    check(share.filter.size > 0);
    check(share.filter.data + share.filter.size == text.data + text.size);
    check(!topic_has_wildcard(share.group));
    check(topic_check_filter(share.filter, limits) == TOPIC_OK);
    check(check_levels(share.filter) <= limits->levels_max);
}

/* By levels, to be compared with the matcher that goes by bytes. */
static bool matches_by_levels(struct bytes filter, struct bytes name)
{
    struct topic_levels f = topic_levels(filter);
    struct topic_levels n = topic_levels(name);
    struct bytes filter_level;
    struct bytes name_level;

    if (topic_is_dollar(name) && topic_has_wildcard(topic_first_level(filter)))
        return false;
    while (topic_next_level(&f, &filter_level)) {
        if (topic_level_is_hash(filter_level))
            return true;
        if (!topic_next_level(&n, &name_level))
            return false;
        if (!topic_level_is_plus(filter_level) && !bytes_equal(filter_level, name_level))
            return false;
    }
    return !topic_next_level(&n, &name_level);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct topic_limits limits = {.size_max = UINT16_MAX, .levels_max = (uint16_t)(1 + data[0])};
    struct bytes filter = {data + 1, size - 1};
    struct bytes name = {NULL, 0};
    const uint8_t *zero = memchr(filter.data, 0, filter.size);

    check_subscription(filter, &limits);
    if (zero != NULL) {
        check(!utf8_is_valid(filter));
        filter.size = (size_t)(zero - filter.data);
        name = (struct bytes){zero + 1, size - 2 - filter.size};
    }
    check_subscription(filter, &limits);
    if (topic_check_filter(filter, &limits) == TOPIC_OK &&
        topic_check_name(name, &limits) == TOPIC_OK)
        check(topic_matches(filter, name) == matches_by_levels(filter, name));
    return 0;
}
