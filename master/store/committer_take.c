#include "master/store/committer_take.h"

#include "common/base/log.h"

enum { LOG_BURST = 3, MESSAGE_SIZE_MAX = (256 << 20) + 2 * UINT16_MAX };

static void set_aside(struct committer_work *c, unsigned worker, const char *why)
{
    unsigned suppressed;
    stats_add(c->stats, STAT_quarantined, 1);
    if (log_rate_allows(&c->broken_rate, LOG_BURST, &suppressed))
        log_error("A journal record of worker %u was set aside: %s. (%u more like this.)", worker,
                  why, suppressed);
}

static void take_body(struct committer_work *c, struct committer_peer *peer,
                      const struct ring_record *record)
{
    struct record_message message;
    switch (record_get_message(&peer->assembly, record, MESSAGE_SIZE_MAX, &message)) {
    case RECORD_BROKEN:
        set_aside(c, peer->worker, "it is malformed");
        return;
    case RECORD_PARTIAL:
        return;
    case RECORD_WHOLE:
        break;
    }
    if (message.purpose != RECORD_FOR_JOURNAL) {
        set_aside(c, peer->worker, "it is for somebody else");
        return;
    }
    uint8_t *memory = peer->assembly.memory;
    peer->assembly = (struct record_assembly){0}; /* its memory is the body's now */
    committer_peer_take_body(peer, &c->batch, &message, memory);
}

static bool is_from_worker(enum record_kind kind)
{
    return kind >= RECORD_SESSION && kind <= RECORD_FORGET_WILL;
}

/* Of one that can't be looked at nobody knows the serial: what comes next tells. */
static void set_aside_journal(struct committer_work *c, struct committer_peer *peer,
                              const struct ring_record *record, const char *why)
{
    uint64_t serial = record_journal_serial(record);
    set_aside(c, peer->worker, why);
    if (serial != 0)
        committer_peer_refuse(peer, serial, REASON_UNSPECIFIED_ERROR);
    else
        peer->has_gap = true;
}

static void take_journal(struct committer_work *c, struct committer_peer *peer,
                         const struct ring_record *record)
{
    struct record_journal journal;
    if (!record_get_journal(record, &journal)) {
        set_aside_journal(c, peer, record, "it is malformed");
        return;
    }
    peer->is_known = true;
    if (journal.kind == RECORD_JOURNAL_RESET) {
        committer_peer_reset(peer, &c->batch, journal.epoch);
        c->commit_wanted = true;
        return;
    }
    if (journal.kind == RECORD_FETCH) {
        committer_fetch_add(&peer->fetches, &journal);
        return;
    }
    if (!is_from_worker(journal.kind)) {
        set_aside(c, peer->worker, "it is for a worker");
        return;
    }
    peer->body_is_unused = false;
    if (!committer_peer_take(peer, journal.serial))
        return; /* a predecessor of this process did it */
    if (!durable_batch_add(&c->batch, peer->worker, &journal))
        committer_peer_refuse(peer, journal.serial, REASON_UNSPECIFIED_ERROR);
    c->commit_wanted = c->commit_wanted || peer->refusal_count > 0;
    stats_add(c->stats, STAT_durable_records, 1);
}

void committer_take_record(struct committer_work *c, struct committer_peer *peer,
                           const struct ring_record *record)
{
    if (record->quarantined) {
        set_aside_journal(c, peer, record, "it ended this process twice");
    } else if (record->kind == RECORD_MESSAGE || record->kind == RECORD_FRAGMENT)
        take_body(c, peer, record);
    else
        take_journal(c, peer, record);
}
