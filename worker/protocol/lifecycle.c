#include "worker/protocol/lifecycle.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/protocol/keep.h"
#include "worker/protocol/pending.h"
#include "worker/protocol/will.h"
#include "worker/route/backlog.h"
#include "worker/route/hold.h"
#include "worker/route/redistribute.h"
#include "worker/route/replay.h"

#include <stdlib.h>

void lifecycle_detach(struct protocol *protocol, struct session *session)
{
    check(session->conn != NULL);
    hold_release(protocol->router, session);
    await_forget(protocol->router, session);
    backlog_forget(session);
    replay_stop(session, (struct bytes){NULL, 0});
    if (session->pending != NULL)
        session->pending->drop(session->pending);
    if (!publishers_leave(session->publisher))
        session->publisher = NULL;
    session_forget_connection(session);
    session->conn->session = NULL;
    session->conn = NULL;
    stats_subtract(protocol->stats, STAT_clients_connected, 1);
}

static struct wheel *wheel_of(const struct protocol *protocol)
{
    return loop_wheel(protocol->router->loop);
}

/* With what is no part of it. */
static void free_alone(struct session *session)
{
    publishers_remove(session->publisher);
    session->publisher = NULL;
    session_free(session);
}

void lifecycle_end_session(struct protocol *protocol, struct session *session)
{
    wheel_stop(wheel_of(protocol), &session->timer);
    /* First, so that a shared group does not pick it, be it for its own will. */
    filters_remove_all(&protocol->router->filters, session);
    bool is_left = redistribute_session(protocol->router, session);
    will_publish(protocol, session);
    keep_session_end(protocol, session);
    publishers_remove(session->publisher);
    session->publisher = NULL;
    if (is_left)
        session_leave(session);
    else
        session_free(session);
}

/* When something is to happen to an offline session next. */
static void start_timer(struct protocol *protocol, struct session *session, uint64_t will_at_ms)
{
    uint64_t at_ms = session->will != NULL && will_at_ms < session->expires_at_ms
                         ? will_at_ms
                         : session->expires_at_ms;
    if (at_ms != UINT64_MAX)
        wheel_start(wheel_of(protocol), &session->timer, at_ms);
}

void lifecycle_wait_offline(struct protocol *protocol, struct session *session)
{
    uint64_t now = loop_now_ms(protocol->router->loop);
    if (!session_is_persistent(session)) {
        lifecycle_end_session(protocol, session);
        return;
    }
    session->expires_at_ms =
        session->expiry_s == SESSION_NEVER_EXPIRES ? UINT64_MAX : now + session->expiry_s * 1000ULL;
    fetch_page_out(protocol->router, session);
    (void)keep_session(protocol, session);
    if (session->will != NULL && session->will->delay_s == 0)
        will_publish(protocol, session);
    if (session->is_remnant && session->will == NULL) {
        lifecycle_end_session(protocol, session);
        return;
    }
    uint64_t will_at_ms = session->will == NULL ? 0 : now + session->will->delay_s * 1000ULL;
    start_timer(protocol, session, will_at_ms);
}

/* When the delay of a will is over that was running already: it began when the
 * session went offline. */
static uint64_t due_again_ms(const struct session *session, uint64_t now)
{
    uint64_t delay_ms = session->will->delay_s * 1000ULL;
    if (delay_ms == 0 || session->expires_at_ms == UINT64_MAX)
        return now + delay_ms; /* when it began is not known, or does not matter */
    uint64_t interval_ms = session->expiry_s * 1000ULL;
    return session->expires_at_ms < interval_ms ? now
                                                : session->expires_at_ms - interval_ms + delay_ms;
}

static void wait_again(struct protocol *protocol, struct session *session)
{
    uint64_t now = loop_now_ms(protocol->router->loop);
    will_publish_older(protocol, session);
    if (session->expires_at_ms == 0) {
        lifecycle_wait_offline(protocol, session);
        return;
    }
    /* Before the client can be back, which would take it for one that is not due yet. */
    if (session->will != NULL && due_again_ms(session, now) <= now)
        will_publish(protocol, session);
    start_timer(protocol, session, session->will == NULL ? UINT64_MAX : due_again_ms(session, now));
}

void lifecycle_on_timer(struct session *session)
{
    struct protocol *protocol = session->table->owner;
    uint64_t now = loop_now_ms(protocol->router->loop);
    if (session->expires_at_ms <= now || session->is_remnant) {
        stats_add(protocol->stats, STAT_clients_expired, session->is_remnant ? 0 : 1);
        lifecycle_end_session(protocol, session);
        return;
    }
    will_publish(protocol, session);
    start_timer(protocol, session, UINT64_MAX);
}

void lifecycle_connection_ended(struct protocol *protocol, struct session *session)
{
    lifecycle_detach(protocol, session);
    if (session_is_persistent(session))
        filters_update_session(&protocol->router->filters, session);
    lifecycle_wait_offline(protocol, session);
}

static void free_session(struct protocol *protocol, struct session *session)
{
    wheel_stop(wheel_of(protocol), &session->timer);
    if (session->conn != NULL)
        lifecycle_detach(protocol, session);
    session_set_will(session, NULL);
    filters_remove_all(&protocol->router->filters, session);
    free_alone(session);
    stats_add(protocol->stats, STAT_stop_steps, 1);
}

/* A map can't be walked while items leave it. */
static void for_all(struct protocol *protocol, void (*act)(struct protocol *, struct session *))
{
    const struct map *map = &protocol->sessions.by_client_id;
    size_t count = 0;
    size_t cursor = 0;
    struct session **all = calloc(map->count + 1, sizeof(struct session *));
    if (all == NULL)
        fatal("no memory for the list of sessions");
    for (struct session *s; (s = map_next(map, &cursor)) != NULL;)
        all[count++] = s;
    for (size_t i = 0; i < count; i++)
        act(protocol, all[i]);
    free(all);
}

void lifecycle_free_all(struct protocol *protocol)
{
    for_all(protocol, free_session);
}

void lifecycle_wait_again(struct protocol *protocol)
{
    for_all(protocol, wait_again);
}
