#include "common/base/check.h"
#include "shm/live/live_internal.h"
#include "shm/live/retain.h"
#include "shm/live/retain_message.h"
#include "shm/live/tree.h"

#include <errno.h>
#include <string.h>

/* An old message of at most this size is replaced in its place, and a new one
 * no larger needs no room. Larger ones have pages of their own, which LMDB
 * gives back only later. */
enum { IN_PLACE_MAX = 1024 };

static int room_for(struct live *live, const struct retained *message, const struct retained *old)
{
    size_t size = retain_message_size(message);
    size_t old_size = old != NULL ? retain_message_size(old) : 0;
    return size <= old_size && old_size <= IN_PLACE_MAX ? 0 : live_room(live, size);
}

/* Sets the message of a topic that has an old one, or none (NULL). */
static int put(struct live *live, const struct retained *message, const struct retained *old)
{
    int r = room_for(live, message, old);
    if (r != 0)
        return r;
    struct tree_place place;
    r = tree_make(live, LIVE_RETAIN, message->topic, &place);
    if (r != 0)
        return r;
    r = retain_message_put(live, tree_id(&place.node), message, old);
    if (r != 0 || old != NULL)
        return r;
    place.node.flags |= TREE_MESSAGE;
    return tree_store(live, LIVE_RETAIN, &place);
}

int retain_set(struct live *live, const struct retained *message, struct retain_delta *ret_delta)
{
    check(message->payload.size > 0);
    check(message->topic.size <= UINT16_MAX);
    struct retained old;
    int r = retain_get(live, message->topic, &old);
    if (r != 0 && r != -ENOENT)
        return r;
    bool is_new = r == -ENOENT;
    struct retain_delta delta = {.messages = 1, .bytes = (int64_t)message->payload.size};
    if (!is_new)
        delta.messages--;
    if (!is_new)
        delta.bytes -= (int64_t)old.payload.size;
    r = put(live, message, is_new ? NULL : &old);
    if (r == 0)
        *ret_delta = delta;
    return r;
}

/* Adds to *delta. */
static int clear(struct live *live, struct bytes topic, struct retain_delta *delta)
{
    struct tree_found found;
    int r = tree_find(live, LIVE_RETAIN, topic, &found);
    if (r == -ENOENT)
        return 0;
    if (r != 0)
        return r;
    struct tree_node *node = &found.place.node;
    if ((node->flags & TREE_MESSAGE) == 0)
        return 0;
    struct retained old;
    r = retain_message_get(live, tree_id(node), &old);
    if (r != 0)
        return r;
    size_t old_size = old.payload.size;
    r = retain_message_delete(live, tree_id(node), &old);
    if (r != 0)
        return r;
    node->flags &= (uint16_t)~TREE_MESSAGE;
    r = tree_settle(live, LIVE_RETAIN, &found);
    if (r != 0)
        return r;
    delta->messages--;
    delta->bytes -= (int64_t)old_size;
    return 0;
}

int retain_clear(struct live *live, struct bytes topic, struct retain_delta *ret_delta)
{
    struct retain_delta delta = {.messages = 0};
    int r = clear(live, topic, &delta);
    if (r == 0)
        *ret_delta = delta;
    return r;
}

/* Removes the message of a node, by its topic: nodes don't know their parents. */
static int expire(struct live *live, uint64_t node, struct retain_delta *delta)
{
    struct retained message;
    int r = retain_message_get(live, node, &message);
    if (r != 0)
        return r;
    uint8_t topic[UINT16_MAX];
    if (message.topic.size > sizeof topic)
        return -EBADMSG;
    memcpy(topic, message.topic.data, message.topic.size);
    return clear(live, (struct bytes){topic, message.topic.size}, delta);
}

int retain_expire(struct live *live, uint64_t now_ms, unsigned limit,
                  struct retain_delta *ret_delta, uint64_t *ret_next_ms)
{
    for (unsigned i = 0;; i++) {
        uint64_t at_ms;
        uint64_t node;
        int r = retain_message_first(live, &at_ms, &node);
        if (r != 0 && r != -ENOENT)
            return r;
        if (r == -ENOENT)
            at_ms = UINT64_MAX;
        if (at_ms > now_ms || i == limit) {
            *ret_next_ms = at_ms;
            return 0;
        }
        r = expire(live, node, ret_delta);
        if (r != 0)
            return r;
    }
}
