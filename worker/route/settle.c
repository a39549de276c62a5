/*
 * An entry is a run of words:
 *
 *   packet id (16) | reason (16) | refused (1) | unheard (1) | type (6) | number of words n (24)
 *   n times, of another worker: to be taken only (26) | worker (6) | position in the ring
 *                                                                    to it (32)
 *            of this one:   count (26) | worker (6) | serial of the last record (32)
 */
#include "worker/route/settle.h"

#include "common/base/check.h"
#include "common/mqtt/packet.h"
#include "worker/route/journal.h"

#include <stdlib.h>

enum {
    CAPACITY_MIN = 16,
    TYPE_SHIFT = 24,
    COUNT_MASK = (1 << TYPE_SHIFT) - 1,
    TYPE_MASK = 0x3F,
    WORKER_SHIFT = 32,
    WORKER_MASK = MESH_PEERS_MAX - 1,
    RECORDS_SHIFT = 38,
    RECORDS_MAX = (1 << (64 - RECORDS_SHIFT)) - 1,
    REASON_SHIFT = 32,
    PACKET_SHIFT = 48
};

#define REFUSED (UINT64_C(1) << 31)
#define UNHEARD (UINT64_C(1) << 30)

void settle_init(struct settle *settle, struct mesh *mesh, const struct journal *journal,
                 void (*on_ack)(struct conn *conn, const struct publisher_ack *ack))
{
    *settle = (struct settle){.mesh = mesh, .journal = journal, .on_ack = on_ack};
    list_init(&settle->waiting);
}

void settle_queue_init(struct settle_queue *queue, struct conn *conn)
{
    *queue = (struct settle_queue){.conn = conn};
    list_init(&queue->node);
}

void settle_queue_done(struct settle_queue *queue)
{
    list_remove(&queue->node);
    free(queue->words);
    settle_queue_init(queue, NULL);
}

static void tell(const struct settle *s, struct settle_queue *q, const struct publisher_ack *ack,
                 bool is_unheard)
{
    if (is_unheard && ack->type == PACKET_PUBREC)
        s->on_unheard(q, ack);
    else if (is_unheard)
        return;
    else if (q->conn == NULL)
        s->on_settled(s->owner);
    else
        s->on_ack(q->conn, ack);
}

/* -- what has moved -- */

static struct settle_seen look_at(const struct settle *s, unsigned worker)
{
    const struct ring *out = &s->mesh->out[worker];
    return (struct settle_seen){.settled = ring_settled(out), .released = ring_released(out)};
}

static void look_at_all(struct settle *s)
{
    s->confirmed = s->journal->confirmed;
    for (uint64_t left = s->awaited; left != 0; left &= left - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(left);
        s->seen[worker] = look_at(s, worker);
    }
}

static bool has_moved(const struct settle *s)
{
    if (s->has_news || s->confirmed != s->journal->confirmed)
        return true;
    for (uint64_t left = s->awaited; left != 0; left &= left - 1) {
        unsigned worker = (unsigned)__builtin_ctzll(left);
        struct settle_seen now = look_at(s, worker);
        if (now.settled != s->seen[worker].settled || now.released != s->seen[worker].released)
            return true;
    }
    return false;
}

/* -- entries -- */

static uint64_t *word(const struct settle_queue *q, uint32_t index)
{
    return &q->words[index & (q->capacity - 1)];
}

static uint32_t next_entry(const struct settle_queue *q, uint32_t entry)
{
    return entry + 1 + ((uint32_t)*word(q, entry) & COUNT_MASK);
}

bool settle_queue_leave(struct settle_queue *queue)
{
    bool has_ids = false;
    for (uint32_t i = queue->first; i != queue->end; i = next_entry(queue, i)) {
        *word(queue, i) |= UNHEARD;
        has_ids = has_ids || (*word(queue, i) >> TYPE_SHIFT & TYPE_MASK) == PACKET_PUBREC;
    }
    queue->puback_count = 0;
    queue->conn = NULL;
    queue->is_left = true;
    return has_ids;
}

void settle_queue_return(struct settle_queue *queue, struct conn *conn)
{
    queue->conn = conn;
    queue->is_left = false;
}

bool settle_queue_is_empty(const struct settle_queue *queue)
{
    return queue->first == queue->end;
}

static void make_room(struct settle_queue *q, uint32_t need)
{
    uint32_t capacity = q->capacity == 0 ? CAPACITY_MIN : q->capacity;
    while (capacity - (q->end - q->first) < need)
        capacity *= 2;
    if (capacity == q->capacity)
        return;
    uint64_t *words = malloc(capacity * sizeof(words[0]));
    if (words == NULL)
        fatal("no memory for acknowledgements");
    for (uint32_t i = q->first; i != q->end; i++)
        words[i & (capacity - 1)] = *word(q, i);
    free(q->words);
    q->words = words;
    q->capacity = capacity;
}

static uint64_t word_of_own(const struct settle *s, uint64_t kept)
{
    uint64_t records = s->journal->serial - kept + 1;
    if (records > RECORDS_MAX)
        records = RECORDS_MAX;
    return records << RECORDS_SHIFT | (uint64_t)s->mesh->self << WORKER_SHIFT |
           (uint32_t)s->journal->serial;
}

static void append(struct settle *s, struct settle_queue *q, const struct publisher_ack *ack,
                   uint64_t workers, uint64_t kept)
{
    uint32_t count = (uint32_t)__builtin_popcountll(workers) + (kept != 0);
    make_room(q, 1 + count);
    *word(q, q->end++) = (uint64_t)ack->packet_id << PACKET_SHIFT |
                         (uint64_t)ack->reason << REASON_SHIFT | (uint64_t)ack->type << TYPE_SHIFT |
                         (q->is_left ? UNHEARD : 0) | count;
    for (; workers != 0; workers &= workers - 1) {
        uint64_t worker = (uint64_t)__builtin_ctzll(workers);
        *word(q, q->end++) = (ack->takers >> worker & 1) << RECORDS_SHIFT | worker << WORKER_SHIFT |
                             ring_position(&s->mesh->out[worker]);
    }
    if (kept != 0)
        *word(q, q->end++) = word_of_own(s, kept);
    if (!list_is_linked(&q->node))
        list_push_back(&s->waiting, &q->node);
}

static unsigned worker_of(uint64_t word)
{
    return word >> WORKER_SHIFT & WORKER_MASK;
}

static bool is_own(const struct settle *s, uint64_t word)
{
    return worker_of(word) == s->mesh->self;
}

/* Another worker's, which needs no disk for it. */
static bool is_takers(const struct settle *s, uint64_t word)
{
    return !is_own(s, word) && word >> RECORDS_SHIFT != 0;
}

static bool is_settled(const struct settle *s, uint64_t word)
{
    if (is_own(s, word))
        return (int32_t)((uint32_t)s->journal->confirmed - (uint32_t)word) >= 0;
    const struct ring *out = &s->mesh->out[worker_of(word)];
    bool is_done = is_takers(s, word) ? ring_has_released(out, (uint32_t)word)
                                      : ring_has_settled(out, (uint32_t)word);
    return is_done && (!s->hears_first || !ring_has_next(&s->mesh->in[worker_of(word)]));
}

/* What the first entry waits for first, or NULL. */
static const uint64_t *find_unsettled(const struct settle *s, const struct settle_queue *q)
{
    uint64_t head = *word(q, q->first);
    uint32_t count = (head & REFUSED) != 0 ? 0 : (uint32_t)head & COUNT_MASK;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *w = word(q, q->first + 1 + i);
        if (!is_settled(s, *w))
            return w;
    }
    return NULL;
}

/* Whom the first entry waits for from now on, or that it need not wait. */
static void await_first(struct settle *s, const struct settle_queue *q)
{
    const uint64_t *w = find_unsettled(s, q);
    if (w == NULL)
        s->has_news = true;
    else if (!is_own(s, *w))
        s->awaited |= UINT64_C(1) << worker_of(*w);
}

void settle_acknowledge(struct settle *settle, struct settle_queue *queue,
                        const struct publisher_ack *ack, uint64_t workers, uint64_t kept)
{
    bool is_first = settle_queue_is_empty(queue);
    if (workers == 0 && kept == 0 && is_first) {
        tell(settle, queue, ack, queue->is_left);
        return;
    }
    append(settle, queue, ack, workers, kept);
    if (is_first)
        await_first(settle, queue);
    queue->puback_count += ack->type == PACKET_PUBACK && !queue->is_left;
}

static bool has_crossed(const struct settle *s, const struct settle_queue *q)
{
    uint32_t count = (uint32_t)*word(q, q->first) & COUNT_MASK;
    return count > 0 && !is_own(s, *word(q, q->first + 1));
}

static void send_first(struct settle *s, struct settle_queue *q)
{
    uint64_t head = *word(q, q->first);
    struct publisher_ack ack = {
        .packet_id = (uint16_t)(head >> PACKET_SHIFT),
        .reason = (uint16_t)(head >> REASON_SHIFT),
        .type = head >> TYPE_SHIFT & TYPE_MASK,
        .has_crossed = has_crossed(s, q),
    };
    q->first += 1 + ((uint32_t)head & COUNT_MASK);
    if ((head & UNHEARD) == 0)
        q->puback_count -= ack.type == PACKET_PUBACK;
    tell(s, q, &ack, (head & UNHEARD) != 0);
}

/* -- refused -- */

/* Does an entry wait for the disk of another worker; or (`of_any`) for any? */
static bool waits_for_disk(const struct settle *s, const struct settle_queue *q, uint32_t entry,
                           bool of_any)
{
    uint32_t count = (uint32_t)*word(q, entry) & COUNT_MASK;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t w = *word(q, entry + 1 + i);
        bool is_asked = of_any || !is_own(s, w);
        if (is_asked && !is_takers(s, w) && !is_settled(s, w))
            return true;
    }
    return false;
}

/* The refusal of a record that an entry waits for, or NULL. Our own word is the last. */
static const struct settle_refused *find_refused(const struct settle *s,
                                                 const struct settle_queue *q, uint32_t entry)
{
    uint32_t end = next_entry(q, entry);
    uint64_t w = *word(q, end - 1);
    if (end == entry + 1 || !is_own(s, w))
        return NULL;
    uint32_t last = (uint32_t)w;
    uint32_t first = last - (uint32_t)(w >> RECORDS_SHIFT) + 1;
    for (unsigned i = 0; i < s->refused_count; i++) {
        const struct settle_refused *r = &s->refused[i];
        if ((int32_t)(last - (uint32_t)r->first) >= 0 && (int32_t)((uint32_t)r->last - first) >= 0)
            return r;
    }
    return NULL;
}

/* While the disk fails it is tried again with all that waits: what nobody refused is not to be
 * repeated, as it would come twice to who has it already. */
static bool is_pubrec(uint64_t head)
{
    return (head >> TYPE_SHIFT & TYPE_MASK) == PACKET_PUBREC;
}

/* True when it is so from now on. */
static bool refuse(uint64_t *head, enum mqtt_reason reason)
{
    unsigned type = *head >> TYPE_SHIFT & TYPE_MASK;
    bool is_answer = type == PACKET_PUBACK || type == PACKET_PUBREC;
    if (!is_answer || (*head & REFUSED) != 0)
        return false;
    *head &= ~((uint64_t)UINT16_MAX << REASON_SHIFT);
    *head |= (uint64_t)(uint16_t)reason << REASON_SHIFT | REFUSED;
    return true;
}

static void refuse_waiting(struct settle *s, bool of_any, enum mqtt_reason reason)
{
    list_for_each(node, &s->waiting) {
        struct settle_queue *q = list_owner(node, struct settle_queue, node);
        for (uint32_t i = q->first; i != q->end; i = next_entry(q, i))
            if (waits_for_disk(s, q, i, of_any) && !(of_any && is_pubrec(*word(q, i))))
                s->has_news |= refuse(word(q, i), reason);
    }
}

/* One walk for as many as came: a full disk refuses a thousand records in a turn. */
static void refuse_marked(struct settle *s)
{
    list_for_each(node, &s->waiting) {
        struct settle_queue *q = list_owner(node, struct settle_queue, node);
        for (uint32_t i = q->first; i != q->end; i = next_entry(q, i)) {
            const struct settle_refused *r = find_refused(s, q, i);
            if (r != NULL)
                s->has_news |= refuse(word(q, i), r->reason);
        }
    }
    s->refused_count = 0;
}

void settle_refuse(struct settle *settle, uint64_t serial, enum mqtt_reason reason)
{
    struct settle_refused *last =
        settle->refused_count == 0 ? NULL : &settle->refused[settle->refused_count - 1];
    if (last != NULL && serial == last->last + 1 && reason == last->reason) {
        last->last = serial;
        return;
    }
    if (settle->refused_count == SETTLE_REFUSED_MAX)
        refuse_marked(settle);
    settle->refused[settle->refused_count++] = (struct settle_refused){serial, serial, reason};
}

void settle_refuse_workers(struct settle *settle, enum mqtt_reason reason)
{
    refuse_waiting(settle, false, reason);
}

void settle_refuse_all(struct settle *settle, enum mqtt_reason reason)
{
    refuse_waiting(settle, true, reason);
}

/* How far beyond `position` an entry waits for this worker; UINT32_MAX: it does not. */
static uint32_t distance(const struct settle *s, const struct settle_queue *q, uint32_t entry,
                         unsigned worker, uint32_t position)
{
    uint32_t count = (uint32_t)*word(q, entry) & COUNT_MASK;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t w = *word(q, entry + 1 + i);
        if (!is_own(s, w) && worker_of(w) == worker && (int32_t)((uint32_t)w - position) >= 0)
            return (uint32_t)w - position;
    }
    return UINT32_MAX;
}

/* The message's own acknowledgement is the one that waits for the least. */
void settle_refuse_position(struct settle *settle, unsigned worker, uint32_t position,
                            enum mqtt_reason reason)
{
    uint64_t *nearest = NULL;
    uint32_t least = UINT32_MAX;
    list_for_each(node, &settle->waiting) {
        struct settle_queue *q = list_owner(node, struct settle_queue, node);
        for (uint32_t i = q->first; i != q->end; i = next_entry(q, i)) {
            uint32_t d = distance(settle, q, i, worker, position);
            if (d < least) {
                least = d;
                nearest = word(q, i);
            }
        }
    }
    if (nearest != NULL)
        settle->has_news |= refuse(nearest, reason);
}

/* -- each turn -- */

void settle_release(struct settle *settle)
{
    if (settle->refused_count > 0)
        refuse_marked(settle);
    if (list_is_empty(&settle->waiting) || (!settle->hears_first && !has_moved(settle)))
        return;
    look_at_all(settle);
    settle->awaited = 0;
    settle->has_news = false;
    list_for_each(node, &settle->waiting) {
        struct settle_queue *q = list_owner(node, struct settle_queue, node);
        while (!settle_queue_is_empty(q) && find_unsettled(settle, q) == NULL)
            send_first(settle, q);
        if (settle_queue_is_empty(q))
            list_remove(&q->node);
        else
            await_first(settle, q);
    }
}

/* The committer rings ours without being asked. */
bool settle_may_sleep(struct settle *settle)
{
    if (list_is_empty(&settle->waiting))
        return true;
    for (uint64_t left = settle->awaited; left != 0; left &= left - 1)
        (void)ring_want_settled(&settle->mesh->out[__builtin_ctzll(left)], 0);
    return !has_moved(settle);
}
