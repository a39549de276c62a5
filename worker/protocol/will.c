#include "worker/protocol/will.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/mqtt/codec_publish.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/lifecycle.h"
#include "worker/route/route.h"

#include <stdlib.h>
#include <string.h>

/* A will that was published, and is kept until it is settled. */
struct published_will {
    struct list_node node;
    uint64_t message_id; /* of its KEEP_WILL */
};

static struct will *new_will(struct protocol *protocol, const struct mqtt_message *from,
                             struct bytes properties)
{
    struct will *will = calloc(1, sizeof(*will));
    if (will == NULL)
        return NULL;
    list_init(&will->node);
    list_init(&will->older);
    will->message = message_new(from->topic, properties, from->payload);
    if (will->message == NULL) {
        free(will);
        return NULL;
    }
    /* Its publication's id is the next one: the committer knows the two as different bodies. */
    will->message->id = router_next_message_id(protocol->router);
    (void)router_next_message_id(protocol->router);
    will->message->qos = (uint8_t)from->qos;
    will->message->retain = from->retain;
    will->expiry_s = from->has_expiry ? from->expiry_s : 0;
    return will;
}

bool will_take(struct protocol *protocol, struct session *session,
               const struct mqtt_connect *connect)
{
    const struct mqtt_message *from = &connect->will;
    struct bytes properties = from->properties;
    uint8_t *passed = NULL;
    if (!from->properties_pass && properties.size > 0) {
        passed = malloc(properties.size);
        if (passed == NULL)
            return false;
        properties = (struct bytes){passed, codec_publish_pass(from->properties, passed)};
    }
    struct will *will = new_will(protocol, from, properties);
    free(passed);
    if (will == NULL)
        return false;
    will->delay_s = connect->will_delay_s;
    session_set_will(session, will);
    keep_will(protocol, session);
    return true;
}

void will_drop(struct protocol *protocol, struct session *session)
{
    if (session->will == NULL)
        return;
    uint64_t id = session->will->message->id;
    session_set_will(session, NULL);
    keep_no_will(protocol, session_client_id(session), id);
}

/* -- published -- */

static void forget_when_settled(struct protocol *protocol, uint64_t message_id,
                                const struct route_result *result)
{
    const struct publisher_ack settled = {0};
    struct published_will *p = malloc(sizeof(*p));
    if (p == NULL)
        fatal("no memory for a will");
    list_init(&p->node);
    p->message_id = message_id;
    list_push_back(&protocol->published_wills, &p->node);
    settle_acknowledge(&protocol->router->settle, &protocol->unsettled_wills, &settled,
                       result->workers, result->kept);
}

void will_settled(void *protocol)
{
    struct protocol *own = protocol;
    struct list_node *node = list_first(&own->published_wills);
    check(node != NULL);
    struct published_will *p = list_owner(node, struct published_will, node);
    keep_no_will(own, (struct bytes){NULL, 0}, p->message_id);
    list_remove(node);
    free(p);
}

void will_done(struct protocol *protocol)
{
    settle_queue_done(&protocol->unsettled_wills);
    list_for_each(node, &protocol->published_wills)
        free(list_owner(node, struct published_will, node));
    list_init(&protocol->published_wills);
}

void will_publish(struct protocol *protocol, struct session *session)
{
    struct will *will = session->will;
    if (will == NULL)
        return;
    session->will = NULL;
    struct router *router = protocol->router;
    if (will->expiry_s != 0)
        will->message->expiry_at_ms = loop_now_ms(router->loop) + will->expiry_s * 1000ULL;
    uint64_t kept_as = will->message->id++;
    struct publication p = publication_of(will->message);
    p.origin = (uint16_t)router->self;
    p.publisher_session = session; /* No Local holds for wills too */
    /* At QoS 1 it would come with DUP, though it hardly ever was published before. */
    p.is_repeat = will->is_restored && will->message->qos == QOS_EXACTLY_ONCE;
    struct route_result result = route_publish(router, &p);
    kill_point("will-routed");
    publication_done(&p);
    will_free(will);
    if (router->journal.is_on)
        forget_when_settled(protocol, kept_as, &result);
    else
        keep_no_will(protocol, session_client_id(session), kept_as);
}

void will_publish_older(struct protocol *protocol, struct session *session)
{
    struct will *current = session->will;
    if (current == NULL)
        return;
    for (struct list_node *node; (node = list_first(&current->older)) != NULL;) {
        list_remove(node);
        session->will = list_owner(node, struct will, node);
        will_publish(protocol, session);
    }
    session->will = current;
}

static struct mqtt_message message_of(const struct record_message *record)
{
    return (struct mqtt_message){
        .topic = record->topic,
        .payload = record->payload,
        .qos = (enum qos)record->qos,
        .retain = record->retain,
        .has_expiry = record->expiry_at_ms != 0,
        .expiry_s = (uint32_t)record->expiry_at_ms,
    };
}

/* The client was back before its old will was handed over: the old connection
 * ended all the same, so a will without delay goes out now. The store's copy is
 * gone already if the new connection brought a will. */
static void adopt_late(struct protocol *protocol, struct session *session, struct will *will)
{
    struct will *current = session->will;
    bool is_due = will->delay_s == 0;
    session->will = will;
    if (is_due)
        will_publish(protocol, session);
    else
        will_drop(protocol, session); /* [MQTT-3.1.3-9] */
    session->will = current;
    if (current != NULL)
        keep_will(protocol, session);
}

void will_adopt(struct protocol *protocol, const struct record_message *record)
{
    struct session *session = session_find(&protocol->sessions, record->client_id);
    struct mqtt_message from = message_of(record);
    struct will *will = new_will(protocol, &from, record->properties);
    if (will == NULL)
        return;
    will->delay_s = record->session_expiry_s == 0 ? 0 : record->will_delay_s;
    if (session != NULL && !session->is_remnant) {
        adopt_late(protocol, session, will);
        return;
    }
    if (session == NULL)
        session = session_new(&protocol->sessions, record->client_id);
    if (session == NULL) {
        will_free(will);
        return;
    }
    session_set_will(session, will);
    session->expiry_s = record->session_expiry_s;
    session->is_remnant = true;
    lifecycle_wait_offline(protocol, session);
}

bool will_restore(struct protocol *protocol, const struct record_message *record)
{
    struct session *session = session_find(&protocol->sessions, record->client_id);
    struct mqtt_message from = message_of(record);
    struct will *will = new_will(protocol, &from, record->properties);
    if (will != NULL && session == NULL) {
        session = session_new(&protocol->sessions, record->client_id);
        if (session != NULL) {
            session->expiry_s = record->session_expiry_s;
            session->is_remnant = true;
        }
    }
    if (will == NULL || session == NULL) {
        will_free(will);
        return false;
    }
    will->delay_s = record->session_expiry_s == 0 ? 0 : record->will_delay_s;
    will->message->id = record->message_id;
    will->is_restored = true;
    if (session->will != NULL) {
        list_take_all(&will->older, &session->will->older);
        list_push_back(&will->older, &session->will->node);
    }
    session->will = will;
    return true;
}
