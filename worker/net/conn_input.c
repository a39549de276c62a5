#include "worker/net/conn_input.h"

#include "common/base/check.h"
#include "worker/net/handoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* With what came behind it in one piece it has to fit into a hand-off. */
    CONNECT_SIZE_MAX = HANDOFF_BYTES_MAX - LOOP_ONCE_MAX,
    PARTIAL_SIZE_MIN = 256
};

static bool may_read(const struct conn *conn)
{
    return (conn->state == CONN_FRESH || conn->state == CONN_OPEN) && conn->holds == 0;
}

/* -- what is kept -- */

struct bytes conn_input_unread(const struct conn *conn)
{
    struct bytes kept = {.data = conn->partial, .size = conn->partial_size};

    return bytes_from(kept, conn->partial_taken);
}

void conn_input_done(struct conn *conn)
{
    free(conn->partial);
    conn->partial = NULL;
    conn->partial_taken = 0;
    conn->partial_size = 0;
    conn->partial_capacity = 0;
}

/* Doubles, so that a packet is copied about twice however small its pieces are;
 * never by what a header claims. */
static bool grow(struct conn *conn, size_t size)
{
    size_t capacity = 2 * (size_t)conn->partial_capacity;

    if (capacity < PARTIAL_SIZE_MIN)
        capacity = PARTIAL_SIZE_MIN;
    if (capacity < size)
        capacity = size;
    check(capacity <= INT32_MAX); /* a packet, and one turn's buffers */
    uint8_t *memory = realloc(conn->partial, capacity);
    if (memory == NULL)
        return false;
    conn->partial = memory;
    conn->partial_capacity = (uint32_t)capacity;
    return true;
}

static void compact(struct conn *conn)
{
    struct bytes unread = conn_input_unread(conn);

    memmove(conn->partial, unread.data, unread.size);
    conn->partial_taken = 0;
    conn->partial_size = (uint32_t)unread.size;
}

bool conn_input_keep(struct conn *conn, struct bytes data)
{
    if (conn->partial_taken > 0 && conn->partial_size + data.size > conn->partial_capacity)
        compact(conn);
    if (conn->partial_size + data.size > conn->partial_capacity &&
        !grow(conn, conn->partial_size + data.size)) {
        conn_close(conn, REASON_SERVER_BUSY);
        return false;
    }
    memcpy(conn->partial + conn->partial_size, data.data, data.size);
    conn->partial_size += (uint32_t)data.size;
    return true;
}

/* -- packets -- */

static size_t packet_size_max(const struct conn *conn)
{
    size_t max = conn->context->tunable->packet_size_max;

    return conn->state == CONN_FRESH && max > CONNECT_SIZE_MAX ? CONNECT_SIZE_MAX : max;
}

static void close_too_large(struct conn *conn, size_t size, size_t size_max)
{
    char words[REASON_WHY_SIZE_MAX + 1];

    (void)snprintf(words, sizeof(words), "a packet of %zu bytes is above the limit of %zu", size,
                   size_max);
    conn_close_saying(conn, REASON_PACKET_TOO_LARGE, words);
}

/* Size of the packet at the front, or 0 when that is not known yet or the conn was
 * closed for it. `input` is not empty. */
static size_t packet_size(struct conn *conn, struct bytes input, struct frame_header *ret_header)
{
    /* Other protocols are not worth an answer; a CONNECT with wrong flags is. */
    if (conn->state == CONN_FRESH && input.data[0] >> 4 != PACKET_CONNECT) {
        conn_close(conn, REASON_PROTOCOL_ERROR);
        return 0;
    }
    switch (frame_parse(input, ret_header)) {
    case FRAME_PARTIAL:
        return 0;
    case FRAME_MALFORMED:
        conn_close(conn, WHY_PACKET_LENGTH); /* [MQTT-1.5.5-1] */
        return 0;
    case FRAME_HEADER:
        break;
    }
    size_t size = (size_t)ret_header->header_size + ret_header->remaining_size;
    if (size > packet_size_max(conn)) {
        close_too_large(conn, size, packet_size_max(conn));
        return 0;
    }
    return size;
}

/* Hands out the whole packets of `input` from *taken on, which moves along: before
 * each call upward, because a hand-off asks for what is unread. */
static void take_packets(struct conn *conn, struct bytes input, uint32_t *taken)
{
    const struct conn_context *context = conn->context;
    struct frame_header header;

    while (may_read(conn) && *taken < input.size) {
        struct bytes rest = bytes_from(input, *taken);
        size_t size = packet_size(conn, rest, &header);
        if (size == 0 || size > rest.size)
            return;
        struct bytes body = {.data = rest.data + header.header_size, .size = header.remaining_size};
        *taken += (uint32_t)size;
        conn->last_receive_ms = (uint32_t)loop_now_ms(context->loop);
        stats_add(context->stats, STAT_messages_received, 1);
        context->events->on_packet(conn, &header, body);
    }
}

static void take_kept(struct conn *conn)
{
    struct bytes kept = {.data = conn->partial, .size = conn->partial_size};

    take_packets(conn, kept, &conn->partial_taken);
    if (conn->partial_taken == conn->partial_size)
        conn_input_done(conn);
}

/* Bytes that the packet in `partial` lacks, as far as its header tells. */
static size_t missing_size(const struct conn *conn)
{
    struct bytes unread = conn_input_unread(conn);
    struct frame_header header;

    if (frame_parse(unread, &header) != FRAME_HEADER)
        return 1;
    return (size_t)header.header_size + header.remaining_size - unread.size;
}

/* Finishes the packet that is kept, then takes apart in place. Returns what is
 * left over. */
static struct bytes take_in_place(struct conn *conn, struct bytes data)
{
    uint32_t taken = 0;

    while (may_read(conn) && conn->partial_size > 0 && data.size > 0) {
        size_t size = missing_size(conn);
        if (size > data.size)
            size = data.size;
        if (!conn_input_keep(conn, (struct bytes){.data = data.data, .size = size}))
            break;
        data = bytes_from(data, size);
        take_kept(conn);
    }
    take_packets(conn, data, &taken);
    return bytes_from(data, taken);
}

/* -- receiving -- */

static void start_receiving(struct conn *conn)
{
    conn->is_receiving = true;
    if (conn->state == CONN_FRESH)
        stream_receive_once(&conn->stream);
    else
        stream_receive(&conn->stream);
}

static void arrange_receiving(struct conn *conn)
{
    if (conn->state >= CONN_CLOSING)
        return;
    if (may_read(conn) && conn->has_ended) {
        conn_close(conn, REASON_SUCCESS);
    } else if (may_read(conn) && !conn->is_receiving) {
        start_receiving(conn);
    } else if (!may_read(conn) && conn->is_receiving) {
        conn->is_receiving = false;
        stream_receive_stop(&conn->stream);
    }
}

void conn_input_resume(struct conn *conn)
{
    check(!conn->is_busy);
    conn->is_busy = true;
    if (conn->partial_size > 0)
        take_kept(conn);
    conn->is_busy = false;
    arrange_receiving(conn);
}

void conn_input_take(struct conn *conn, struct bytes data)
{
    check(!conn->is_busy);
    conn->is_busy = true;
    if (conn->state == CONN_FRESH) {
        conn->is_receiving = false;
        if (conn_input_keep(conn, data))
            take_kept(conn);
    } else {
        data = take_in_place(conn, data);
        if (data.size > 0 && conn->state < CONN_CLOSING)
            conn_input_keep(conn, data);
    }
    conn->is_busy = false;
    arrange_receiving(conn);
}
