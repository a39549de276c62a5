#include "worker/session/session.h"

#include "common/base/check.h"
#include "worker/session/paging.h"

#include <stdlib.h>
#include <string.h>

static struct bytes key_of(const void *item)
{
    return session_client_id(item);
}

static struct bytes number_of(const void *item)
{
    const struct paging *p = item;
    return (struct bytes){(const uint8_t *)&p->session->number, sizeof(p->session->number)};
}

void session_table_init(struct session_table *table, const struct hash_key *key, struct stats stats)
{
    *table = (struct session_table){.stats = stats};
    list_init(&table->kept);
    map_init(&table->by_client_id, key_of, key);
    map_init(&table->paged, number_of, key);
}

struct session *session_find(const struct session_table *table, struct bytes client_id)
{
    return map_get(&table->by_client_id, client_id);
}

static void on_timer(struct wheel_timer *timer, void *context)
{
    (void)context;
    struct session *s = list_owner(timer, struct session, timer);
    s->table->on_timer(s);
}

struct session *session_new(struct session_table *table, struct bytes client_id)
{
    check(client_id.size > 0 && client_id.size <= UINT16_MAX);
    struct session *s = calloc(1, sizeof(*s) + client_id.size);
    if (s == NULL)
        return NULL;
    s->table = table;
    s->client_id_size = (uint16_t)client_id.size;
    memcpy(s->client_id, client_id.data, client_id.size);
    list_init(&s->subscriptions);
    list_init(&s->replays);
    list_init(&s->queue);
    list_init(&s->hold_node);
    list_init(&s->backlog_node);
    list_init(&s->kept_node);
    inflight_init(&s->inflight);
    wheel_timer_init(&s->timer, on_timer);
    if (map_put(&table->by_client_id, s) != 0) {
        free(s);
        return NULL;
    }
    stats_add(table->stats, STAT_clients_total, 1);
    return s;
}

static void count_stored(const struct session *s, const struct delivery *d, bool add)
{
    uint64_t size = d->message == NULL ? 0 : message_size(d->message);
    if (add) {
        stats_add(s->table->stats, STAT_stored_messages, 1);
        stats_add(s->table->stats, STAT_stored_bytes, size);
    } else {
        stats_subtract(s->table->stats, STAT_stored_messages, 1);
        stats_subtract(s->table->stats, STAT_stored_bytes, size);
    }
}

void session_keep(struct session *session, uint64_t number)
{
    session->number = number;
    list_push_back(&session->table->kept, &session->kept_node);
}

static void keep_no_more(struct session *session)
{
    struct session_table *table = session->table;
    if (table->repeat_at == &session->kept_node)
        table->repeat_at = session->kept_node.next;
    list_remove(&session->kept_node);
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    check(session->conn == NULL);
    check(session->pending == NULL && session->publisher == NULL);
    check(session->holding == NULL && session->leaving == NULL);
    check(list_is_empty(&session->subscriptions));
    check(list_is_empty(&session->replays));
    check(!wheel_timer_is_running(&session->timer));
    for (struct delivery *d; (d = session_dequeue(session)) != NULL;)
        delivery_free(d);
    paging_end(session);
    list_for_each(node, &session->inflight.order)
        count_stored(session, list_owner(node, struct delivery, node), false);
    inflight_done(&session->inflight);
    session_set_will(session, NULL);
    session_forget_connection(session);
    free(session->receiving);
    keep_no_more(session);
    if (!session->is_gone)
        session_leave(session);
    free(session);
}

void session_leave(struct session *session)
{
    check(map_remove(&session->table->by_client_id, session_client_id(session)) == session);
    stats_subtract(session->table->stats, STAT_clients_total, 1);
    session->is_gone = true;
}

struct bytes session_client_id(const struct session *session)
{
    return (struct bytes){session->client_id, session->client_id_size};
}

bool session_is_persistent(const struct session *session)
{
    return session->expiry_s != 0;
}

void session_forget_connection(struct session *session)
{
    session->receiving_old = session->receiving_count;
    alias_in_free(session->alias_in);
    alias_out_free(session->alias_out);
    session->alias_in = NULL;
    session->alias_out = NULL;
}

bool session_put_in_flight(struct session *session, struct delivery *delivery)
{
    if (!inflight_take(&session->inflight, delivery))
        return false;
    count_stored(session, delivery, true);
    return true;
}

bool session_restore_in_flight(struct session *session, struct delivery *delivery,
                               uint16_t packet_id)
{
    if (!inflight_put(&session->inflight, delivery, packet_id))
        return false;
    count_stored(session, delivery, true);
    return true;
}

void session_release(struct session *session, struct delivery *delivery)
{
    if (delivery->must_resend) {
        delivery->must_resend = 0;
        session->resend_count--;
    }
    delivery->state = DELIVERY_WAITS_PUBCOMP;
    count_stored(session, delivery, false);
    if (delivery->seq != 0)
        delivery->message->kept--;
    message_put(delivery->message);
    delivery->message = NULL;
    count_stored(session, delivery, true);
    list_remove(&delivery->node);
    list_push_back(&session->inflight.order, &delivery->node);
}

void session_settle(struct session *session, struct delivery *delivery)
{
    if (delivery->must_resend)
        session->resend_count--;
    count_stored(session, delivery, false);
    inflight_drop(&session->inflight, delivery);
}

void session_enqueue(struct session *session, struct delivery *delivery)
{
    list_push_back(&session->queue, &delivery->node);
    session->queued_count++;
    session->queued_bytes += message_size(delivery->message);
    count_stored(session, delivery, true);
}

static void take_from_queue(struct session *session, struct delivery *d)
{
    list_remove(&d->node);
    session->queued_count--;
    session->queued_bytes -= message_size(d->message);
    count_stored(session, d, false);
}

struct delivery *session_dequeue(struct session *session)
{
    struct list_node *node = list_first(&session->queue);
    if (node == NULL)
        return NULL;
    struct delivery *d = list_owner(node, struct delivery, node);
    take_from_queue(session, d);
    return d;
}

struct delivery *session_take_last(struct session *session)
{
    check(!list_is_empty(&session->queue));
    struct delivery *d = list_owner(session->queue.prev, struct delivery, node);
    take_from_queue(session, d);
    return d;
}

uint32_t session_waiting_count(const struct session *session)
{
    return session->queued_count + (session->paging == NULL ? 0 : session->paging->count);
}

void session_take_queued(struct session *session, const struct share *share, struct list_node *list)
{
    list_for_each(node, &session->queue) {
        struct delivery *d = list_owner(node, struct delivery, node);
        if (d->share == NULL || d->qos == 0 || (share != NULL && d->share != share))
            continue;
        take_from_queue(session, d);
        list_push_back(list, &d->node);
    }
}

void session_take_in_flight(struct session *session, struct list_node *list)
{
    list_for_each(node, &session->inflight.order) {
        struct delivery *d = list_owner(node, struct delivery, node);
        bool is_begun = d->sent || d->message == NULL;
        if (d->share == NULL || (d->qos == QOS_EXACTLY_ONCE && is_begun))
            continue;
        if (d->must_resend)
            session->resend_count--;
        count_stored(session, d, false);
        inflight_remove(&session->inflight, d);
        list_push_back(list, &d->node);
    }
}

bool session_has_room(const struct session *session, uint32_t size, uint32_t messages_max,
                      uint64_t bytes_max)
{
    uint64_t paged_bytes = session->paging == NULL ? 0 : session->paging->bytes;
    if (messages_max != 0 && session_waiting_count(session) >= messages_max)
        return false;
    return bytes_max == 0 || session->queued_bytes + paged_bytes + size <= bytes_max;
}

static struct delivery *find_message(const struct list_node *list, uint64_t message_id)
{
    list_for_each(node, list) {
        struct delivery *d = list_owner(node, struct delivery, node);
        if (d->message != NULL && d->message->id == message_id)
            return d;
    }
    return NULL;
}

struct delivery *session_find_message(const struct session *session, uint64_t message_id)
{
    struct delivery *d = find_message(&session->queue, message_id);
    return d != NULL ? d : find_message(&session->inflight.order, message_id);
}

bool session_window_is_open(const struct session *session)
{
    return session->inflight.count - session->resend_count < session->window;
}

static unsigned find_receiving(const struct session *s, uint16_t packet_id)
{
    unsigned i = 0;
    while (i < s->receiving_count && s->receiving[i].packet_id != packet_id)
        i++;
    return i;
}

bool session_is_receiving(const struct session *session, uint16_t packet_id)
{
    return find_receiving(session, packet_id) < session->receiving_count;
}

struct receiving *session_receiving(const struct session *session, uint16_t packet_id)
{
    unsigned i = find_receiving(session, packet_id);
    return i == session->receiving_count ? NULL : &session->receiving[i];
}

struct receiving *session_receive_begin(struct session *session, uint16_t packet_id)
{
    if (session->receiving_count == session->receiving_capacity) {
        unsigned capacity = session->receiving_capacity == 0 ? 8U
                                                             : session->receiving_capacity * 2U;
        if (capacity > UINT16_MAX)
            capacity = UINT16_MAX;
        struct receiving *ids = realloc(session->receiving, capacity * sizeof(*ids));
        if (ids == NULL)
            return NULL;
        session->receiving = ids;
        session->receiving_capacity = (uint16_t)capacity;
    }
    check(session->receiving_count < session->receiving_capacity);
    struct receiving *r = &session->receiving[session->receiving_count++];
    *r = (struct receiving){.packet_id = packet_id};
    return r;
}

bool session_receive_end(struct session *session, uint16_t packet_id)
{
    unsigned i = find_receiving(session, packet_id);
    if (i == session->receiving_count)
        return false;
    if (i < session->receiving_old) { /* the last old one takes its place */
        session->receiving[i] = session->receiving[--session->receiving_old];
        i = session->receiving_old;
    }
    session->receiving[i] = session->receiving[--session->receiving_count];
    return true;
}

uint32_t session_receive_open(const struct session *session)
{
    return (uint32_t)session->receiving_count - session->receiving_old;
}

void session_set_will(struct session *session, struct will *will)
{
    if (session->will == will)
        return;
    will_free(session->will);
    session->will = will;
}

void will_free(struct will *will)
{
    if (will == NULL)
        return;
    list_for_each(node, &will->older)
        will_free(list_owner(node, struct will, node));
    list_remove(&will->node);
    message_put(will->message);
    free(will);
}
