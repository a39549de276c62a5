#include "worker/protocol/restore.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/mqtt/topic.h"
#include "worker/protocol/lifecycle.h"
#include "worker/protocol/will.h"
#include "worker/route/redistribute.h"
#include "worker/session/paging.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_QOS = 3, OPTION_NO_LOCAL = 1 << 2, OPTION_RETAIN_AS_PUBLISHED = 1 << 3 };

static struct bytes key_of(const void *item)
{
    const struct message *m = item;
    return (struct bytes){(const uint8_t *)&m->id, sizeof(m->id)};
}

void restore_init(struct restore *restore, struct protocol *protocol, bool is_successor)
{
    *restore = (struct restore){.protocol = protocol, .is_successor = is_successor};
    map_init(&restore->bodies, key_of, region_key(protocol->region));
}

static void drop_bodies(struct restore *restore)
{
    size_t cursor = 0;
    for (struct message *m; (m = map_next(&restore->bodies, &cursor)) != NULL;)
        message_put(m);
    map_done(&restore->bodies);
    map_init(&restore->bodies, key_of, region_key(restore->protocol->region));
    restore->body = NULL;
}

void restore_done(struct restore *restore)
{
    drop_bodies(restore);
    map_done(&restore->bodies);
}

static void no_memory(void)
{
    fatal("no memory for the sessions on disk");
}

/* -- bodies -- */

void restore_take_body(struct restore *restore, const struct record_message *message)
{
    uint64_t id = message->message_id;
    if (!restore->is_begun)
        return;
    if (message->client_id.size > 0) {
        if (!will_restore(restore->protocol, message))
            no_memory();
        return;
    }
    restore->body = map_get(&restore->bodies, (struct bytes){(const uint8_t *)&id, sizeof(id)});
    if (restore->body != NULL)
        return;
    struct message *m = message_new(message->topic, message->properties, message->payload);
    if (m == NULL)
        no_memory();
    m->id = id;
    m->expiry_at_ms = message->expiry_at_ms;
    m->qos = message->qos;
    m->retain = message->retain;
    if (map_put(&restore->bodies, m) != 0)
        no_memory();
    restore->body = m;
}

/* -- records -- */

/* Ids that QoS 1 deliveries had which the disk does not know of, and the client may:
 * begin somewhere else. */
static uint16_t first_id(const struct restore *restore, const struct record_journal *record)
{
    uint32_t run = restore->protocol->router->journal.run;
    return (uint16_t)((record->session ^ run * UINT64_C(40503)) % UINT16_MAX + 1);
}

static void take_session(struct restore *restore, const struct record_journal *record)
{
    struct session_table *sessions = &restore->protocol->sessions;
    restore->session = NULL;
    if (session_find(sessions, record->name) != NULL) {
        log_error("Session %" PRIu64 " on disk is a second one of client %s: it is left out.",
                  record->session, log_text(record->name).text);
        return;
    }
    struct session *s = session_new(sessions, record->name);
    if (s == NULL)
        no_memory();
    session_keep(s, record->session);
    s->expiry_s = record->expiry_s;
    s->version = record->version;
    s->inflight.next_id = first_id(restore, record);
    restore->was_connected = record->connected;
    s->seq_sent = record->seq;
    s->seq = record->seq; /* none at or before it is used again */
    if (record->leaving) {
        session_leave(s);
        redistribute_restored(restore->protocol->router, s);
    }
    if (!record->connected)
        s->expires_at_ms = record->end_at_ms == 0 ? UINT64_MAX : record->end_at_ms;
    restore->session = s;
}

static void take_subscription(struct restore *restore, const struct record_journal *record)
{
    const struct topic_limits limits = {UINT16_MAX, UINT16_MAX}; /* it was granted once */
    struct filters *filters = &restore->protocol->router->filters;
    struct topic_share share;
    if (topic_check_subscription(record->name, &limits, &share) != TOPIC_OK) {
        log_error("A subscription on disk is malformed: it is left out.");
        return;
    }
    struct subscription *s = filters_find(filters, restore->session, &share, record->name);
    if (s == NULL)
        s = filters_add(filters, restore->session, &share, record->name);
    if (s == NULL)
        no_memory();
    s->id = record->subscription_id;
    s->qos = record->options & OPTIONS_QOS;
    s->no_local = (record->options & OPTION_NO_LOCAL) != 0;
    s->retain_as_published = (record->options & OPTION_RETAIN_AS_PUBLISHED) != 0;
}

static void take_received(struct restore *restore, const struct record_journal *record)
{
    struct session *s = restore->session;
    if (session_is_receiving(s, record->packet_id))
        return;
    struct receiving *r = session_receive_begin(s, record->packet_id);
    if (r == NULL)
        no_memory();
    s->receiving_old = s->receiving_count;
    /* What a predecessor had put into rings to other workers is still there. */
    r->message_id = record->message_id;
    r->is_lost = record->message_id != 0 && (record->unsure || !restore->is_successor);
}

static uint8_t state_of(const struct record_journal *record)
{
    if (record->packet_id == 0)
        return DELIVERY_QUEUED;
    if (record->released)
        return DELIVERY_WAITS_PUBCOMP;
    return record->qos == QOS_EXACTLY_ONCE ? DELIVERY_WAITS_PUBREC : DELIVERY_WAITS_PUBACK;
}

static struct delivery *new_delivery(const struct restore *restore,
                                     const struct record_journal *record)
{
    struct message *m = record->released ? NULL : restore->body;
    uint32_t *list = record->ids.size == 0 ? NULL : malloc(record->ids.size);
    if (list != NULL)
        memcpy(list, record->ids.data, record->ids.size);
    struct subscription_ids ids = {list, (uint32_t)(record->ids.size / sizeof(*list))};
    struct delivery *d = list == NULL && ids.count > 0
                             ? NULL
                             : delivery_new(m, (enum qos)record->qos, record->retain, &ids);
    free(list);
    if (d == NULL)
        no_memory();
    d->share = record->shared ? filters_share(&restore->protocol->router->filters, &record->share)
                              : NULL;
    d->seq = record->seq;
    d->state = state_of(record) & 3U;
    /* At QoS 1 it may have gone out before that was on disk; and so it is at the next restart. */
    if (restore->was_connected)
        restore->session->seq_sent = record->seq;
    bool may_be_sent = record->seq <= restore->session->seq_sent;
    d->sent = record->packet_id != 0 || (record->qos == QOS_AT_LEAST_ONCE && may_be_sent);
    if (m != NULL)
        m->kept++;
    return d;
}

static void take_had(struct restore *restore, const struct record_journal *record)
{
    if (!had_add(&restore->protocol->router->had, record->session, record->message_id))
        no_memory();
}

static void take_delivery(struct restore *restore, const struct record_journal *record)
{
    struct session *s = restore->session;
    if (!record->released && (restore->body == NULL || restore->body->id != record->message_id)) {
        log_error("A message on disk for client %s has no body: it is left out.",
                  log_text(session_client_id(s)).text);
        return;
    }
    struct delivery *d = new_delivery(restore, record);
    if (record->unsure)
        take_had(restore, record);
    if (s->seq < d->seq)
        s->seq = d->seq;
    if (s->is_gone)
        redistribute_delivery(s, d);
    else if (record->packet_id == 0)
        session_enqueue(s, d);
    else if (!session_restore_in_flight(s, d, record->packet_id))
        no_memory();
}

/* Of the deliveries in flight, which are the first. */
static uint64_t last_seq(const struct session *s)
{
    if (s->is_gone)
        return s->seq;
    const struct list_node *order = &s->inflight.order;
    return list_is_empty(order) ? 0 : list_owner(order->prev, struct delivery, node)->seq;
}

/* What waits behind the deliveries that came, and stays on disk. */
static void take_queued(struct restore *restore, const struct record_journal *record)
{
    struct session *s = restore->session;
    struct paging *p = s->paging == NULL ? paging_begin(s, last_seq(s)) : s->paging;
    if (p == NULL)
        no_memory();
    paging_add(p, record->count, record->bytes);
    p->has_shared |= record->shared;
    if (s->seq < record->seq)
        s->seq = record->seq;
    if (restore->was_connected)
        s->seq_sent = record->seq;
}

static void take_own(struct restore *restore, const struct record_journal *record)
{
    if (restore->session == NULL || restore->session->number != record->session)
        return;
    bool is_wanted = !restore->session->is_gone || record->kind == RECORD_ENQUEUE ||
                     record->kind == RECORD_QUEUED;
    if (!is_wanted)
        return;
    if (record->kind == RECORD_SUBSCRIBE)
        take_subscription(restore, record);
    else if (record->kind == RECORD_RECEIVED)
        take_received(restore, record);
    else if (record->kind == RECORD_ENQUEUE)
        take_delivery(restore, record);
    else if (record->kind == RECORD_QUEUED)
        take_queued(restore, record);
}

/* -- begin and end -- */

static void begin(struct restore *restore, const struct record_journal *record)
{
    struct router *router = restore->protocol->router;
    drop_bodies(restore);
    restore->session = NULL;
    restore->is_begun = journal_restore_begin(&router->journal, record);
    if (!restore->is_begun)
        return;
    redistribute_done(router);
    lifecycle_free_all(restore->protocol);
    had_done(&router->had);
    router_use_run(router, record->run);
}

static void end(struct restore *restore)
{
    const struct protocol *protocol = restore->protocol;
    size_t count = protocol->sessions.by_client_id.count;
    restore->is_begun = false;
    drop_bodies(restore);
    restore->subscribed = protocol->router->announcer.serial;
    journal_restore_end(&protocol->router->journal);
    pass_on_start(protocol->router);
    if (count > 0)
        log_info("Worker %u: %zu sessions are back.", protocol->router->self, count);
}

void restore_take(struct restore *restore, const struct record_journal *record)
{
    if (record->kind == RECORD_RESTORE_BEGIN)
        begin(restore, record);
    else if (!restore->is_begun)
        return; /* for a predecessor, or once more */
    else if (record->kind == RECORD_RESTORE_END)
        end(restore);
    else if (record->kind == RECORD_SESSION)
        take_session(restore, record);
    else if (record->kind == RECORD_HAD)
        take_had(restore, record);
    else if (record->kind != RECORD_KEEP_WILL)
        take_own(restore, record);
}

bool restore_is_complete(const struct restore *restore)
{
    const struct router *router = restore->protocol->router;
    return router->journal.is_restored && router->announcer.confirmed >= restore->subscribed;
}
