#include "worker/route/entry.h"

#include "common/base/check.h"
#include "common/mqtt/packet.h"

enum { REPEAT_MAX = 1024 /* deliveries that are looked at in one turn, about */ };

/* The group that a delivery came through. */
static void set_share(struct record_journal *record, const struct share *share)
{
    record->shared = share != NULL;
    if (share != NULL)
        record->share = share->id;
}

static void put(struct journal *journal, const struct session *session, struct delivery *d,
                bool with_body)
{
    struct message *m = d->message;
    struct record_journal record = {
        .kind = RECORD_ENQUEUE,
        .serial = d->is_delayed ? d->serial : 0,
        .session = session->number,
        .seq = d->seq,
        .message_id = m == NULL ? 0 : m->id,
        .bytes = m == NULL ? 0 : message_size(m),
        .packet_id = d->packet_id,
        .qos = d->qos,
        .retain = d->retain,
        .released = m == NULL,
        .ids = {(const uint8_t *)d->subscription_ids,
                d->subscription_id_count * sizeof(d->subscription_ids[0])},
    };
    set_share(&record, d->share);
    d->is_delayed = 0;
    d->serial = with_body ? journal_put_message(journal, &record, m, 0)
                          : journal_put(journal, &record);
    d->placed = d->serial;
}

/* The body goes along when the committer may not have it. */
static void put_new(struct journal *journal, struct session *session, struct delivery *d)
{
    if (!d->is_delayed)
        journal_put_delayed(journal); /* those before it have lower places in the queue */
    d->seq = ++session->seq;
    put(journal, session, d, d->message->kept == 0);
    d->message->kept++;
}

void entry_put_delayed(struct journal *journal, struct session *session, struct delivery *delivery)
{
    check(delivery->is_delayed);
    put_new(journal, session, delivery);
}

/* At QoS 1 it is likely to be acknowledged before anybody needs to know of it. */
static bool delay_new(struct journal *journal, struct session *session, struct delivery *d)
{
    if (d->qos != QOS_AT_LEAST_ONCE)
        return false;
    d->serial = journal_delay_entry(journal, session, d);
    d->is_delayed = d->serial != 0;
    return d->is_delayed;
}

static uint64_t put_change(struct journal *journal, const struct session *session,
                           const struct delivery *d, enum record_kind kind)
{
    struct record_journal record = {
        .kind = kind,
        .session = session->number,
        .seq = d->seq,
        .packet_id = kind == RECORD_SENT ? d->packet_id : 0,
    };
    return journal_put(journal, &record);
}

void entry_queued(struct journal *journal, struct session *session, struct delivery *delivery)
{
    if (session->number != 0 && delivery->qos > 0 && delivery->seq == 0)
        put_new(journal, session, delivery);
}

void entry_again(struct journal *journal, const struct session *session, struct delivery *delivery)
{
    if (delivery->seq != 0 && !entry_is_kept(journal, delivery))
        put(journal, session, delivery, delivery->message != NULL);
}

void entry_paged(struct journal *journal, struct session *session, struct record_journal *record,
                 struct message *message, const struct share *share)
{
    set_share(record, share);
    record->kind = RECORD_ENQUEUE;
    record->session = session->number;
    record->seq = ++session->seq;
    record->message_id = message->id;
    record->bytes = message_size(message);
    if (message->kept == 0)
        (void)journal_put_message(journal, record, message, 0);
    else
        (void)journal_put(journal, record);
    message->kept++;
}

void entry_sent(struct journal *journal, struct session *session, struct delivery *delivery)
{
    if (session->number == 0)
        return;
    if (delivery->seq != 0)
        delivery->serial = put_change(journal, session, delivery, RECORD_SENT);
    else if (!delay_new(journal, session, delivery))
        put_new(journal, session, delivery);
}

void entry_released(struct journal *journal, const struct session *session,
                    struct delivery *delivery)
{
    if (delivery->seq != 0)
        delivery->serial = put_change(journal, session, delivery, RECORD_RELEASED);
}

void entry_done(struct journal *journal, const struct session *session, struct delivery *delivery)
{
    if (delivery->seq == 0) {
        entry_end(journal, delivery);
        return;
    }
    /* If it gets lost, the client gets the message twice. */
    if (delivery->qos == QOS_AT_LEAST_ONCE)
        journal_put_done(journal, session->number, delivery->seq);
    else
        (void)put_change(journal, session, delivery, RECORD_DONE);
    entry_end(journal, delivery);
}

void entry_end(struct journal *journal, struct delivery *delivery)
{
    if (delivery->is_delayed)
        journal_cancel(journal, delivery->serial);
    delivery->is_delayed = 0;
    if (delivery->seq != 0 && delivery->message != NULL)
        delivery->message->kept--;
    delivery->seq = 0;
}

uint64_t entry_received(struct journal *journal, const struct session *session, uint16_t packet_id,
                        uint64_t message_id, bool is_routed)
{
    struct record_journal record = {
        .kind = RECORD_RECEIVED,
        .session = session->number,
        .message_id = message_id,
        .packet_id = packet_id,
        .unsure = !is_routed,
    };
    return session->number == 0 ? 0 : journal_put(journal, &record);
}

uint64_t entry_receive_end(struct journal *journal, const struct session *session,
                           uint16_t packet_id)
{
    struct record_journal record = {
        .kind = RECORD_RECEIVE_END,
        .session = session->number,
        .packet_id = packet_id,
    };
    return session->number == 0 ? 0 : journal_put(journal, &record);
}

bool entry_is_kept(const struct journal *journal, const struct delivery *delivery)
{
    bool has_room = delivery->message == NULL || !journal_is_lost(journal, delivery->placed);
    return has_room && journal_is_safe(journal, delivery->serial);
}

/* -- once more -- */

/* A body goes along once: it may be that of many entries. */
static unsigned repeat_list(struct journal *journal, const struct session *session,
                            const struct list_node *list)
{
    unsigned count = 0;
    list_for_each(node, list) {
        struct delivery *d = list_owner(node, struct delivery, node);
        struct message *m = d->message;
        count++;
        if (d->seq == 0 || !journal_is_lost(journal, d->placed))
            continue;
        bool with_body = m != NULL && m->repeat_pass != journal->repeat_pass;
        if (m != NULL)
            m->repeat_pass = journal->repeat_pass;
        put(journal, session, d, with_body);
    }
    return count;
}

static unsigned repeat_session(struct journal *journal, const struct session *session)
{
    return 1 + repeat_list(journal, session, &session->inflight.order) +
           repeat_list(journal, session, &session->queue);
}

bool entry_repeat(struct journal *journal, struct session_table *sessions)
{
    unsigned looked = 0;
    if (!journal_must_repeat(journal))
        return false;
    if (!journal->is_repeating) {
        journal_repeat(journal);
        sessions->repeat_at = list_first(&sessions->kept);
    }
    struct list_node *node = sessions->repeat_at;
    for (; node != NULL && node != &sessions->kept; node = node->next) {
        if (looked >= REPEAT_MAX || journal_is_behind(journal))
            break;
        looked += repeat_session(journal, list_owner(node, struct session, kept_node));
    }
    sessions->repeat_at = node;
    bool is_last = node == NULL || node == &sessions->kept;
    return !(is_last && journal_repeated(journal)) && !journal_is_behind(journal);
}
