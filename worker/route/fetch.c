#include "worker/route/fetch.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/net/conn.h"
#include "worker/route/deliver.h"
#include "worker/route/entry.h"
#include "worker/session/paging.h"

#include <stdlib.h>
#include <string.h>

enum { DROP_EXPIRED_MS = 1000 };

void fetch_init(struct fetch *fetch)
{
    *fetch = (struct fetch){0};
    list_init(&fetch->waiting);
    list_init(&fetch->open);
}

void fetch_done(struct fetch *fetch)
{
    message_put(fetch->body);
    fetch->body = NULL;
}

static bool is_online(const struct session *session)
{
    return session->conn != NULL && session->conn->state == CONN_OPEN;
}

bool fetch_must_page(const struct session *session, bool is_shared)
{
    if (session->number == 0)
        return false;
    if (session->paging != NULL || (session->conn == NULL && !is_shared))
        return true;
    return session->queued_count >= FETCH_PAGE_COUNT || session->queued_bytes >= FETCH_PAGE_BYTES;
}

/* -- asking -- */

static bool may_ask(const struct fetch *fetch)
{
    unsigned count = 0;
    list_for_each(node, &fetch->open)
        count++;
    return count < RECORD_FETCHES_MAX;
}

/* How many deliveries there is room for; 0: it is not time to ask. */
static uint32_t room_of(const struct session *session)
{
    bool has_room = session->queued_count <= FETCH_PAGE_COUNT / 2 &&
                    session->queued_bytes <= FETCH_PAGE_BYTES / 2;
    bool is_wanted = is_online(session) || session->is_gone;
    return is_wanted && has_room ? FETCH_PAGE_COUNT - session->queued_count : 0;
}

static void ask(struct router *router, struct paging *paging, uint32_t count)
{
    struct fetch *fetch = &router->fetch;
    struct record_journal record = {
        .kind = RECORD_FETCH,
        .session = paging->session->number,
        .seq = paging->after,
        .count = count,
    };
    if (++fetch->requests == 0)
        fetch->requests = 1;
    record.serial = fetch->requests;
    paging->request = fetch->requests;
    paging->asked_to = paging->session->seq;
    list_remove(&paging->node);
    list_push_back(&fetch->open, &paging->node);
    journal_ask(&router->journal, &record);
}

/* The answer came, or is not wanted any more. */
static void close_request(struct paging *paging)
{
    if (paging->request == 0)
        return;
    paging->request = 0;
    list_remove(&paging->node);
}

void fetch_update(struct router *router, struct session *session)
{
    struct paging *p = session->paging;
    if (p == NULL || p->request != 0 || list_is_linked(&p->node) || room_of(session) == 0)
        return;
    if (may_ask(&router->fetch))
        ask(router, p, room_of(session));
    else
        list_push_back(&router->fetch.waiting, &p->node);
}

void fetch_step(struct router *router)
{
    struct fetch *fetch = &router->fetch;
    while (!list_is_empty(&fetch->waiting) && may_ask(fetch)) {
        struct paging *p = list_owner(list_first(&fetch->waiting), struct paging, node);
        list_remove(&p->node);
        fetch_update(router, p->session);
    }
}

void fetch_repeat(struct router *router)
{
    struct fetch *fetch = &router->fetch;
    struct list_node open;
    list_init(&open);
    list_take_all(&open, &fetch->open);
    list_for_each(node, &open) {
        struct paging *p = list_owner(node, struct paging, node);
        close_request(p);
        fetch_update(router, p->session);
    }
}

void fetch_drop_expired(struct router *router, struct session *session)
{
    struct paging *p = session->paging;
    uint64_t now = loop_now_ms(router->loop);
    if (p == NULL || p->request != 0 || !may_ask(&router->fetch))
        return;
    if (p->asked_at_ms != 0 && now - p->asked_at_ms < DROP_EXPIRED_MS)
        return;
    p->asked_at_ms = now;
    ask(router, p, 0);
}

/* -- out of memory -- */

/* Is the last delivery of the queue on disk, so that it can be had from there? */
static bool is_kept(const struct router *router, const struct session *session)
{
    if (list_is_empty(&session->queue))
        return false;
    const struct delivery *d = list_owner(session->queue.prev, struct delivery, node);
    return d->seq != 0 && d->share == NULL && entry_is_kept(&router->journal, d);
}

void fetch_page_out(struct router *router, struct session *session)
{
    if (session->number == 0 || !is_kept(router, session))
        return;
    if (session->paging != NULL)
        close_request(session->paging);
    while (is_kept(router, session)) {
        struct delivery *d = list_owner(session->queue.prev, struct delivery, node);
        struct paging *p = session->paging;
        if (p == NULL)
            p = paging_begin(session, d->seq - 1);
        if (p == NULL)
            return; /* no memory to save memory */
        p->after = d->seq - 1;
        if (d->sent && session->seq_sent < d->seq)
            session->seq_sent = d->seq;
        paging_add(p, 1, message_size(d->message));
        delivery_free(session_take_last(session));
    }
}

/* -- answers -- */

void fetch_take_body(struct router *router, const struct record_message *message)
{
    struct fetch *fetch = &router->fetch;
    message_put(fetch->body);
    fetch->body = message_new(message->topic, message->properties, message->payload);
    if (fetch->body == NULL)
        fatal("no memory for a message from the disk");
    fetch->body->id = message->message_id;
    fetch->body->expiry_at_ms = message->expiry_at_ms;
    fetch->body->qos = message->qos;
    fetch->body->retain = message->retain;
}

static void take_delivery(struct router *router, struct paging *p, const struct record_journal *r)
{
    struct message *m = router->fetch.body;
    uint32_t *list = r->ids.size == 0 ? NULL : malloc(r->ids.size);
    struct subscription_ids ids = {list, (uint32_t)(r->ids.size / sizeof(*list))};
    check(m != NULL && m->id == r->message_id && r->seq > p->after);
    if (list != NULL)
        memcpy(list, r->ids.data, r->ids.size);
    struct delivery *d =
        list == NULL && ids.count > 0 ? NULL : delivery_new(m, (enum qos)r->qos, r->retain, &ids);
    free(list);
    if (d == NULL)
        fatal("no memory for a message from the disk");
    d->share = r->shared ? filters_share(&router->filters, &r->share) : NULL;
    d->seq = r->seq;
    d->sent = r->qos == QOS_AT_LEAST_ONCE && r->seq <= p->session->seq_sent;
    m->kept++;
    if (r->unsure && !had_add(&router->had, r->session, r->message_id))
        fatal("no memory for a message from the disk");
    p->after = r->seq;
    paging_subtract(p, 1, message_size(m));
    session_enqueue(p->session, d);
}

static void take_end(struct router *router, struct paging *p, const struct record_journal *r)
{
    struct session *session = p->session;
    close_request(p);
    paging_subtract(p, r->count, r->bytes);
    stats_add(router->stats, STAT_publish_dropped, r->count);
    p->after = r->seq;
    if (r->is_all && p->after < p->asked_to)
        p->after = p->asked_to;
    if (p->after == session->seq)
        paging_end(session);
    if (is_online(session))
        deliver_resume(router, session);
}

void fetch_take(struct router *router, const struct record_journal *record)
{
    struct paging *p = paging_find(router->sessions, record->session);
    if (p == NULL)
        return; /* it ended */
    if (record->kind == RECORD_NOT_QUEUED) {
        if (record->seq > p->after)
            paging_subtract(p, 1, record->bytes);
    } else if (record->serial == p->request) {
        if (record->kind == RECORD_ENQUEUE)
            take_delivery(router, p, record);
        else
            take_end(router, p, record);
    }
}
