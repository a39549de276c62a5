#include "worker/route/inbox.h"

#include "common/base/check.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "common/mqtt/packet.h"
#include "worker/route/fetch.h"
#include "worker/route/pass_on.h"
#include "worker/route/route.h"

enum { TURN_RECORDS = 1024, TURN_BYTES = 1 << 20 };

/* Topic, properties and payload of the largest packet, and the record's own. */
enum { MESSAGE_MAX = PACKET_REMAINING_MAX + UINT16_MAX + RECORD_GROUPS_MAX * 16 };

void inbox_init(struct inbox *inbox, struct router *router, const struct inbox_events *events,
                void *owner)
{
    *inbox = (struct inbox){.router = router, .events = events, .owner = owner};
}

void inbox_done(struct inbox *inbox)
{
    for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
        record_assembly_done(&inbox->assemblies[i]);
}

static void take_delivery(struct inbox *inbox, unsigned peer, const struct record_message *m)
{
    check(m->purpose == RECORD_FOR_DELIVERY && m->origin < inbox->router->region->worker_count);
    struct publication p = {
        .topic = m->topic,
        .properties = m->properties,
        .payload = m->payload,
        .message_id = m->message_id,
        .expiry_at_ms = m->expiry_at_ms,
        .publisher = m->publisher,
        .origin = m->origin,
        .source = (uint16_t)peer,
        .is_arrival = true,
        .qos = m->qos,
        .hops = m->hops,
        .retain = m->retain,
        .is_repeat = m->repeat || pass_on_is_old(inbox->router, peer),
        .may_be_sent = m->dup,
    };
    route_arrival(inbox->router, &p, m->plain, m->groups);
    bool can_refuse = p.qos > 0 && p.publisher != 0 && p.origin == peer;
    if (p.is_refused && can_refuse)
        pass_on_overflow(inbox->router, peer);
    publication_done(&p);
}

static void take_message(struct inbox *inbox, unsigned peer, const struct ring_record *record)
{
    struct record_message message;
    enum record_progress progress =
        record_get_message(&inbox->assemblies[peer], record, MESSAGE_MAX, &message);
    check(progress != RECORD_BROKEN);
    if (progress != RECORD_WHOLE)
        return;
    if (message.purpose == RECORD_FOR_WILL)
        inbox->events->on_will(inbox->owner, &message);
    else if (message.purpose == RECORD_FOR_JOURNAL && inbox->router->journal.is_restored)
        fetch_take_body(inbox->router, &message);
    else if (message.purpose == RECORD_FOR_JOURNAL)
        inbox->events->on_restored_body(inbox->owner, &message);
    else
        take_delivery(inbox, peer, &message);
    record_assembly_done(&inbox->assemblies[peer]); /* a large one is not kept */
}

static void take_hold(struct inbox *inbox, const struct ring_record *record)
{
    uint32_t publisher;
    check(record_get_hold(record, &publisher));
    if (record->kind == RECORD_HOLD)
        publishers_hold(&inbox->router->publishers, publisher);
    else
        publishers_unhold(&inbox->router->publishers, publisher);
}

static void take_overflow(struct inbox *inbox, unsigned peer, const struct ring_record *record)
{
    uint32_t position;
    check(record_get_overflow(record, &position));
    settle_refuse_position(&inbox->router->settle, peer, position, WHY_QUEUE);
}

static void take_confirm(struct inbox *inbox, unsigned peer, const struct ring_record *record)
{
    struct journal *journal = &inbox->router->journal;
    uint64_t serial;
    check(record_get_confirm(record, &serial));
    if (journal->is_on && peer == journal->peer)
        journal_confirm(journal, serial);
    else
        inbox->events->on_confirm(inbox->owner, serial);
}

static void take_refuse(struct inbox *inbox, unsigned peer, const struct ring_record *record)
{
    struct journal *journal = &inbox->router->journal;
    uint64_t serial;
    enum mqtt_reason reason;
    check(record_get_refuse(record, &serial, &reason));
    if (!journal->is_on || peer != journal->peer) {
        inbox->events->on_refuse(inbox->owner, serial, reason);
        return;
    }
    journal_refuse(journal, serial, reason);
    settle_refuse(&inbox->router->settle, serial, WHY_DISK);
}

static void take_journal(struct inbox *inbox, const struct ring_record *record)
{
    struct record_journal journal;
    check(record_get_journal(record, &journal));
    bool is_answer = journal.kind == RECORD_ENQUEUE || journal.kind == RECORD_FETCH_END ||
                     journal.kind == RECORD_NOT_QUEUED;
    if (is_answer && inbox->router->journal.is_restored) {
        fetch_take(inbox->router, &journal);
        return;
    }
    if (journal.kind != RECORD_JOURNAL_STATE) {
        inbox->events->on_restored(inbox->owner, &journal);
        return;
    }
    fetch_repeat(inbox->router);
    journal_set_state(&inbox->router->journal, (enum record_journal_state)journal.state);
    if (journal.state == RECORD_JOURNAL_FULL)
        settle_refuse_workers(&inbox->router->settle, WHY_DISK);
    else if (journal.state == RECORD_JOURNAL_FAILING)
        settle_refuse_all(&inbox->router->settle, WHY_DISK);
}

static void take_record(struct inbox *inbox, unsigned peer, const struct ring_record *record)
{
    if (record->quarantined) {
        stats_add(inbox->router->stats, STAT_quarantined, 1);
        log_error("A record of %u bytes from process %u was set aside: it ended this worker twice.",
                  record->size, peer);
        return;
    }
    switch (record->kind) {
    case RECORD_MESSAGE:
    case RECORD_FRAGMENT:
        take_message(inbox, peer, record);
        break;
    case RECORD_HOLD:
    case RECORD_UNHOLD:
        take_hold(inbox, record);
        break;
    case RECORD_OVERFLOW:
        take_overflow(inbox, peer, record);
        break;
    case RECORD_CONFIRM:
        take_confirm(inbox, peer, record);
        break;
    case RECORD_REFUSE:
        take_refuse(inbox, peer, record);
        break;
    default:
        check(record_is_journal(record->kind));
        take_journal(inbox, record);
    }
}

/* Takes a share from one peer; true when it was used up before the ring. */
static bool take_from(struct inbox *inbox, unsigned peer)
{
    struct ring *ring = &inbox->router->mesh.in[peer];
    uint64_t serial = inbox->router->journal.serial;
    struct ring_record record;
    unsigned count = 0;
    size_t bytes = 0;
    while (count < TURN_RECORDS && bytes < TURN_BYTES && ring_next(ring, &record)) {
        take_record(inbox, peer, &record);
        kill_point("record-taken");
        count++;
        bytes += record.size;
    }
    if (count > 0)
        pass_on_settle(inbox->router, peer, serial);
    return count == TURN_RECORDS || bytes >= TURN_BYTES;
}

static bool may_take_from(const struct router *router, unsigned peer)
{
    bool is_worker = peer < router->region->worker_count;
    return mesh_is_peer(&router->mesh, peer) && (!is_worker || router->journal.is_restored);
}

bool inbox_take(struct inbox *inbox)
{
    const struct router *router = inbox->router;
    bool has_more = false;
    for (unsigned i = 0; i < router->mesh.peer_count; i++) {
        unsigned peer = (inbox->next_peer + i) % router->mesh.peer_count;
        if (may_take_from(router, peer))
            has_more |= take_from(inbox, peer);
    }
    inbox->next_peer++;
    return has_more;
}
