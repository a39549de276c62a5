#include "master/store/durable/durable_batch.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

static struct bytes key_of_change(const void *item)
{
    const struct durable_change *change = item;
    return durable_key_bytes(&change->key);
}

static struct bytes key_of_body(const void *item)
{
    const struct durable_body *body = item;
    return (struct bytes){(const uint8_t *)&body->message_id, sizeof body->message_id};
}

void durable_batch_init(struct durable_batch *batch, const struct hash_key *key)
{
    *batch = (struct durable_batch){0};
    map_init(&batch->by_key, key_of_change, key);
    map_init(&batch->bodies, key_of_body, key);
    list_init(&batch->changes);
    list_init(&batch->looked_up);
}

void durable_batch_done(struct durable_batch *batch)
{
    durable_batch_clear(batch);
    check(batch->bodies.count == 0);
    map_done(&batch->by_key);
    map_done(&batch->bodies);
}

/* -- bodies -- */

static struct durable_body *find_body(const struct durable_batch *batch, uint64_t message_id)
{
    return map_get(&batch->bodies, (struct bytes){(const uint8_t *)&message_id, sizeof message_id});
}

struct durable_body *durable_batch_body(struct durable_batch *batch, uint64_t message_id)
{
    struct durable_body *body = find_body(batch, message_id);
    if (body == NULL) {
        body = calloc(1, sizeof *body);
        if (body == NULL)
            fatal("no memory for the journal");
        body->message_id = message_id;
        list_init(&body->node);
        if (map_put(&batch->bodies, body) < 0)
            fatal("no memory for the journal");
    }
    body->holders++;
    return body;
}

void durable_batch_set_body(struct durable_body *body, const struct record_message *message,
                            uint8_t *memory)
{
    if (body->is_known) {
        free(memory); /* another worker sent it too */
        return;
    }
    body->is_known = true;
    body->message = *message;
    body->memory = memory;
}

static struct bytes move(struct bytes piece, uint8_t **place)
{
    struct bytes moved = {*place, piece.size};
    if (piece.size > 0)
        memcpy(*place, piece.data, piece.size);
    *place += piece.size;
    return moved;
}

void durable_batch_own_body(struct durable_body *body)
{
    struct record_message *m = &body->message;
    if (body->memory != NULL || !body->is_known)
        return;
    uint8_t *place =
        malloc(m->topic.size + m->properties.size + m->client_id.size + m->payload.size);
    if (place == NULL)
        fatal("no memory for the journal");
    body->memory = place;
    m->topic = move(m->topic, &place);
    m->properties = move(m->properties, &place);
    m->client_id = move(m->client_id, &place);
    m->payload = move(m->payload, &place);
    m->groups = (struct bytes){NULL, 0};
}

void durable_batch_put_body(struct durable_batch *batch, struct durable_body *body)
{
    if (body == NULL || --body->holders > 0)
        return;
    map_remove(&batch->bodies, key_of_body(body));
    free(body->memory);
    free(body);
}

/* -- changes -- */

struct durable_change *durable_batch_find(const struct durable_batch *batch,
                                          const struct durable_key *key)
{
    return map_get(&batch->by_key, durable_key_bytes(key));
}

static void forget_superseded(struct durable_change *change)
{
    for (struct durable_superseded *s; (s = change->superseded) != NULL;) {
        change->superseded = s->next;
        free(s);
    }
}

static void note_superseded(struct durable_change *change)
{
    struct durable_superseded *s = malloc(sizeof *s);
    if (s == NULL)
        fatal("no memory for the journal");
    *s = (struct durable_superseded){change->superseded, change->journal.serial, change->worker};
    change->superseded = s;
}

void durable_batch_drop(struct durable_batch *batch, struct durable_change *change)
{
    forget_superseded(change);
    map_remove(&batch->by_key, durable_key_bytes(&change->key));
    list_remove(&change->node);
    batch->count--;
    durable_batch_put_body(batch, change->body);
    free(change);
}

void durable_batch_clear(struct durable_batch *batch)
{
    list_for_each(node, &batch->changes)
        durable_batch_drop(batch, list_owner(node, struct durable_change, node));
}

/* The change of this row, as it stands or new; `*ret_is_new` tells which. */
static struct durable_change *touch(struct durable_batch *batch, const struct durable_key *key,
                                    bool *ret_is_new)
{
    struct durable_change *change = durable_batch_find(batch, key);
    *ret_is_new = change == NULL;
    if (change != NULL)
        return change;
    change = calloc(1, sizeof *change);
    if (change == NULL)
        fatal("no memory for the journal");
    change->key = *key;
    if (map_put(&batch->by_key, change) < 0)
        fatal("no memory for the journal");
    list_push_back(&batch->changes, &change->node);
    batch->count++;
    return change;
}

/* The row becomes what `journal` says, whatever was before. */
static struct durable_change *set(struct durable_batch *batch, unsigned worker,
                                  struct durable_key key, const struct record_journal *journal,
                                  enum durable_action action)
{
    bool is_new;
    struct durable_change *change = touch(batch, &key, &is_new);
    durable_batch_put_body(batch, change->body);
    change->body = NULL;
    if (action != DURABLE_PUT)
        forget_superseded(change); /* that is never refused */
    else if (!is_new && change->action == DURABLE_PUT)
        note_superseded(change);
    change->action = action;
    change->worker = worker;
    change->journal = *journal;
    return change;
}

static void add_enqueue(struct durable_batch *batch, unsigned worker,
                        const struct record_journal *journal)
{
    struct durable_key key = durable_key_pair(DURABLE_QUEUE, journal->session, journal->seq);
    struct durable_change *change = set(batch, worker, key, journal, DURABLE_PUT);
    if (journal->released)
        change->journal.message_id = change->journal.bytes = 0;
    else
        change->body = durable_batch_body(batch, journal->message_id);
}

/* SENT and RELEASED change a delivery that is in the batch, or on disk. */
static void add_progress(struct durable_batch *batch, unsigned worker,
                         const struct record_journal *journal)
{
    struct durable_key key = durable_key_pair(DURABLE_QUEUE, journal->session, journal->seq);
    bool is_new;
    struct durable_change *change = touch(batch, &key, &is_new);
    if (is_new) {
        change->action = DURABLE_UPDATE;
        change->worker = worker;
        change->journal = *journal;
        change->journal.packet_id = 0;
    }
    if (journal->kind == RECORD_SENT) {
        change->journal.packet_id = journal->packet_id;
        return;
    }
    change->journal.released = true;
    change->journal.message_id = 0;
    change->journal.bytes = 0;
    durable_batch_put_body(batch, change->body);
    change->body = NULL;
}

/* KEEP_RETAINED and KEEP_WILL: the row is the message. */
static bool add_message(struct durable_batch *batch, unsigned worker,
                        const struct record_journal *journal)
{
    bool is_will = journal->kind == RECORD_KEEP_WILL;
    struct durable_body *body = find_body(batch, journal->message_id);
    if (body == NULL || !body->is_known)
        return false;
    struct bytes name = is_will ? body->message.client_id : body->message.topic;
    if (name.size == 0)
        return false;
    bool is_delete = !is_will && body->message.payload.size == 0;
    struct durable_key key = is_will ? durable_key_number(DURABLE_WILL, journal->message_id)
                                     : durable_key_name(DURABLE_RETAINED, name);
    body->holders++;
    struct durable_change *change =
        set(batch, worker, key, journal, is_delete ? DURABLE_DELETE : DURABLE_PUT);
    change->body = body;
    return true;
}

void durable_batch_delete(struct durable_batch *batch, const struct durable_key *key)
{
    set(batch, 0, *key, &(struct record_journal){0}, DURABLE_DELETE);
}

bool durable_batch_add(struct durable_batch *batch, unsigned worker, const struct record_journal *j)
{
    bool is_delete = j->kind == RECORD_SESSION_END || j->kind == RECORD_UNSUBSCRIBE ||
                     j->kind == RECORD_DONE || j->kind == RECORD_RECEIVE_END ||
                     j->kind == RECORD_FORGET_WILL;
    struct durable_key key;
    if (j->kind == RECORD_ENQUEUE) {
        add_enqueue(batch, worker, j);
        return true;
    }
    if (j->kind == RECORD_SENT || j->kind == RECORD_RELEASED) {
        add_progress(batch, worker, j);
        return true;
    }
    if (j->kind == RECORD_KEEP_RETAINED || j->kind == RECORD_KEEP_WILL)
        return add_message(batch, worker, j);
    if (j->kind == RECORD_SESSION || j->kind == RECORD_SESSION_END)
        key = durable_key_number(DURABLE_SESSION, j->session);
    else if (j->kind == RECORD_SUBSCRIBE || j->kind == RECORD_UNSUBSCRIBE)
        key = durable_key_named(DURABLE_SUBSCRIPTION, j->session, j->name);
    else if (j->kind == RECORD_RECEIVED || j->kind == RECORD_RECEIVE_END)
        key = durable_key_pair(DURABLE_RECEIVED, j->session, j->packet_id);
    else if (j->kind == RECORD_DONE)
        key = durable_key_pair(DURABLE_QUEUE, j->session, j->seq);
    else
        key = durable_key_number(DURABLE_WILL, j->message_id);
    set(batch, worker, key, j, is_delete ? DURABLE_DELETE : DURABLE_PUT);
    return true;
}
