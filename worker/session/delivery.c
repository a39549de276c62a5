#include "worker/session/delivery.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

struct delivery *delivery_new(struct message *message, enum qos qos, bool retain,
                              const struct subscription_ids *ids)
{
    uint32_t count = ids == NULL ? 0 : ids->count;
    struct delivery *d = malloc(sizeof(*d) + count * sizeof(d->subscription_ids[0]));
    if (d == NULL)
        return NULL;
    *d = (struct delivery){
        .message = message == NULL ? NULL : message_get(message),
        .state = DELIVERY_QUEUED,
        .qos = (uint8_t)qos & 3U,
        .retain = retain,
        .subscription_id_count = count,
    };
    if (count > 0)
        memcpy(d->subscription_ids, ids->list, count * sizeof(d->subscription_ids[0]));
    list_init(&d->node);
    return d;
}

void delivery_free(struct delivery *delivery)
{
    check(!delivery->is_delayed);
    list_remove(&delivery->node);
    if (delivery->seq != 0 && delivery->message != NULL)
        delivery->message->kept--;
    message_put(delivery->message);
    share_put(delivery->share);
    free(delivery);
}
