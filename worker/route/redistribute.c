#include "worker/route/redistribute.h"

#include "common/base/check.h"
#include "common/mqtt/version.h"
#include "worker/route/entry.h"
#include "worker/route/forward.h"
#include "worker/route/lookup.h"
#include "worker/route/shared.h"
#include "worker/session/paging.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEP_MESSAGES = 64,
    MOVES_MAX = 1024 /* that are not on disk at their new places yet */
};

/* What a session leaves to others. */
struct leaving {
    struct list_node node; /* in router->leaving, while there may be something to place */
    struct session *session;
    struct list_node waiting; /* of struct delivery: to be placed */
    uint32_t moves;           /* of its deliveries */
    uint32_t unsure;          /* of the next ones so many may have been placed before a crash */
    uint16_t note;            /* given out last */
    bool is_end;              /* of the session */
};

/* A delivery that has a new place, and an old entry that is needed until that is on disk. */
struct move {
    struct list_node node; /* in router->moves */
    struct leaving *leaving;
    struct delivery *delivery;
    unsigned worker;   /* where it went; */
    uint64_t serial;   /* here: the last record of its new place; */
    uint32_t position; /* elsewhere: the end of its record in the ring, */
    bool is_in_ring;   /* once it is there */
    uint16_t note;     /* QoS 2: packet id of the RECEIVED that says that it is on its way */
};

/* -- from here -- */

static struct leaving *leaving_of(struct router *router, struct session *session)
{
    struct leaving *l = session->leaving;
    if (l == NULL) {
        l = calloc(1, sizeof(*l));
        if (l == NULL)
            fatal("no memory for messages of a shared group");
        list_init(&l->node);
        list_init(&l->waiting);
        l->session = session;
        session->leaving = l;
    }
    if (!list_is_linked(&l->node))
        list_push_back(&router->leaving, &l->node);
    return l;
}

/* What there was no room for on disk is not there: the next entry needs the body. */
static void end_lost(struct journal *journal, struct leaving *leaving)
{
    list_for_each(node, &leaving->waiting) {
        struct delivery *d = list_owner(node, struct delivery, node);
        if (journal_is_lost(journal, d->placed))
            entry_end(journal, d);
    }
}

bool redistribute_session(struct router *router, struct session *session)
{
    struct leaving *leaving = leaving_of(router, session);
    if (session->number != 0)
        journal_put_delayed(&router->journal); /* it is acknowledged when it is on disk */
    session_take_in_flight(session, &leaving->waiting);
    session_take_queued(session, NULL, &leaving->waiting);
    end_lost(&router->journal, leaving);
    leaving->is_end = true;
    bool has_paged = session->paging != NULL && session->paging->has_shared;
    if (!list_is_empty(&leaving->waiting) || leaving->moves > 0 || has_paged)
        return true;
    list_remove(&leaving->node);
    session->leaving = NULL;
    free(leaving);
    return false;
}

void redistribute_queue(struct router *router, struct session *session, const struct share *share)
{
    struct leaving *leaving = leaving_of(router, session);
    session_take_queued(session, share, &leaving->waiting);
    end_lost(&router->journal, leaving);
}

void redistribute_restored(struct router *router, struct session *session)
{
    struct leaving *leaving = leaving_of(router, session);
    leaving->unsure = MOVES_MAX;
    leaving->is_end = true;
}

void redistribute_delivery(struct session *session, struct delivery *delivery)
{
    bool is_begun = delivery->message == NULL || delivery->qos == QOS_EXACTLY_ONCE;
    if (is_begun || delivery->share == NULL)
        delivery_free(delivery);
    else
        list_push_back(&session->leaving->waiting, &delivery->node);
}

/* -- all is moved -- */

static void free_leaving(struct router *router, struct leaving *leaving)
{
    struct session *session = leaving->session;
    list_for_each(node, &leaving->waiting)
        delivery_free(list_owner(node, struct delivery, node));
    list_remove(&leaving->node);
    session->leaving = NULL;
    if (router->passing_on == session)
        router->passing_on = NULL;
    if (leaving->is_end)
        session_free(session);
    free(leaving);
}

/* It has nothing to place at the moment. */
static void end_if_done(struct router *router, struct leaving *leaving)
{
    const struct session *session = leaving->session;
    struct record_journal end = {.kind = RECORD_SESSION_END, .session = session->number};
    if (leaving->moves > 0 || list_is_linked(&leaving->node))
        return;
    if (leaving->is_end && session->number != 0)
        (void)journal_put(&router->journal, &end);
    free_leaving(router, leaving);
}

static void finish(struct router *router, const struct leaving *leaving, struct delivery *d)
{
    entry_done(&router->journal, leaving->session, d);
    delivery_free(d);
}

/* -- until the new place is on disk -- */

/* Who is done with it at its new place must be known as long as it may be placed once more.
 * The ids that the client of an ended session had are free for that. */
static uint16_t note_way(struct router *router, struct leaving *leaving, const struct delivery *d)
{
    if (d->qos != QOS_EXACTLY_ONCE || !leaving->is_end)
        return 0;
    leaving->note = (uint16_t)(leaving->note % UINT16_MAX + 1);
    (void)entry_received(&router->journal, leaving->session, leaving->note, d->message->id, true);
    return leaving->note;
}

static void wait_for_place(struct router *router, struct leaving *leaving, struct delivery *d,
                           uint64_t workers)
{
    uint16_t note = note_way(router, leaving, d);
    struct move *m = malloc(sizeof(*m));
    if (m == NULL)
        fatal("no memory for messages of a shared group");
    *m = (struct move){
        .leaving = leaving,
        .delivery = d,
        .worker = workers == 0 ? router->self : (unsigned)__builtin_ctzll(workers),
        .serial = router->journal.serial,
        .note = note,
    };
    leaving->moves++;
    router->move_count++;
    list_init(&m->node);
    list_push_back(&router->moves, &m->node);
}

/* Asks each worker that is waited for, once, for its bell. */
static bool is_kept(struct router *router, struct move *m, uint64_t *asked)
{
    struct ring *out = &router->mesh.out[m->worker];
    if (m->worker == router->self)
        return m->serial <= journal_kept(&router->journal);
    if (!m->is_in_ring && outbound_is_blocked(&router->outbound, m->worker))
        return false;
    if (!m->is_in_ring)
        m->position = ring_position(out);
    m->is_in_ring = true;
    bool must_ask = (*asked >> m->worker & 1) == 0;
    *asked |= UINT64_C(1) << m->worker;
    return ring_has_settled(out, m->position) || (must_ask && ring_want_settled(out, m->position));
}

/* How many are. */
static unsigned finish_kept(struct router *router)
{
    uint64_t asked = 0;
    unsigned count = 0;
    list_for_each(node, &router->moves) {
        struct move *m = list_owner(node, struct move, node);
        if (!is_kept(router, m, &asked))
            continue;
        list_remove(&m->node);
        router->move_count--;
        m->leaving->moves--;
        if (m->note != 0)
            (void)entry_receive_end(&router->journal, m->leaving->session, m->note);
        finish(router, m->leaving, m->delivery);
        end_if_done(router, m->leaving);
        free(m);
        count++;
    }
    return count;
}

/* -- what is only passed on -- */

/* A session for it, unless there is one at the moment. No client can have its name. */
static struct session *passing_session(struct router *router)
{
    uint64_t number = journal_next_session(&router->journal);
    uint8_t name[1 + sizeof(number)] = {0};
    struct session *s = router->passing_on;
    if (s != NULL)
        return s;
    memcpy(name + 1, &number, sizeof(number));
    s = session_new(router->sessions, (struct bytes){name, sizeof(name)});
    if (s == NULL)
        fatal("no memory for messages of a shared group");
    s->version = MQTT_V5;
    session_leave(s);
    session_keep(s, number);
    leaving_of(router, s)->is_end = true;
    redistribute_note(&router->journal, s);
    router->passing_on = s;
    return s;
}

void redistribute_passed(struct router *router, struct publication *publication,
                         const struct hash128 *id, unsigned worker)
{
    const struct subscription_ids none = {NULL, 0};
    struct session *s = passing_session(router);
    struct message *m = publication_message(publication);
    struct delivery *d = m == NULL ? NULL
                                   : delivery_new(m, (enum qos)publication->qos, false, &none);
    if (d == NULL)
        fatal("no memory for messages of a shared group");
    d->share = filters_share(&router->filters, id);
    if (d->share == NULL)
        fatal("no memory for messages of a shared group");
    entry_queued(&router->journal, s, d);
    wait_for_place(router, s->leaving, d, UINT64_C(1) << worker);
}

void redistribute_note(struct journal *journal, const struct session *session)
{
    struct record_journal record = {
        .kind = RECORD_SESSION,
        .session = session->number,
        .version = session->version,
        .leaving = true,
        .name = session_client_id(session),
    };
    (void)journal_put(journal, &record);
}

/* -- to others -- */

static bool is_expired(const struct router *router, const struct publication *p)
{
    return p->expiry_at_ms != 0 && p->expiry_at_ms <= loop_now_ms(router->loop);
}

/* We count among the group's workers for members that left, until the store has heard of
 * it. A worker that asked us for them would get the message back, later than what came
 * after it. */
static bool is_left(struct router *router, const struct trie_group *group, const struct hash128 *id)
{
    return (group->any >> router->self & 1) != 0 &&
           router->announcer.confirmed < router->announcer.serial &&
           filters_find_group(&router->filters, id) == NULL;
}

/* False when it has to wait; `ret_workers`: the other worker that it went to, if any. */
static bool place(struct router *router, struct publication *p, const struct hash128 *id,
                  uint64_t *ret_workers)
{
    struct trie_group group = {.worker = (uint16_t)router->self};
    *ret_workers = 0;
    if (is_expired(router, p)) {
        stats_add(router->stats, STAT_publish_dropped, 1);
        return true;
    }
    if (lookup_group(router, p->topic, id, &group) == LOOKUP_GROUP_UNKNOWN)
        return false;
    if ((group.any & router->outbound.blocked) != 0 || is_left(router, &group, id))
        return false;
    if (group.worker != router->self) {
        struct forward_target to = {.worker = group.worker,
                                    .groups = {id->bytes, sizeof(id->bytes)}};
        (void)forward_message(router, p, &to); /* its first way, as from a publisher */
        *ret_workers = UINT64_C(1) << group.worker;
    } else {
        *ret_workers = shared_deliver(router, p, id);
    }
    return true;
}

static bool move(struct router *router, struct leaving *leaving, struct delivery *d)
{
    struct publication p = publication_of(d->message);
    uint64_t serial = router->journal.serial;
    uint64_t workers;
    p.origin = (uint16_t)router->self;
    p.may_be_sent = d->sent && d->packet_id == 0; /* came before a death: see deliver.c */
    p.is_repeat = leaving->unsure > 0 && p.qos == QOS_EXACTLY_ONCE;
    bool is_placed = place(router, &p, &d->share->id, &workers);
    publication_done(&p);
    if (!is_placed)
        return false;
    leaving->unsure -= leaving->unsure > 0;
    list_remove(&d->node);
    if (d->seq != 0 && (workers != 0 || router->journal.serial != serial))
        wait_for_place(router, leaving, d, workers);
    else
        finish(router, leaving, d);
    return true;
}

/* What came from the disk meanwhile. What came not through a group goes with its session. */
static void refill(struct router *router, struct leaving *leaving)
{
    struct session *session = leaving->session;
    if (!list_is_empty(&leaving->waiting) || !leaving->is_end)
        return;
    session_take_queued(session, NULL, &leaving->waiting);
    for (struct delivery *d; (d = session_dequeue(session)) != NULL;)
        delivery_free(d);
    fetch_update(router, session);
}

/* False when it has to wait. */
static bool go_on(struct router *router, struct leaving *leaving)
{
    refill(router, leaving);
    struct list_node *first = list_first(&leaving->waiting);
    if (first != NULL)
        return move(router, leaving, list_owner(first, struct delivery, node));
    if (leaving->is_end && leaving->session->paging != NULL)
        return false;
    list_remove(&leaving->node);
    end_if_done(router, leaving);
    return true;
}

bool redistribute_step(struct router *router)
{
    bool may_go_on = true;
    for (unsigned i = 0; i < STEP_MESSAGES && may_go_on; i++) {
        struct list_node *node = list_first(&router->leaving);
        may_go_on = node != NULL && router->move_count < MOVES_MAX &&
                    go_on(router, list_owner(node, struct leaving, node));
    }
    may_go_on |= finish_kept(router) > 0;
    return may_go_on && !list_is_empty(&router->leaving);
}

void redistribute_done(struct router *router)
{
    list_for_each(node, &router->moves) {
        struct move *m = list_owner(node, struct move, node);
        struct leaving *leaving = m->leaving;
        delivery_free(m->delivery);
        free(m);
        if (--leaving->moves == 0 && !list_is_linked(&leaving->node))
            free_leaving(router, leaving);
    }
    list_for_each(node, &router->leaving)
        free_leaving(router, list_owner(node, struct leaving, node));
    list_init(&router->moves);
    router->move_count = 0;
}
