#include "worker/route/publisher.h"

#include "common/base/check.h"
#include "common/mqtt/packet.h"
#include "worker/net/conn.h"
#include "worker/net/loop.h"
#include "worker/route/entry.h"
#include "worker/session/session.h"

#include <stdlib.h>
#include <string.h>

/* A handle is a slot's index and a round that makes it unique for long. */
enum { INDEX_BITS = 22, INDEX_MASK = (1 << INDEX_BITS) - 1, SLOTS_MIN = 64 };

static void on_unheard(struct settle_queue *queue, const struct publisher_ack *ack)
{
    publishers_note(list_owner(queue, struct publisher, unsettled), ack);
}

void publishers_init(struct publishers *publishers, struct loop *loop, struct stats stats,
                     struct settle *settle, struct journal *journal)
{
    settle->on_unheard = on_unheard;
    *publishers = (struct publishers){
        .loop = loop,
        .stats = stats,
        .settle = settle,
        .journal = journal,
        .round = 1,
    };
}

void publishers_done(struct publishers *publishers)
{
    free(publishers->slots);
    publishers->slots = NULL;
    publishers->slot_count = 0;
}

static struct publisher *find(const struct publishers *publishers, uint32_t handle)
{
    uint32_t index = handle & INDEX_MASK;
    if (index >= publishers->slot_count)
        return NULL;
    struct publisher *p = publishers->slots[index];
    return p != NULL && p->handle == handle ? p : NULL;
}

/* The same for those who only care for a connection that is there. */
static struct publisher *find_present(const struct publishers *publishers, uint32_t handle)
{
    struct publisher *p = find(publishers, handle);
    return p != NULL && p->conn != NULL ? p : NULL;
}

static void free_slot(struct publisher *p)
{
    check(p->all->slots[p->handle & INDEX_MASK] == p);
    p->all->slots[p->handle & INDEX_MASK] = NULL;
    free(p);
}

static bool grow(struct publishers *publishers)
{
    uint32_t count = publishers->slot_count == 0 ? SLOTS_MIN : publishers->slot_count * 2;
    if (count > INDEX_MASK + 1U)
        return false;
    struct publisher **slots = realloc(publishers->slots, count * sizeof(slots[0]));
    if (slots == NULL)
        return false;
    memset(slots + publishers->slot_count, 0, (count - publishers->slot_count) * sizeof(slots[0]));
    publishers->slots = slots;
    publishers->free_hint = publishers->slot_count;
    publishers->slot_count = count;
    return true;
}

/* Slots are taken in turn, so the next free one is near the last one taken. */
static bool find_free(struct publishers *publishers, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < publishers->slot_count; i++) {
        uint32_t index = (publishers->free_hint + i) & (publishers->slot_count - 1);
        if (publishers->slots[index] == NULL) {
            publishers->free_hint = index + 1;
            *ret_index = index;
            return true;
        }
    }
    return false;
}

static void on_hold_timeout(struct wheel_timer *timer, void *context)
{
    (void)context;
    struct publisher *p = list_owner(timer, struct publisher, hold_timer);
    p->hold_count = 0;
    conn_unhold(p->conn);
}

struct publisher *publishers_add(struct publishers *publishers, struct conn *conn)
{
    uint32_t index;
    if (!find_free(publishers, &index) && (!grow(publishers) || !find_free(publishers, &index)))
        return NULL;
    struct publisher *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->conn = conn;
    p->session = conn->session;
    p->all = publishers;
    p->handle = publishers->round << INDEX_BITS | index;
    if (++publishers->round > UINT32_MAX >> INDEX_BITS)
        publishers->round = 1;
    wheel_timer_init(&p->hold_timer, on_hold_timeout);
    settle_queue_init(&p->unsettled, conn);
    publishers->slots[index] = p;
    return p;
}

void publishers_remove(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    wheel_stop(loop_wheel(publisher->all->loop), &publisher->hold_timer);
    settle_queue_done(&publisher->unsettled);
    publisher->conn = NULL;
    publisher->session = NULL;
    /* While a message waits, the handle must not come to mean somebody else. */
    if (publisher->waiting == 0)
        free_slot(publisher);
}

bool publishers_leave(struct publisher *publisher)
{
    struct publisher *p = publisher;
    if (p == NULL)
        return false;
    bool is_kept = p->session->number != 0;
    bool has_ids = settle_queue_leave(&p->unsettled) || p->ack.type == PACKET_PUBREC;
    if (!is_kept || !has_ids) {
        publishers_remove(p);
        return false;
    }
    wheel_stop(loop_wheel(p->all->loop), &p->hold_timer);
    p->hold_count = 0;
    p->is_paced = false;
    p->conn = NULL;
    return true;
}

void publishers_return(struct publisher *publisher, struct conn *conn)
{
    check(publisher->conn == NULL && publisher->session == conn->session);
    publisher->conn = conn;
    settle_queue_return(&publisher->unsettled, conn);
    if (publisher->waiting > 0)
        conn_hold(conn);
}

const struct session *publishers_session(const struct publishers *publishers, uint32_t handle)
{
    const struct publisher *p = find(publishers, handle);
    return p == NULL ? NULL : p->session;
}

void publishers_hold(struct publishers *publishers, uint32_t handle)
{
    struct publisher *p = find_present(publishers, handle);
    if (p == NULL || p->conn->session->inflight.count > 0)
        return;
    wheel_start(loop_wheel(publishers->loop), &p->hold_timer,
                loop_now_ms(publishers->loop) + PUBLISHER_HOLD_MAX_MS);
    if (p->hold_count++ > 0)
        return;
    stats_add(publishers->stats, STAT_publishers_held, 1);
    conn_hold(p->conn);
}

void publishers_unhold(struct publishers *publishers, uint32_t handle)
{
    struct publisher *p = find_present(publishers, handle);
    if (p == NULL || p->hold_count == 0 || --p->hold_count > 0)
        return;
    wheel_stop(loop_wheel(publishers->loop), &p->hold_timer);
    conn_unhold(p->conn);
}

void publishers_message_waits(struct publishers *publishers, uint32_t handle)
{
    /* One that is gone is here only because something waits already: no hold. */
    struct publisher *p = find(publishers, handle);
    if (p != NULL && p->waiting++ == 0 && p->conn != NULL)
        conn_hold(p->conn);
}

void publishers_message_went(struct publishers *publishers, uint32_t handle, uint64_t workers,
                             uint64_t kept)
{
    struct publisher *p = find(publishers, handle);
    if (p == NULL)
        return;
    p->ack_workers |= workers;
    if (p->ack_kept == 0)
        p->ack_kept = kept;
}

/* The message is in all rings: now, and not before, a repeat of its QoS 2 id need not be
 * routed again by a successor. */
static void acknowledge(struct publisher *p, const struct publisher_ack *ack, uint64_t workers,
                        uint64_t kept)
{
    struct settle *settle = p->all->settle;
    bool begins = ack->begun != 0 && !reason_is_error((enum mqtt_reason)ack->reason);
    uint64_t unsure = workers == 0 && !ack->is_repeat ? 0 : ack->begun;
    if (begins)
        (void)entry_received(p->all->journal, p->session, ack->packet_id, unsure, true);
    settle_acknowledge(settle, &p->unsettled, ack, workers, kept);
}

void publishers_message_done(struct publishers *publishers, uint32_t handle)
{
    struct publisher *p = find(publishers, handle);
    if (p == NULL)
        return;
    check(p->waiting > 0);
    if (--p->waiting > 0)
        return;
    if (p->session == NULL) {
        free_slot(p);
        return;
    }
    struct publisher_ack ack = p->ack;
    p->ack = (struct publisher_ack){0};
    if (ack.packet_id != 0)
        acknowledge(p, &ack, p->ack_workers, p->ack_kept);
    if (p->conn != NULL)
        conn_unhold(p->conn);
}

void publishers_acknowledge(struct publisher *publisher, const struct publisher_ack *ack,
                            uint64_t workers, uint64_t kept)
{
    if (publisher->waiting == 0) {
        acknowledge(publisher, ack, workers, kept);
        return;
    }
    check(publisher->ack.packet_id == 0); /* it is paused: one message at a time */
    publisher->ack = *ack;
    publisher->ack_workers = workers;
    publisher->ack_kept = kept;
}

void publishers_note(struct publisher *publisher, const struct publisher_ack *ack)
{
    struct session *session = publisher->session;
    struct receiving *r = session_receiving(session, ack->packet_id);
    if (r == NULL)
        return;
    if (ack->reason == WHY_DISK || ack->reason == WHY_QUEUE) {
        r->is_lost = r->message_id != 0;
    } else if (!r->is_lost) {
        r->message_id = 0;
        if (ack->has_crossed)
            (void)entry_received(publisher->all->journal, session, ack->packet_id, 0, true);
    }
}

void publishers_pace(struct publisher *publisher, uint32_t open_max)
{
    if (publisher->is_paced || publisher->unsettled.puback_count <= open_max)
        return;
    publisher->is_paced = true;
    conn_hold(publisher->conn);
}

void publishers_acknowledged(struct publisher *publisher)
{
    if (publisher == NULL || !publisher->is_paced)
        return;
    publisher->is_paced = false;
    conn_unhold(publisher->conn);
}
