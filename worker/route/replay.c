#include "worker/route/replay.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "shm/live/retain.h"
#include "worker/net/conn.h"
#include "worker/route/deliver.h"
#include "worker/route/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEP_MESSAGES = 64, /* per replay and turn */
    STEP_PROBES = 512,
    SEEN_MAX = 1024 /* topics that came live while the replay ran */
};

struct replay {
    struct list_node session_node;
    struct list_node router_node;
    struct router *router;
    struct session *session;
    struct retain_walk *walk;
    uint64_t *seen; /* hashes of topics; NULL: none */
    unsigned seen_count;
    uint32_t subscription_id;
    uint8_t qos;
    struct bytes filter;
    uint8_t text[];
};

/* Of each session's replays only the first is at work, so that a client with many
 * subscriptions costs a turn no more than another. */
static void start_first(struct router *router, struct session *session)
{
    struct list_node *first = list_first(&session->replays);
    if (first == NULL)
        return;
    struct replay *r = list_owner(first, struct replay, session_node);
    if (!list_is_linked(&r->router_node))
        list_push_back(&router->replays, &r->router_node);
}

static void replay_free(struct replay *r)
{
    list_remove(&r->session_node);
    list_remove(&r->router_node);
    start_first(r->router, r->session);
    retain_walk_free(r->walk);
    free(r->seen);
    free(r);
}

void replay_start(struct router *router, const struct subscription *subscription,
                  struct bytes filter)
{
    struct replay *r = calloc(1, sizeof(*r) + filter.size);
    struct retain_walk *walk = retain_walk_new(filter);
    if (r == NULL || walk == NULL) {
        free(r);
        retain_walk_free(walk);
        log_warning("No memory to send retained messages to client %s.",
                    log_text(session_client_id(subscription->session)).text);
        return;
    }
    r->router = router;
    r->session = subscription->session;
    r->walk = walk;
    r->subscription_id = subscription->id;
    r->qos = subscription->qos;
    memcpy(r->text, filter.data, filter.size);
    r->filter = (struct bytes){r->text, filter.size};
    list_init(&r->session_node);
    list_init(&r->router_node);
    list_push_back(&subscription->session->replays, &r->session_node);
    start_first(router, subscription->session);
}

void replay_stop(struct session *session, struct bytes filter)
{
    list_for_each(node, &session->replays) {
        struct replay *r = list_owner(node, struct replay, session_node);
        if (filter.size == 0 || bytes_equal(filter, r->filter))
            replay_free(r);
    }
}

static uint64_t topic_hash(const struct router *router, struct bytes topic)
{
    return hash_short(region_key(router->region), topic);
}

static bool has_seen(const struct replay *r, uint64_t hash)
{
    for (unsigned i = 0; i < r->seen_count; i++)
        if (r->seen[i] == hash)
            return true;
    return false;
}

static void remember(struct replay *r, uint64_t hash)
{
    if (r->seen == NULL)
        r->seen = malloc(SEEN_MAX * sizeof(r->seen[0]));
    if (r->seen != NULL && r->seen_count < SEEN_MAX && !has_seen(r, hash))
        r->seen[r->seen_count++] = hash;
}

void replay_saw(struct session *session, struct bytes topic)
{
    list_for_each(node, &session->replays) {
        struct replay *r = list_owner(node, struct replay, session_node);
        remember(r, topic_hash(r->router, topic));
    }
}

static bool was_seen(const struct replay *r, struct bytes topic)
{
    return r->seen_count > 0 && has_seen(r, topic_hash(r->router, topic));
}

static void send_retained(struct replay *r, const struct retained *retained)
{
    struct publication p = {
        .topic = retained->topic,
        .properties = retained->properties,
        .payload = retained->payload,
        .message_id = retained->message_id,
        .expiry_at_ms = retained->expiry_at_ms,
        .qos = retained->qos,
        .retain = true,
        .origin = (uint16_t)r->router->self,
    };
    struct deliver_terms terms = {
        .qos = (enum qos)(r->qos < retained->qos || r->router->tunable->upgrade_outgoing_qos
                              ? r->qos
                              : retained->qos),
        .retain = true, /* [MQTT-3.3.1-8] */
        .ids = {&r->subscription_id, r->subscription_id != 0},
    };
    deliver_message(r->router, r->session, &p, &terms);
    publication_done(&p);
}

static bool is_expired(const struct replay *r, const struct retained *retained)
{
    return retained->expiry_at_ms != 0 && retained->expiry_at_ms <= loop_now_ms(r->router->loop);
}

/* SUBACK comes first; and the client may have no room for more just now. */
static bool must_wait(const struct replay *r)
{
    const struct session *s = r->session;
    return s->pending != NULL || hold_is_congested(r->router, s) || session_waiting_count(s) > 0;
}

/* True when there is more to do at once. */
static bool step(struct replay *r)
{
    for (unsigned i = 0; i < STEP_MESSAGES; i++) {
        if (must_wait(r))
            return false;
        struct retained retained;
        int error = retain_walk_next(r->router->live, r->walk, STEP_PROBES, &retained);
        if (error == -EAGAIN)
            return true;
        if (error != 0) {
            const struct session *session = r->session;
            replay_free(r);
            return !list_is_empty(&session->replays); /* the next one is at work now */
        }
        if (!is_expired(r, &retained) && !was_seen(r, retained.topic))
            send_retained(r, &retained);
    }
    return true;
}

bool replay_step(struct router *router)
{
    bool has_more = false;
    if (list_is_empty(&router->replays) || !router_renew(router))
        return false;
    list_for_each(node, &router->replays)
        has_more |= step(list_owner(node, struct replay, router_node));
    return has_more;
}
