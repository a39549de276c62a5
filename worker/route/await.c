#include "worker/route/await.h"

#include "common/base/check.h"
#include "worker/net/conn.h"
#include "worker/route/deliver.h"
#include "worker/route/entry.h"

#include <stdlib.h>

enum { ROOM_MIN = 16 };

void await_done(struct await *await)
{
    free(await->sessions);
    *await = (struct await){0};
}

static void add(struct await *await, struct session *session)
{
    if (session->is_awaited)
        return;
    if (await->count == await->room) {
        unsigned room = await->room == 0 ? ROOM_MIN : await->room * 2;
        struct session **sessions = realloc(await->sessions, room * sizeof(sessions[0]));
        if (sessions == NULL)
            fatal("no memory for deliveries that wait for the disk");
        await->sessions = sessions;
        await->room = room;
    }
    await->sessions[await->count++] = session;
    session->is_awaited = true;
}

static void take_out(struct await *await, unsigned index)
{
    await->sessions[index]->is_awaited = false;
    await->sessions[index] = await->sessions[--await->count];
}

static bool is_release(const struct delivery *d)
{
    return d->state == DELIVERY_WAITS_PUBCOMP;
}

/* At QoS 1 only the order is to be kept. */
static bool is_kept(const struct router *router, const struct delivery *d)
{
    return d->qos == QOS_AT_LEAST_ONCE || entry_is_kept(&router->journal, d);
}

/* Does the PUBLISH that was put in flight before this one still wait? */
static bool waits_before(const struct session *session, const struct delivery *delivery)
{
    struct list_node *node = delivery->node.prev;
    for (; node != &session->inflight.order; node = node->prev) {
        const struct delivery *d = list_owner(node, struct delivery, node);
        if (!is_release(d))
            return d->must_wait;
    }
    return false;
}

bool await_delivery(struct router *router, struct session *session, struct delivery *delivery)
{
    bool has_turn = is_release(delivery) || !session->is_awaited ||
                    !waits_before(session, delivery);
    if (has_turn && is_kept(router, delivery))
        return false;
    delivery->must_wait = 1;
    add(&router->await, session);
    return true;
}

void await_forget(struct router *router, struct session *session)
{
    struct await *await = &router->await;
    for (unsigned i = 0; session->is_awaited; i++) {
        check(i < await->count);
        if (await->sessions[i] == session)
            take_out(await, i);
    }
}

static bool can_send(const struct session *session)
{
    return session->conn != NULL && session->conn->state == CONN_OPEN;
}

static void send_one(struct router *router, struct session *session, struct delivery *d)
{
    d->must_wait = 0;
    if (is_release(d))
        deliver_pubrel(session, d);
    else
        deliver_begin(router, session, d);
}

/* True when more of it waits. */
static bool send_kept(struct router *router, struct session *session)
{
    bool publish_waits = false;
    bool release_waits = false;
    list_for_each(node, &session->inflight.order) {
        struct delivery *d = list_owner(node, struct delivery, node);
        bool *waits = is_release(d) ? &release_waits : &publish_waits;
        if (!d->must_wait || !can_send(session))
            continue;
        if (*waits || !is_kept(router, d))
            *waits = true;
        else
            send_one(router, session, d);
    }
    return publish_waits || release_waits;
}

void await_step(struct router *router)
{
    struct await *await = &router->await;
    if (router->journal.confirmed == await->seen)
        return;
    await->seen = router->journal.confirmed;
    for (unsigned i = await->count; i > 0; i--) {
        struct session *session = await->sessions[i - 1];
        if (!send_kept(router, session))
            take_out(await, i - 1);
        deliver_resume(router, session); /* what could not be sent made room */
    }
}
