#include "worker/session/alias.h"

#include <stdlib.h>
#include <string.h>

struct topic_copy {
    uint32_t size;
    uint8_t data[];
};

static struct topic_copy *copy_topic(struct bytes topic)
{
    struct topic_copy *copy = malloc(sizeof(*copy) + topic.size);
    if (copy == NULL)
        return NULL;
    copy->size = (uint32_t)topic.size;
    memcpy(copy->data, topic.data, topic.size);
    return copy;
}

struct alias_in {
    uint16_t max;
    struct topic_copy *topics[]; /* alias - 1 */
};

struct alias_in *alias_in_new(uint16_t max)
{
    struct alias_in *a = calloc(1, sizeof(*a) + max * sizeof(a->topics[0]));
    if (a != NULL)
        a->max = max;
    return a;
}

void alias_in_free(struct alias_in *aliases)
{
    if (aliases == NULL)
        return;
    for (unsigned i = 0; i < aliases->max; i++)
        free(aliases->topics[i]);
    free(aliases);
}

uint16_t alias_in_max(const struct alias_in *aliases)
{
    return aliases->max;
}

struct bytes alias_in_get(const struct alias_in *aliases, uint16_t alias)
{
    const struct topic_copy *copy = aliases->topics[alias - 1];
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    return (struct bytes){copy->data, copy->size};
}

bool alias_in_set(struct alias_in *aliases, uint16_t alias, struct bytes topic)
{
    if (bytes_equal(alias_in_get(aliases, alias), topic))
        return true;
    struct topic_copy *copy = copy_topic(topic);
    if (copy == NULL)
        return false;
    free(aliases->topics[alias - 1]);
    aliases->topics[alias - 1] = copy;
    return true;
}

/* Few aliases are allowed by default (10), so a scan beats a map. */
struct alias_out {
    uint16_t max;
    uint16_t count;
    struct topic_copy *topics[];
};

/* A scan per message must stay short whatever a client allows. */
enum { ALIAS_OUT_MAX = 64 };

struct alias_out *alias_out_new(uint16_t max)
{
    if (max > ALIAS_OUT_MAX)
        max = ALIAS_OUT_MAX;
    struct alias_out *a = calloc(1, sizeof(*a) + max * sizeof(a->topics[0]));
    if (a != NULL)
        a->max = max;
    return a;
}

void alias_out_free(struct alias_out *aliases)
{
    if (aliases == NULL)
        return;
    for (unsigned i = 0; i < aliases->count; i++)
        free(aliases->topics[i]);
    free(aliases);
}

uint16_t alias_out_use(struct alias_out *aliases, struct bytes topic, bool *ret_known)
{
    *ret_known = false;
    for (uint16_t i = 0; i < aliases->count; i++) {
        const struct topic_copy *copy = aliases->topics[i];
        if (bytes_equal((struct bytes){copy->data, copy->size}, topic)) {
            *ret_known = true;
            return (uint16_t)(i + 1);
        }
    }
    if (aliases->count == aliases->max)
        return 0;
    struct topic_copy *copy = copy_topic(topic);
    if (copy == NULL)
        return 0;
    aliases->topics[aliases->count++] = copy;
    return aliases->count;
}
