#include "worker/route/publication.h"

struct message *publication_message(struct publication *publication)
{
    if (publication->message != NULL)
        return publication->message;
    struct message *m =
        message_new(publication->topic, publication->properties, publication->payload);
    if (m == NULL)
        return NULL;
    m->id = publication->message_id;
    m->expiry_at_ms = publication->expiry_at_ms;
    m->qos = publication->qos;
    m->retain = publication->retain;
    publication->message = m;
    return m;
}

void publication_done(struct publication *publication)
{
    if (publication->message != NULL)
        publication->message->kept -= publication->paged;
    message_put(publication->message);
    publication->message = NULL;
}

struct publication publication_of(struct message *message)
{
    return (struct publication){
        .topic = message_topic(message),
        .properties = message_properties(message),
        .payload = message_payload(message),
        .message_id = message->id,
        .expiry_at_ms = message->expiry_at_ms,
        .message = message_get(message),
        .qos = message->qos,
        .retain = message->retain,
    };
}
