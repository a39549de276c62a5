#include "shm/record.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

/*
 * A message is a head and a body:
 *
 *   body       topic | properties | client id | groups | payload
 *   MESSAGE    struct message_head | first bytes of the body, often all
 *   FRAGMENT   struct fragment_head | the next bytes of the body
 *
 * Heads travel as the structs that they are (all processes are one build) and are
 * copied out of the ring before they are looked at, so that they can't change
 * after.
 *
 * A MESSAGE begins anew whatever was in progress: the rest of a message whose
 * producer died never comes. A FRAGMENT that does not continue the message in
 * progress belongs to one whose beginning died with the consumer before us, or
 * was set aside; it is passed over.
 */

enum {
    FLAG_RETAIN = 1,
    FLAG_PLAIN = 2,
    FLAG_REPEAT = 4,
    FLAG_DUP = 8,
    FLAGS_ALL = 15,
    QOS_MAX = 2
};

struct message_head {
    uint64_t message_id;
    uint64_t expiry_at_ms;
    uint32_t payload_size;
    uint32_t properties_size;
    uint32_t publisher;
    uint32_t will_delay_s;
    uint32_t session_expiry_s;
    uint16_t topic_size;
    uint16_t client_id_size;
    uint16_t groups_size;
    uint8_t purpose;
    uint8_t qos;
    uint8_t flags;
    uint8_t hops;
    uint8_t origin;
    uint8_t spare;
};

struct fragment_head {
    uint64_t message_id;
    uint64_t offset; /* in the body */
};

static_assert(sizeof(struct message_head) == 48, "no padding that would leak");
static_assert(sizeof(struct fragment_head) == 16, "no padding that would leak");

/* -- what both sides know -- */

static uint64_t body_size(const struct message_head *head)
{
    return (uint64_t)head->topic_size + head->properties_size + head->client_id_size +
           head->groups_size + head->payload_size;
}

static bool is_valid(const struct message_head *head)
{
    if (head->purpose < RECORD_FOR_DELIVERY || head->purpose > RECORD_FOR_JOURNAL)
        return false;
    if (head->qos > QOS_MAX || (head->flags & ~FLAGS_ALL) != 0)
        return false;
    if (head->purpose == RECORD_FOR_WILL && head->client_id_size == 0)
        return false;
    if (head->origin >= MESH_PEERS_MAX)
        return false;
    if (head->groups_size % sizeof(struct hash128) != 0)
        return false;
    return head->topic_size > 0 && head->groups_size <= RECORD_GROUPS_MAX * sizeof(struct hash128);
}

/* -- the sender -- */

static struct message_head head_of(const struct record_message *message)
{
    check(message->topic.size <= UINT16_MAX && message->client_id.size <= UINT16_MAX);
    check(message->groups.size <= UINT16_MAX);
    check(message->properties.size <= UINT32_MAX && message->payload.size <= UINT32_MAX);
    return (struct message_head){
        .message_id = message->message_id,
        .expiry_at_ms = message->expiry_at_ms,
        .payload_size = (uint32_t)message->payload.size,
        .properties_size = (uint32_t)message->properties.size,
        .publisher = message->publisher,
        .will_delay_s = message->will_delay_s,
        .session_expiry_s = message->session_expiry_s,
        .topic_size = (uint16_t)message->topic.size,
        .client_id_size = (uint16_t)message->client_id.size,
        .groups_size = (uint16_t)message->groups.size,
        .purpose = (uint8_t)message->purpose,
        .qos = message->qos,
        .flags = (uint8_t)((message->retain ? FLAG_RETAIN : 0) | (message->plain ? FLAG_PLAIN : 0) |
                           (message->repeat ? FLAG_REPEAT : 0) | (message->dup ? FLAG_DUP : 0)),
        .hops = message->hops,
        .origin = message->origin,
    };
}

/* A copy of some of the body on its way. */
struct copy {
    uint8_t *place;
    size_t skip; /* bytes of the body before those that are wanted */
    size_t left; /* bytes that are wanted */
};

static void copy_piece(struct copy *copy, struct bytes piece)
{
    size_t step;

    if (copy->skip >= piece.size) {
        copy->skip -= piece.size;
        return;
    }
    step = piece.size - copy->skip;
    if (step > copy->left)
        step = copy->left;
    memcpy(copy->place, piece.data + copy->skip, step);
    copy->place += step;
    copy->left -= step;
    copy->skip = 0;
}

/* Copies `size` bytes of the body, from `offset` on, to `place`. */
static void copy_body(uint8_t *place, const struct record_message *message, size_t offset,
                      size_t size)
{
    struct copy copy = {.place = place, .skip = offset, .left = size};

    copy_piece(&copy, message->topic);
    copy_piece(&copy, message->properties);
    copy_piece(&copy, message->client_id);
    copy_piece(&copy, message->groups);
    copy_piece(&copy, message->payload);
}

/* Room for a record with a head and as much of the `left` bytes of the body as
 * goes in, which is *ret_chunk; NULL when the ring is full. */
static uint8_t *reserve(struct mesh *mesh, unsigned peer, size_t head_size, size_t left,
                        size_t *ret_chunk)
{
    size_t chunk_max = ring_record_max(&mesh->out[peer]) - head_size;
    size_t chunk = left < chunk_max ? left : chunk_max;

    *ret_chunk = chunk;
    return mesh_reserve(mesh, peer, (uint32_t)(head_size + chunk));
}

static bool put_first(struct mesh *mesh, unsigned peer, const struct record_message *message,
                      const struct message_head *head, struct record_sender *sender)
{
    size_t chunk;
    uint8_t *room = reserve(mesh, peer, sizeof *head, (size_t)body_size(head), &chunk);

    if (room == NULL)
        return false;
    memcpy(room, head, sizeof *head);
    copy_body(room + sizeof *head, message, 0, chunk);
    mesh_commit(mesh, peer, (uint32_t)(sizeof *head + chunk), RECORD_MESSAGE);
    sender->begun = true;
    sender->sent = chunk;
    return true;
}

static bool put_next(struct mesh *mesh, unsigned peer, const struct record_message *message,
                     size_t left, struct record_sender *sender)
{
    struct fragment_head head = {.message_id = message->message_id, .offset = sender->sent};
    size_t chunk;
    uint8_t *room = reserve(mesh, peer, sizeof head, left, &chunk);

    if (room == NULL)
        return false;
    memcpy(room, &head, sizeof head);
    copy_body(room + sizeof head, message, sender->sent, chunk);
    mesh_commit(mesh, peer, (uint32_t)(sizeof head + chunk), RECORD_FRAGMENT);
    sender->sent += chunk;
    return true;
}

bool record_put_message(struct mesh *mesh, unsigned peer, const struct record_message *message,
                        struct record_sender *sender)
{
    struct message_head head = head_of(message);
    size_t total = (size_t)body_size(&head);

    check(is_valid(&head));
    if (!sender->begun && !put_first(mesh, peer, message, &head, sender))
        return false;
    while (sender->sent < total) {
        if (!put_next(mesh, peer, message, total - sender->sent, sender))
            return false;
    }
    return true;
}

/* -- the receiver -- */

/* Everything but where the pieces are. */
static void set_message(struct record_message *message, const struct message_head *head)
{
    message->purpose = (enum record_purpose)head->purpose;
    message->message_id = head->message_id;
    message->expiry_at_ms = head->expiry_at_ms;
    message->publisher = head->publisher;
    message->will_delay_s = head->will_delay_s;
    message->session_expiry_s = head->session_expiry_s;
    message->qos = head->qos;
    message->retain = (head->flags & FLAG_RETAIN) != 0;
    message->plain = (head->flags & FLAG_PLAIN) != 0;
    message->repeat = (head->flags & FLAG_REPEAT) != 0;
    message->dup = (head->flags & FLAG_DUP) != 0;
    message->hops = head->hops;
    message->origin = head->origin;
    message->topic.size = head->topic_size;
    message->properties.size = head->properties_size;
    message->client_id.size = head->client_id_size;
    message->groups.size = head->groups_size;
    message->payload.size = head->payload_size;
}

/* Points the pieces of a message, whose sizes are set, into its whole body. */
static void point_into(struct record_message *message, const uint8_t *body)
{
    message->topic.data = body;
    message->properties.data = message->topic.data + message->topic.size;
    message->client_id.data = message->properties.data + message->properties.size;
    message->groups.data = message->client_id.data + message->client_id.size;
    message->payload.data = message->groups.data + message->groups.size;
}

static size_t assembly_total(const struct record_assembly *assembly)
{
    struct message_head head = head_of(&assembly->message);

    return (size_t)body_size(&head);
}

/* Makes room for `needed` bytes of the `total`, doubling: a head that promises
 * much costs no more memory than twice what came. */
static bool grow(struct record_assembly *assembly, size_t needed, size_t total)
{
    size_t size = assembly->size <= total / 2 ? assembly->size * 2 : total;
    uint8_t *memory;

    if (needed <= assembly->size)
        return true;
    if (size < needed)
        size = needed;
    memory = realloc(assembly->memory, size);
    if (memory == NULL)
        return false;
    assembly->memory = memory;
    assembly->size = size;
    return true;
}

/* Adds the next bytes of the body, which are not more than are missing. Without
 * memory the message is lost. */
static enum record_progress add(struct record_assembly *assembly, struct bytes chunk,
                                struct record_message *ret_message)
{
    size_t total = assembly_total(assembly);

    if (!grow(assembly, assembly->filled + chunk.size, total)) {
        record_assembly_done(assembly);
        return RECORD_PARTIAL;
    }
    memcpy(assembly->memory + assembly->filled, chunk.data, chunk.size);
    assembly->filled += chunk.size;
    if (assembly->filled < total)
        return RECORD_PARTIAL;
    *ret_message = assembly->message;
    point_into(ret_message, assembly->memory);
    return RECORD_WHOLE;
}

/* Copies the first `size` bytes of a record to `head`; the rest is *ret_chunk. */
static bool split(const struct ring_record *record, void *head, size_t size,
                  struct bytes *ret_chunk)
{
    if (record->size <= size) /* nobody sends a head without anything */
        return false;
    memcpy(head, record->data, size);
    *ret_chunk = (struct bytes){record->data + size, record->size - size};
    return true;
}

static enum record_progress get_first(struct record_assembly *assembly,
                                      const struct ring_record *record, size_t memory_max,
                                      struct record_message *ret_message)
{
    struct message_head head;
    struct bytes chunk;

    record_assembly_done(assembly);
    if (!split(record, &head, sizeof head, &chunk) || !is_valid(&head))
        return RECORD_BROKEN;
    if (chunk.size == body_size(&head)) {
        set_message(ret_message, &head);
        point_into(ret_message, chunk.data);
        return RECORD_WHOLE;
    }
    if (chunk.size > body_size(&head) || body_size(&head) > memory_max)
        return RECORD_BROKEN;
    set_message(&assembly->message, &head);
    return add(assembly, chunk, ret_message);
}

static enum record_progress get_next(struct record_assembly *assembly,
                                     const struct ring_record *record,
                                     struct record_message *ret_message)
{
    struct fragment_head head;
    struct bytes chunk;

    if (!split(record, &head, sizeof head, &chunk)) {
        record_assembly_done(assembly);
        return RECORD_BROKEN;
    }
    if (assembly->memory == NULL)
        return RECORD_PARTIAL;
    if (head.message_id != assembly->message.message_id || head.offset != assembly->filled) {
        record_assembly_done(assembly);
        return RECORD_PARTIAL;
    }
    if (chunk.size > assembly_total(assembly) - assembly->filled) {
        record_assembly_done(assembly);
        return RECORD_BROKEN;
    }
    return add(assembly, chunk, ret_message);
}

enum record_progress record_get_message(struct record_assembly *assembly,
                                        const struct ring_record *record, size_t memory_max,
                                        struct record_message *ret_message)
{
    if (record->kind == RECORD_MESSAGE)
        return get_first(assembly, record, memory_max, ret_message);
    if (record->kind == RECORD_FRAGMENT)
        return get_next(assembly, record, ret_message);
    return RECORD_BROKEN;
}

void record_assembly_done(struct record_assembly *assembly)
{
    if (assembly->memory == NULL)
        return;
    free(assembly->memory);
    *assembly = (struct record_assembly){0};
}
