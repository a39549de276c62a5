#include "shm/record.h"

#include "common/base/check.h"

#include <string.h>

/*
 * All records but messages (record_message.c): fixed fields through writer and
 * reader, then at most one name, which is the rest. Each fits into one record of
 * the ring.
 */

enum {
    FLAG_ANY = 1,
    FLAG_PERSISTENT = 2,
    REASON_ERRORS = 0x80 /* this and above: an error */
};

/* Starts a record of `kind` that takes `size` bytes. False when the ring is
 * full; else the writer has just this room, and finish() keeps it. */
static bool start(struct mesh *mesh, unsigned peer, size_t size, struct writer *ret_writer)
{
    uint8_t *room;

    check(size <= ring_record_max(&mesh->out[peer]));
    room = mesh_reserve(mesh, peer, (uint32_t)size);
    if (room == NULL)
        return false;
    *ret_writer = writer_of(room, size);
    return true;
}

static void finish(struct mesh *mesh, unsigned peer, size_t size, enum record_kind kind,
                   const struct writer *writer)
{
    check(!writer->bad && writer_left(writer) == 0);
    mesh_commit(mesh, peer, (uint32_t)size, (uint16_t)kind);
}

static struct reader reader_for(const struct ring_record *record, enum record_kind kind)
{
    struct reader reader = reader_of((struct bytes){record->data, record->size});

    reader.bad = record->kind != (uint16_t)kind;
    return reader;
}

/* Was everything there, and no more? */
static bool is_done(const struct reader *reader)
{
    return !reader->bad && reader_left(reader) == 0;
}

/* All that is left: a name, which is not empty and at most 65535 bytes. */
static struct bytes take_name(struct reader *reader)
{
    struct bytes name = reader_bytes(reader, reader_left(reader));

    if (name.size == 0 || name.size > UINT16_MAX)
        reader->bad = true;
    return name;
}

static bool put_number(struct mesh *mesh, unsigned peer, enum record_kind kind, uint64_t number)
{
    struct writer writer;

    if (!start(mesh, peer, sizeof number, &writer))
        return false;
    writer_u64(&writer, number);
    finish(mesh, peer, sizeof number, kind, &writer);
    return true;
}

static bool get_number(const struct ring_record *record, enum record_kind kind,
                       uint64_t *ret_number)
{
    struct reader reader = reader_for(record, kind);
    uint64_t number = reader_u64(&reader);

    if (!is_done(&reader))
        return false;
    *ret_number = number;
    return true;
}

bool record_put_hold(struct mesh *mesh, unsigned peer, bool hold, uint32_t publisher)
{
    return put_number(mesh, peer, hold ? RECORD_HOLD : RECORD_UNHOLD, publisher);
}

static bool get_number32(const struct ring_record *record, uint16_t kind, uint32_t *ret_number)
{
    uint64_t number;

    if (!get_number(record, kind, &number) || number > UINT32_MAX)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

bool record_get_hold(const struct ring_record *record, uint32_t *ret_publisher)
{
    bool hold = record->kind == RECORD_HOLD;

    return get_number32(record, hold ? RECORD_HOLD : RECORD_UNHOLD, ret_publisher);
}

bool record_put_overflow(struct mesh *mesh, unsigned peer, uint32_t position)
{
    return put_number(mesh, peer, RECORD_OVERFLOW, position);
}

bool record_get_overflow(const struct ring_record *record, uint32_t *ret_position)
{
    return get_number32(record, RECORD_OVERFLOW, ret_position);
}

bool record_put_reset(struct mesh *mesh, unsigned peer, uint64_t serial)
{
    return put_number(mesh, peer, RECORD_RESET, serial);
}

bool record_get_reset(const struct ring_record *record, uint64_t *ret_serial)
{
    return get_number(record, RECORD_RESET, ret_serial);
}

bool record_put_filter(struct mesh *mesh, unsigned peer, const struct record_filter *filter)
{
    size_t size = sizeof filter->serial + 1 + filter->filter.size;
    struct writer writer;

    if (!start(mesh, peer, size, &writer))
        return false;
    writer_u64(&writer, filter->serial);
    writer_u8(&writer,
              (uint8_t)((filter->any ? FLAG_ANY : 0) | (filter->persistent ? FLAG_PERSISTENT : 0)));
    writer_bytes(&writer, filter->filter);
    finish(mesh, peer, size, RECORD_FILTER, &writer);
    return true;
}

bool record_get_filter(const struct ring_record *record, struct record_filter *ret_filter)
{
    struct reader reader = reader_for(record, RECORD_FILTER);
    uint64_t serial = reader_u64(&reader);
    uint8_t flags = reader_u8(&reader);
    struct bytes filter = take_name(&reader);

    if (!is_done(&reader) || (flags & ~(FLAG_ANY | FLAG_PERSISTENT)) != 0)
        return false;
    *ret_filter = (struct record_filter){.serial = serial,
                                         .any = (flags & FLAG_ANY) != 0,
                                         .persistent = (flags & FLAG_PERSISTENT) != 0,
                                         .filter = filter};
    return true;
}

bool record_put_group(struct mesh *mesh, unsigned peer, const struct record_group *group)
{
    size_t size = sizeof group->serial + sizeof group->online + sizeof group->offline +
                  sizeof group->id.bytes + group->filter.size;
    struct writer writer;

    if (!start(mesh, peer, size, &writer))
        return false;
    writer_u64(&writer, group->serial);
    writer_u32(&writer, group->online);
    writer_u32(&writer, group->offline);
    writer_bytes(&writer, (struct bytes){group->id.bytes, sizeof group->id.bytes});
    writer_bytes(&writer, group->filter);
    finish(mesh, peer, size, RECORD_GROUP, &writer);
    return true;
}

bool record_get_group(const struct ring_record *record, struct record_group *ret_group)
{
    struct reader reader = reader_for(record, RECORD_GROUP);
    struct record_group group = {.serial = reader_u64(&reader)};
    struct bytes id;

    group.online = reader_u32(&reader);
    group.offline = reader_u32(&reader);
    id = reader_bytes(&reader, sizeof group.id.bytes);
    group.filter = take_name(&reader);
    if (!is_done(&reader))
        return false;
    memcpy(group.id.bytes, id.data, sizeof group.id.bytes);
    *ret_group = group;
    return true;
}

bool record_put_will_clear(struct mesh *mesh, unsigned peer, struct bytes client_id)
{
    struct writer writer;

    if (!start(mesh, peer, client_id.size, &writer))
        return false;
    writer_bytes(&writer, client_id);
    finish(mesh, peer, client_id.size, RECORD_WILL_CLEAR, &writer);
    return true;
}

bool record_get_will_clear(const struct ring_record *record, struct bytes *ret_client_id)
{
    struct reader reader = reader_for(record, RECORD_WILL_CLEAR);
    struct bytes client_id = take_name(&reader);

    if (!is_done(&reader))
        return false;
    *ret_client_id = client_id;
    return true;
}

bool record_put_confirm(struct mesh *mesh, unsigned peer, uint64_t serial)
{
    return put_number(mesh, peer, RECORD_CONFIRM, serial);
}

bool record_get_confirm(const struct ring_record *record, uint64_t *ret_serial)
{
    return get_number(record, RECORD_CONFIRM, ret_serial);
}

bool record_put_refuse(struct mesh *mesh, unsigned peer, uint64_t serial, enum mqtt_reason reason)
{
    size_t size = sizeof serial + 1;
    struct writer writer;

    if (!start(mesh, peer, size, &writer))
        return false;
    writer_u64(&writer, serial);
    writer_u8(&writer, (uint8_t)reason);
    finish(mesh, peer, size, RECORD_REFUSE, &writer);
    return true;
}

bool record_get_refuse(const struct ring_record *record, uint64_t *ret_serial,
                       enum mqtt_reason *ret_reason)
{
    struct reader reader = reader_for(record, RECORD_REFUSE);
    uint64_t serial = reader_u64(&reader);
    uint8_t reason = reader_u8(&reader);

    if (!is_done(&reader) || reason < REASON_ERRORS)
        return false;
    *ret_serial = serial;
    *ret_reason = (enum mqtt_reason)reason;
    return true;
}
