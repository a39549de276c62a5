#include "worker/route/journal.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "worker/net/loop.h"
#include "worker/session/delivery.h"

#include <stdlib.h>
#include <string.h>

/* A record that found the ring full. Name and ids are copied behind. */
struct waiting_record {
    struct outbound_item item;
    struct journal *journal;
    struct record_journal record;
    size_t size; /* with its body, if that waits too */
    uint8_t copies[];
};

static void on_delay_timer(struct wheel_timer *timer, void *context);

void journal_init(struct journal *journal, struct outbound *outbound, unsigned peer, bool is_on)
{
    *journal = (struct journal){
        .outbound = outbound,
        .peer = peer,
        .is_on = is_on,
        .is_restored = !is_on,
    };
    list_init(&journal->waits);
    wheel_timer_init(&journal->delay_timer, on_delay_timer);
}

void journal_use_delay(struct journal *journal, struct loop *loop, uint32_t delay_ms,
                       void (*put_entry)(struct journal *journal, struct session *session,
                                         struct delivery *delivery))
{
    journal->loop = loop;
    journal->delay_ms = delay_ms;
    journal->put_entry = put_entry;
}

void journal_done(struct journal *journal)
{
    struct delayed_record record;
    if (journal->loop != NULL)
        wheel_stop(loop_wheel(journal->loop), &journal->delay_timer);
    while (delayed_first(&journal->delayed) != NULL) {
        (void)delayed_take_first(&journal->delayed, &record);
        if (record.delivery != NULL)
            record.delivery->is_delayed = 0;
    }
    delayed_done(&journal->delayed);
}

/* Something was put, cancelled, or is in the ring or on disk now. */
static void look_again(struct journal *journal)
{
    const struct delayed *delayed = &journal->delayed;
    uint64_t dealt_with = delayed_is_open(delayed) ? delayed->open - 1 : journal->serial;
    uint64_t sent = journal->in_ring >= journal->put ? dealt_with : journal->in_ring;
    uint64_t confirmed = journal->on_disk >= journal->put ? dealt_with : journal->on_disk;
    /* They never fall: a DONE that is put now may be behind. */
    if (sent > journal->sent)
        journal->sent = sent;
    if (confirmed > journal->confirmed)
        journal->confirmed = confirmed;
}

/* -- into the ring -- */

static bool has_serial(const struct record_journal *record)
{
    return record->kind != RECORD_JOURNAL_RESET && record->kind != RECORD_FETCH;
}

static bool put_waiting(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    return record_put_journal(mesh, peer, &list_owner(item, struct waiting_record, item)->record);
}

static void set_waiting(struct journal *journal, uint64_t bytes)
{
    journal->waiting_bytes = bytes;
    stats_set(journal->outbound->stats, STAT_durable_waiting, bytes);
}

static void waiting_done(struct outbound_item *item, void *owner)
{
    struct waiting_record *w = list_owner(item, struct waiting_record, item);
    set_waiting(w->journal, w->journal->waiting_bytes - w->size);
    if (owner != NULL && has_serial(&w->record)) {
        w->journal->in_ring = w->record.serial;
        look_again(w->journal);
    }
    free(w);
}

static struct bytes copy_to(uint8_t **place, struct bytes b)
{
    struct bytes copy = {*place, b.size};
    if (b.size > 0)
        memcpy(*place, b.data, b.size);
    *place += b.size;
    return copy;
}

static void wait_for_ring(struct journal *journal, const struct record_journal *record,
                          size_t body_size)
{
    size_t size = sizeof(struct waiting_record) + record->name.size + record->ids.size;
    struct waiting_record *w = malloc(size);
    if (w == NULL)
        fatal("no memory for a record that waits for the committer");
    *w = (struct waiting_record){
        .item = {.put = put_waiting, .done = waiting_done},
        .journal = journal,
        .record = *record,
        .size = size + body_size,
    };
    set_waiting(journal, journal->waiting_bytes + w->size);
    uint8_t *place = w->copies;
    w->record.name = copy_to(&place, record->name);
    w->record.ids = copy_to(&place, record->ids);
    outbound_send(journal->outbound, journal->peer, &w->item);
}

static void send(struct journal *journal, const struct record_journal *record, size_t body_size)
{
    struct outbound *out = journal->outbound;
    if (outbound_is_blocked(out, journal->peer) ||
        !record_put_journal(out->mesh, journal->peer, record))
        wait_for_ring(journal, record, body_size);
    else if (has_serial(record))
        journal->in_ring = record->serial;
}

void journal_start(struct journal *journal, uint64_t epoch)
{
    journal->epoch = epoch;
    if (journal->is_on)
        send(journal, &(struct record_journal){.kind = RECORD_JOURNAL_RESET, .epoch = epoch}, 0);
}

/* `body_size`: of the body that waits before it; 0: none does. */
static uint64_t put(struct journal *journal, struct record_journal *record, size_t body_size)
{
    check(journal->is_on && journal->is_restored);
    if (record->serial == 0)
        journal_put_delayed(journal);
    if (record->serial == 0)
        record->serial = ++journal->serial;
    journal->put = record->serial;
    send(journal, record, body_size);
    look_again(journal);
    return record->serial;
}

uint64_t journal_put(struct journal *journal, struct record_journal *record)
{
    return put(journal, record, 0);
}

void journal_ask(struct journal *journal, const struct record_journal *fetch)
{
    check(journal->is_on && journal->is_restored);
    send(journal, fetch, 0);
}

static uint64_t put_with(struct journal *journal, struct record_journal *record,
                         const struct record_message *body, const struct outbound_message *with)
{
    check(body->message_id == record->message_id);
    if (record->serial == 0)
        journal_put_delayed(journal);
    /* What is put to a peer, in the ring or before it, keeps its order: nothing comes
     * between the two. */
    bool is_sent = outbound_send_message(journal->outbound, journal->peer, body, with);
    size_t size = body->topic.size + body->properties.size + body->payload.size;
    kill_point("body-put");
    return put(journal, record, is_sent ? 0 : size);
}

uint64_t journal_put_message(struct journal *journal, struct record_journal *record,
                             struct message *message, uint32_t publisher)
{
    struct record_message body = {
        .purpose = RECORD_FOR_JOURNAL,
        .message_id = message->id,
        .expiry_at_ms = message->expiry_at_ms,
        .qos = message->qos,
        .retain = message->retain,
        .topic = message_topic(message),
        .properties = message_properties(message),
        .payload = message_payload(message),
    };
    struct outbound_message with = {.message = message, .publisher = publisher};
    return put_with(journal, record, &body, &with);
}

uint64_t journal_put_body(struct journal *journal, struct record_journal *record,
                          const struct record_message *body, struct message *message,
                          uint32_t publisher)
{
    struct outbound_message with = {.message = message, .publisher = publisher};
    return put_with(journal, record, body, &with);
}

/* -- for a moment -- */

static uint64_t delay(struct journal *journal, struct delayed_record *record)
{
    uint64_t now_ms = loop_now_ms(journal->loop);
    record->until_ms = now_ms + journal->delay_ms;
    if (!delayed_add(&journal->delayed, journal->serial + 1, record))
        return 0;
    if (!wheel_timer_is_running(&journal->delay_timer))
        wheel_start(loop_wheel(journal->loop), &journal->delay_timer, record->until_ms);
    return ++journal->serial;
}

uint64_t journal_delay_entry(struct journal *journal, struct session *session,
                             struct delivery *delivery)
{
    struct delayed_record record = {.session = session, .delivery = delivery};
    return journal->delay_ms == 0 ? 0 : delay(journal, &record);
}

void journal_cancel(struct journal *journal, uint64_t serial)
{
    delayed_cancel(&journal->delayed, serial);
    look_again(journal);
}

static void put_done(struct journal *journal, uint64_t serial, uint64_t session, uint64_t seq)
{
    struct record_journal record = {
        .kind = RECORD_DONE,
        .serial = serial,
        .session = session,
        .seq = seq,
    };
    (void)journal_put(journal, &record);
}

void journal_put_done(struct journal *journal, uint64_t session, uint64_t seq)
{
    struct delayed_record later = {.number = session, .seq = seq};
    if (journal->delay_ms == 0 || delay(journal, &later) == 0)
        put_done(journal, 0, session, seq);
}

static void put_first(struct journal *journal)
{
    struct delayed_record delayed;
    journal->put = delayed_take_first(&journal->delayed, &delayed);
    if (delayed.delivery != NULL)
        journal->put_entry(journal, delayed.session, delayed.delivery);
    else
        put_done(journal, journal->put, delayed.number, delayed.seq);
}

void journal_put_delayed(struct journal *journal)
{
    while (delayed_first(&journal->delayed) != NULL)
        put_first(journal);
}

static void on_delay_timer(struct wheel_timer *timer, void *context)
{
    (void)context;
    struct journal *journal = list_owner(timer, struct journal, delay_timer);
    uint64_t now_ms = loop_now_ms(journal->loop);
    const struct delayed_record *first;
    while ((first = delayed_first(&journal->delayed)) != NULL && first->until_ms <= now_ms)
        put_first(journal);
    if (first != NULL)
        wheel_start(loop_wheel(journal->loop), timer, first->until_ms);
}

bool journal_is_behind(const struct journal *journal)
{
    return journal->in_ring < journal->put;
}

uint64_t journal_next_session(struct journal *journal)
{
    check(journal->is_restored && journal->session_count < UINT32_MAX);
    return (uint64_t)journal->run << 32 | ++journal->session_count;
}

/* -- until it is on disk -- */

bool journal_is_safe(const struct journal *journal, uint64_t serial)
{
    return serial <= journal->confirmed;
}

uint64_t journal_kept(const struct journal *journal)
{
    uint64_t lost = journal->lost_from;
    return lost != 0 && lost <= journal->confirmed ? lost - 1 : journal->confirmed;
}

bool journal_is_lost(const struct journal *journal, uint64_t serial)
{
    return journal->lost_from != 0 && serial >= journal->lost_from && serial <= journal->lost_to;
}

bool journal_must_repeat(const struct journal *journal)
{
    return journal->lost_from != 0 && journal->repeated_to == 0 &&
           journal->state == RECORD_JOURNAL_OK;
}

static void forget_lost(struct journal *journal)
{
    if (journal->repeated_to == 0 || journal->repeated_to > journal->confirmed)
        return;
    journal->lost_from = 0;
    journal->lost_to = 0;
    journal->repeated_to = 0;
}

void journal_repeat(struct journal *journal)
{
    journal->is_repeating = true;
    journal->lost_more = false;
    if (++journal->repeat_pass == 0)
        journal->repeat_pass = 1;
}

bool journal_repeated(struct journal *journal)
{
    journal->is_repeating = false;
    if (journal->lost_more)
        return false;
    journal->repeated_to = journal->serial;
    forget_lost(journal);
    return true;
}

void journal_wait_for(struct journal *journal, struct journal_wait *wait, uint64_t first,
                      uint64_t last)
{
    list_init(&wait->node);
    wait->first = first;
    wait->last = last;
    wait->reason = REASON_SUCCESS;
    if (first == 0 || journal_is_safe(journal, last)) {
        wait->done(wait, REASON_SUCCESS);
        return;
    }
    if (wait->is_hasty && journal->state == RECORD_JOURNAL_FAILING) {
        wait->done(wait, REASON_QUOTA_EXCEEDED);
        return;
    }
    /* Serials rise: its place is the end, or near it. */
    struct list_node *place = &journal->waits;
    while (place->prev != &journal->waits &&
           list_owner(place->prev, struct journal_wait, node)->last > last)
        place = place->prev;
    list_insert_before(place, &wait->node);
}

void journal_wait_cancel(struct journal_wait *wait)
{
    list_remove(&wait->node);
}

void journal_set_state(struct journal *journal, enum record_journal_state state)
{
    journal->state = state;
    if (state != RECORD_JOURNAL_FAILING)
        return;
    list_for_each(node, &journal->waits) {
        struct journal_wait *wait = list_owner(node, struct journal_wait, node);
        if (!wait->is_hasty)
            continue;
        list_remove(node);
        wait->done(wait, REASON_QUOTA_EXCEEDED);
    }
}

void journal_confirm(struct journal *journal, uint64_t serial)
{
    /* A predecessor's, or said again by a new committer. */
    if (!journal->is_restored || serial <= journal->on_disk)
        return;
    check(serial <= journal->serial);
    journal->on_disk = serial;
    look_again(journal);
    forget_lost(journal);
    for (struct list_node *node; (node = list_first(&journal->waits)) != NULL;) {
        struct journal_wait *wait = list_owner(node, struct journal_wait, node);
        if (wait->last > journal->confirmed)
            return;
        list_remove(node);
        wait->done(wait, wait->reason);
    }
}

void journal_refuse(struct journal *journal, uint64_t serial, enum mqtt_reason reason)
{
    if (!journal->is_restored)
        return;
    /* What could not be done for another reason would not be done the next time. */
    if (reason_code(reason) == REASON_QUOTA_EXCEEDED) {
        if (journal->lost_from == 0 || serial < journal->lost_from)
            journal->lost_from = serial;
        if (serial > journal->lost_to)
            journal->lost_to = serial;
        journal->repeated_to = 0;
        journal->lost_more = true;
    }
    list_for_each(node, &journal->waits) {
        struct journal_wait *wait = list_owner(node, struct journal_wait, node);
        if (wait->first <= serial && serial <= wait->last && wait->reason == REASON_SUCCESS)
            wait->reason = reason;
    }
}

/* -- coming back -- */

bool journal_restore_begin(struct journal *journal, const struct record_journal *record)
{
    if (record->epoch != journal->epoch || journal->is_restored)
        return false;
    journal->serial = record->serial;
    journal->put = journal->in_ring = journal->on_disk = record->serial;
    journal->sent = record->serial;
    journal->confirmed = record->serial;
    journal->run = record->run;
    return true;
}

void journal_restore_end(struct journal *journal)
{
    journal->is_restored = true;
}
