#include "tests/fake/fake_conn.h"

#include "common/base/check.h"
#include "common/mqtt/frame.h"

#include <stdlib.h>
#include <string.h>

enum { LOW_WATER_SHARE = 8 /* as in worker/net/conn.c */ };

static struct fake_conn *fake_of(struct conn *conn)
{
    return list_owner(conn, struct fake_conn, conn);
}

void fake_conn_open(struct fake_conn *fake, struct conn_context *context, enum mqtt_version version)
{
    *fake = (struct fake_conn){.conn = {.context = context}};
    fake->conn.state = CONN_OPEN;
    fake->conn.version = (uint8_t)version;
}

void fake_conn_close(struct fake_conn *fake)
{
    fake_conn_drain(fake);
    free(fake->data);
    *fake = (struct fake_conn){0};
}

void fake_conn_drain(struct fake_conn *fake)
{
    fake->conn.sent_total += (uint32_t)(fake->size - fake->sent);
    fake->sent = fake->size;
    fake->conn.over_low_water = false;
    while (fake->shared_count > 0) {
        const struct fake_shared *shared = &fake->shared[--fake->shared_count];
        shared->give_back(shared->owner);
    }
}

static void take_publish(struct reader *r, enum mqtt_version version, struct fake_packet *packet)
{
    packet->topic = reader_bytes16(r);
    if (packet->qos > 0)
        packet->packet_id = reader_u16(r);
    if (version == MQTT_V5)
        packet->properties = reader_bytes(r, reader_varint(r));
    packet->payload = reader_bytes(r, reader_left(r));
}

bool fake_conn_next(struct fake_conn *fake, struct fake_packet *ret_packet)
{
    struct bytes left = bytes_from((struct bytes){fake->data, fake->size}, fake->read);
    struct frame_header header;
    if (left.size == 0)
        return false;
    check(frame_parse(left, &header) == FRAME_HEADER);
    struct reader r = reader_of(bytes_from(left, header.header_size));
    r = reader_of(reader_bytes(&r, header.remaining_size));
    *ret_packet = (struct fake_packet){
        .type = header.type,
        .size = (size_t)header.header_size + header.remaining_size,
    };
    if (header.type == PACKET_PUBLISH) {
        ret_packet->qos = (enum qos)(header.flags >> 1 & 3);
        ret_packet->dup = (header.flags & 8) != 0;
        ret_packet->retain = (header.flags & 1) != 0;
        take_publish(&r, (enum mqtt_version)fake->conn.version, ret_packet);
    } else {
        ret_packet->packet_id = reader_u16(&r);
    }
    check(!r.bad && ret_packet->size <= left.size);
    fake->read += ret_packet->size;
    return true;
}

static bool make_room(struct fake_conn *fake, size_t size)
{
    uint8_t *data = realloc(fake->data, fake->size + size);
    if (data != NULL)
        fake->data = data;
    return data != NULL;
}

static void grow(struct fake_conn *fake, size_t size)
{
    fake->size += size;
    if (conn_backlog(&fake->conn) >
        fake->conn.context->tunable->output_buffer_max / LOW_WATER_SHARE)
        fake->conn.over_low_water = true;
}

uint8_t *conn_reserve(struct conn *conn, size_t size)
{
    struct fake_conn *fake = fake_of(conn);
    if (conn->state >= CONN_CLOSING || fake->is_out_of_memory || !make_room(fake, size))
        return NULL;
    return fake->data + fake->size;
}

void conn_commit(struct conn *conn, size_t size)
{
    grow(fake_of(conn), size);
}

bool conn_append_shared(struct conn *conn, struct bytes body, void (*give_back)(void *owner),
                        void *owner)
{
    struct fake_conn *fake = fake_of(conn);
    check(fake->shared_count < FAKE_CONN_SHARED_MAX);
    if (conn->state >= CONN_CLOSING || !make_room(fake, body.size))
        return false;
    memcpy(fake->data + fake->size, body.data, body.size);
    grow(fake, body.size);
    fake->shared[fake->shared_count++] = (struct fake_shared){body, give_back, owner};
    return true;
}

size_t conn_backlog(const struct conn *conn)
{
    const struct fake_conn *fake =
        (const struct fake_conn *)(const void *)((const char *)conn -
                                                 offsetof(struct fake_conn, conn));
    return fake->size - fake->sent;
}

void conn_hold(struct conn *conn)
{
    check(conn->holds < UINT16_MAX);
    conn->holds++;
}

void conn_unhold(struct conn *conn)
{
    check(conn->holds > 0);
    conn->holds--;
}

void conn_close(struct conn *conn, enum mqtt_reason reason)
{
    if (conn->state >= CONN_CLOSING)
        return;
    conn->state = CONN_CLOSING;
    conn->end_reason = (uint16_t)reason;
}
