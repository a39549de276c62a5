#include "worker/protocol/keep.h"

#include "common/base/check.h"
#include "common/mqtt/packet.h"
#include "worker/route/redistribute.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_NO_LOCAL = 1 << 2, OPTION_RETAIN_AS_PUBLISHED = 1 << 3 };

static struct journal *journal_of(const struct protocol *protocol)
{
    return &protocol->router->journal;
}

bool keep_is_refused(const struct protocol *protocol)
{
    const struct journal *journal = journal_of(protocol);
    return journal->is_on && journal->state != RECORD_JOURNAL_OK;
}

/* -- sessions -- */

uint64_t keep_session(struct protocol *protocol, struct session *session)
{
    struct journal *journal = journal_of(protocol);
    if (!journal->is_on || session->is_remnant)
        return 0;
    if (session->number == 0 && !session_is_persistent(session))
        return 0;
    if (session->number == 0)
        session_keep(session, journal_next_session(journal));
    bool is_ending = session->conn == NULL && session->expires_at_ms != UINT64_MAX;
    struct record_journal record = {
        .kind = RECORD_SESSION,
        .session = session->number,
        .seq = session->seq_sent,
        .end_at_ms = is_ending ? session->expires_at_ms : 0,
        .expiry_s = session->expiry_s,
        .version = session->version,
        .connected = session->conn != NULL,
        .name = session_client_id(session),
    };
    return journal_put(journal, &record);
}

void keep_session_end(struct protocol *protocol, const struct session *session)
{
    struct record_journal end = {.kind = RECORD_SESSION_END, .session = session->number};
    if (session->number == 0)
        return;
    if (session->leaving != NULL)
        redistribute_note(journal_of(protocol), session);
    else
        (void)journal_put(journal_of(protocol), &end);
}

/* -- subscriptions -- */

static uint8_t options_of(const struct subscription *s)
{
    return (uint8_t)(s->qos | (s->no_local ? OPTION_NO_LOCAL : 0) |
                     (s->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0));
}

uint64_t keep_subscription(struct protocol *protocol, const struct subscription *subscription,
                           struct bytes text)
{
    struct record_journal record = {
        .kind = RECORD_SUBSCRIBE,
        .session = subscription->session->number,
        .subscription_id = subscription->id,
        .options = options_of(subscription),
        .name = text,
    };
    return record.session == 0 ? 0 : journal_put(journal_of(protocol), &record);
}

uint64_t keep_no_subscription(struct protocol *protocol, const struct session *session,
                              struct bytes text)
{
    struct record_journal record = {
        .kind = RECORD_UNSUBSCRIBE, .session = session->number, .name = text};
    return record.session == 0 ? 0 : journal_put(journal_of(protocol), &record);
}

/* -- wills -- */

struct will_clear {
    struct outbound_item item;
    size_t size;
    uint8_t client_id[];
};

static bool put_clear(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    struct will_clear *w = list_owner(item, struct will_clear, item);
    return record_put_will_clear(mesh, peer, (struct bytes){w->client_id, w->size});
}

static void clear_done(struct outbound_item *item, void *owner)
{
    (void)owner;
    free(list_owner(item, struct will_clear, item));
}

static void clear_live(struct protocol *protocol, struct bytes client_id)
{
    struct will_clear *w = malloc(sizeof(*w) + client_id.size);
    if (w == NULL)
        fatal("no memory to clear a will");
    w->item = (struct outbound_item){.put = put_clear, .done = clear_done};
    w->size = client_id.size;
    memcpy(w->client_id, client_id.data, client_id.size);
    outbound_send(&protocol->router->outbound, protocol->router->store, &w->item);
}

void keep_will(struct protocol *protocol, const struct session *session)
{
    const struct will *will = session->will;
    struct message *m = will->message;
    struct router *router = protocol->router;
    struct record_message record = {
        .purpose = router->journal.is_on ? RECORD_FOR_JOURNAL : RECORD_FOR_WILL,
        .message_id = m->id,
        .expiry_at_ms = will->expiry_s, /* not started yet: the interval itself */
        .will_delay_s = will->delay_s,
        .session_expiry_s = session->expiry_s,
        .qos = m->qos,
        .retain = m->retain,
        .topic = message_topic(m),
        .properties = message_properties(m),
        .payload = message_payload(m),
        .client_id = session_client_id(session),
    };
    struct record_journal keep = {.kind = RECORD_KEEP_WILL, .message_id = m->id};
    struct outbound_message with = {.message = m};
    if (router->journal.is_on)
        (void)journal_put_body(&router->journal, &keep, &record, m, 0);
    else
        (void)outbound_send_message(&router->outbound, router->store, &record, &with);
}

void keep_no_will(struct protocol *protocol, struct bytes client_id, uint64_t message_id)
{
    struct record_journal record = {.kind = RECORD_FORGET_WILL, .message_id = message_id};
    if (journal_of(protocol)->is_on)
        (void)journal_put(journal_of(protocol), &record);
    else
        clear_live(protocol, client_id);
}
