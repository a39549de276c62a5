#include "worker/session/delivery.h"

#include <stdlib.h>

struct delivery *delivery_new(struct message *message, enum qos qos, bool retain,
                              uint32_t subscription_id)
{
    struct delivery *d = malloc(sizeof(*d));
    if (d == NULL)
        return NULL;
    *d = (struct delivery){
        .message = message_get(message),
        .subscription_id = subscription_id,
        .state = DELIVERY_QUEUED,
        .qos = (uint8_t)qos & 3U,
        .retain = retain,
    };
    list_init(&d->node);
    return d;
}

void delivery_free(struct delivery *delivery)
{
    list_remove(&delivery->node);
    message_put(delivery->message);
    free(delivery);
}
