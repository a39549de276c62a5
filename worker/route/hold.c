#include "worker/route/hold.h"

#include "shm/record.h"
#include "worker/net/conn.h"

#include <stdlib.h>

struct held {
    uint64_t at_ms; /* of the last HOLD: it ends by itself */
    uint32_t publisher;
    uint16_t origin;
};

struct holding {
    uint32_t count;
    uint32_t capacity;
    struct held held[];
};

/* Parts of what may wait: the rest takes up what is already in the rings. */
enum {
    CONGESTED_SHARE = 4,
    CONGESTED_QUEUE_SHARE = 8,
    DRAINED_QUEUE_SHARE = 16,
    QUEUE_DEFAULT = 1000
};

/* Without a limit on the queue there is still one on what a burst may fill. */
static uint32_t queue_max_of(const struct router *router)
{
    uint32_t max = router->tunable->queued_messages_max;
    return max == 0 ? QUEUE_DEFAULT : max;
}

bool hold_is_congested(const struct router *router, const struct session *session)
{
    if (session->conn == NULL)
        return false;
    if (conn_backlog(session->conn) > router->tunable->output_buffer_max / CONGESTED_SHARE)
        return true;
    return session_waiting_count(session) > queue_max_of(router) / CONGESTED_QUEUE_SHARE;
}

/* False when the ring has no room. These records may overtake what waits for the
 * ring: they stand for nothing that was sent before. */
static bool tell(struct router *router, const struct held *held, bool hold)
{
    if (held->origin == router->self) {
        if (hold)
            publishers_hold(&router->publishers, held->publisher);
        else
            publishers_unhold(&router->publishers, held->publisher);
        return true;
    }
    if (!record_put_hold(&router->mesh, held->origin, hold, held->publisher))
        return false;
    if (hold) /* every message until it arrives is one more to keep */
        mesh_publish_to(&router->mesh, held->origin);
    return true;
}

static struct held *find_held(const struct session *session, unsigned origin, uint32_t publisher)
{
    struct holding *h = session->holding;
    for (uint32_t i = h == NULL ? 0 : h->count; i > 0; i--)
        if (h->held[i - 1].publisher == publisher && h->held[i - 1].origin == origin)
            return &h->held[i - 1];
    return NULL;
}

static bool make_room(struct session *session)
{
    struct holding *h = session->holding;
    if (h != NULL && h->count < h->capacity)
        return true;
    uint32_t capacity = h == NULL ? 8 : h->capacity * 2;
    if (capacity > HOLD_PUBLISHERS_MAX)
        return false;
    struct holding *grown = realloc(h, sizeof(*h) + capacity * sizeof(h->held[0]));
    if (grown == NULL)
        return false;
    if (h == NULL)
        grown->count = 0;
    grown->capacity = capacity;
    session->holding = grown;
    return true;
}

/* Lets all go on whom we can tell; the others stay for hold_retry(). */
static void let_go(struct router *router, struct session *session)
{
    struct holding *h = session->holding;
    if (h == NULL)
        return;
    uint32_t left = 0;
    for (uint32_t i = 0; i < h->count; i++)
        if (!tell(router, &h->held[i], false))
            h->held[left++] = h->held[i];
    h->count = left;
    if (left > 0) {
        if (!list_is_linked(&session->hold_node))
            list_push_back(&router->holds, &session->hold_node);
        return;
    }
    list_remove(&session->hold_node);
    free(h);
    session->holding = NULL;
}

/* Has it had its time, or stopped taking anything? */
static bool is_slow(struct session *session, uint64_t now_ms)
{
    if (session->congested_since_ms == 0) {
        session->congested_since_ms = now_ms;
        session->progress_at_ms = now_ms;
        session->progress = session->conn->sent_total;
    }
    if (now_ms - session->congested_since_ms > HOLD_GRACE_MS)
        return true;
    if (now_ms - session->progress_at_ms < HOLD_STALL_MS)
        return false;
    bool is_stalled = session->conn->sent_total == session->progress;
    session->progress_at_ms = now_ms;
    session->progress = session->conn->sent_total;
    return is_stalled;
}

void hold_publisher(struct router *router, struct session *session, unsigned origin,
                    uint32_t publisher)
{
    uint64_t now = loop_now_ms(router->loop);
    if (session->is_slow || publisher == 0)
        return;
    if (is_slow(session, now)) {
        session->is_slow = true;
        let_go(router, session);
        return;
    }
    struct held *known = find_held(session, origin, publisher);
    if (known != NULL && now - known->at_ms < PUBLISHER_HOLD_MAX_MS)
        return; /* it is paused: what comes was under way */
    if (known == NULL && !make_room(session))
        return;
    struct held held = {now, publisher, (uint16_t)origin};
    if (!tell(router, &held, true))
        return; /* its next message tries again */
    if (known != NULL)
        *known = held;
    else
        session->holding->held[session->holding->count++] = held;
}

void hold_briefly(struct router *router, unsigned origin, uint32_t publisher)
{
    struct held held = {.publisher = publisher, .origin = (uint16_t)origin};
    if (publisher != 0)
        (void)tell(router, &held, true); /* where it has no room, the next message tries again */
}

static bool has_drained(const struct router *router, const struct session *session)
{
    if (session->conn != NULL && session->conn->over_low_water)
        return false;
    return session_waiting_count(session) <= queue_max_of(router) / DRAINED_QUEUE_SHARE;
}

void hold_update(struct router *router, struct session *session)
{
    if (session->congested_since_ms == 0 || !has_drained(router, session))
        return;
    let_go(router, session);
    uint64_t now = loop_now_ms(router->loop);
    if (!session->is_slow)
        session->congested_since_ms = 0;
    else if (now - session->congested_since_ms > HOLD_GRACE_MS + HOLD_PENALTY_MS) {
        session->is_slow = false;
        session->congested_since_ms = 0;
    }
}

void hold_retry(struct router *router)
{
    list_for_each(node, &router->holds) {
        struct session *session = list_owner(node, struct session, hold_node);
        if (session->is_slow || has_drained(router, session))
            let_go(router, session);
    }
}

void hold_release(struct router *router, struct session *session)
{
    let_go(router, session);
    list_remove(&session->hold_node);
    free(session->holding); /* whom we could not tell goes on by itself, later */
    session->holding = NULL;
    session->congested_since_ms = 0;
    session->is_slow = false;
}
