#include "worker/net/conn.h"

#include "common/base/check.h"
#include "common/mqtt/codec_control.h"
#include "shm/listener_count.h"
#include "worker/net/conn_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LAST_BYTES_MS = 1000,
    LOW_WATER_SHARE = 8, /* of output_buffer_max */
    RESUMED_PER_TURN = 256,
    CLOSED_PER_TURN = 128,
    DISCONNECT_SIZE_MAX = 16 + REASON_WHY_SIZE_MAX
};

static struct conn *conn_of(struct stream *stream)
{
    return list_owner(stream, struct conn, stream);
}

/* -- what has to wait for conn_resume_all() -- */

static void schedule(struct conn *conn)
{
    struct conn_context *context = conn->context;

    if (list_is_linked(&conn->resume_node))
        return;
    list_push_back(&context->resume, &conn->resume_node);
    if (!wheel_timer_is_running(&context->resume_timer))
        wheel_start(loop_wheel(context->loop), &context->resume_timer, loop_now_ms(context->loop));
}

/* The turn that this timer has kept from sleeping does the work. */
static void on_resume_timer(struct wheel_timer *timer, void *loop_context)
{
    (void)timer;
    (void)loop_context;
}

static void tell_end(struct conn *conn)
{
    if (conn->end_told)
        return;
    conn->end_told = true;
    conn->context->events->on_end(conn, conn->end_reason);
}

/* Those that it has closed wait behind those that it has not. */
static void close_some(struct conn_context *context)
{
    for (unsigned i = 0; i < CLOSED_PER_TURN && context->left_to_close > 0; i++) {
        struct list_node *node = list_first(&context->all);
        context->left_to_close = node == NULL ? 0 : context->left_to_close - 1;
        if (node == NULL)
            return;
        list_remove(node);
        list_push_back(&context->all, node);
        conn_close(list_owner(node, struct conn, all_node), context->close_reason);
    }
}

bool conn_resume_all(struct conn_context *context)
{
    close_some(context);
    for (unsigned i = 0; i < RESUMED_PER_TURN && !list_is_empty(&context->resume); i++) {
        struct conn *conn = list_owner(list_first(&context->resume), struct conn, resume_node);
        list_remove(&conn->resume_node);
        if (conn->is_detached)
            free(conn);
        else if (conn->state >= CONN_CLOSING)
            tell_end(conn);
        else
            conn_input_resume(conn);
    }
    if (!list_is_empty(&context->resume))
        return true;
    wheel_stop(loop_wheel(context->loop), &context->resume_timer);
    return context->left_to_close > 0;
}

/* -- the end -- */

/* Takes the conn off all lists but that of conn_resume_all(). */
static void unlink_conn(struct conn *conn)
{
    struct conn_context *context = conn->context;

    list_remove(&conn->flush_node);
    list_remove(&conn->all_node);
    wheel_stop(loop_wheel(context->loop), &conn->timer);
    conn_input_done(conn);
    context->count--;
    stats_subtract(context->stats, STAT_sockets_open, 1);
    listener_count_subtract(context->stats, conn->listener_index);
}

static void close_stream(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    wheel_stop(loop_wheel(conn->context->loop), &conn->timer);
    list_remove(&conn->flush_node);
    stream_close(&conn->stream);
}

/* A DISCONNECT that says why, for those who understand it [MQTT-3.14.0-1]. */
static void append_disconnect(struct conn *conn, enum mqtt_reason reason, const char *words)
{
    const struct mqtt_disconnect packet = {.reason = reason, .reason_string = bytes_of(words)};
    uint8_t memory[DISCONNECT_SIZE_MAX];
    size_t size_max = sizeof(memory);

    if (conn->state != CONN_OPEN || conn->version != MQTT_V5 || reason == REASON_SUCCESS ||
        !reason_fits((uint8_t)reason, REASON_IN_DISCONNECT))
        return;
    check(packet.reason_string.size <= REASON_WHY_SIZE_MAX);
    if (conn->packet_size_max != 0 && conn->packet_size_max < size_max)
        size_max = conn->packet_size_max; /* [MQTT-3.14.2-3] */
    size_t size = codec_disconnect_encode(&packet, memory, size_max);
    uint8_t *room = size > 0 ? conn_reserve(conn, size) : NULL;
    if (room == NULL)
        return;
    memcpy(room, memory, size);
    conn_commit(conn, size);
}

void conn_close(struct conn *conn, enum mqtt_reason reason)
{
    conn_close_saying(conn, reason, reason_why(reason));
}

void conn_close_all(struct conn_context *context, enum mqtt_reason reason)
{
    context->left_to_close = context->count;
    context->close_reason = (uint16_t)reason;
}

void conn_close_saying(struct conn *conn, enum mqtt_reason reason, const char *words)
{
    if (conn->state >= CONN_CLOSING)
        return;
    append_disconnect(conn, reason, words);
    conn_close_quiet(conn, reason);
}

/* The peer's bytes are read and ignored to the end: closing on unread ones would
 * send a reset, which can overtake our last bytes. */
void conn_close_quiet(struct conn *conn, enum mqtt_reason reason)
{
    struct conn_context *context = conn->context;

    if (conn->state >= CONN_CLOSING)
        return;
    conn->state = CONN_CLOSING;
    conn->end_reason = (uint16_t)reason;
    schedule(conn);
    if (conn->has_ended || conn->stream.output.size == 0) {
        close_stream(conn);
        return;
    }
    wheel_start(loop_wheel(context->loop), &conn->timer,
                loop_now_ms(context->loop) + LAST_BYTES_MS);
    stream_receive(&conn->stream);
}

/* -- the stream's events -- */

static void on_data(struct stream *stream, struct bytes data)
{
    struct conn *conn = conn_of(stream);

    stats_add(conn->context->stats, STAT_bytes_received, data.size);
    if (conn->state < CONN_CLOSING)
        conn_input_take(conn, data);
}

static void on_end(struct stream *stream, int error)
{
    struct conn *conn = conn_of(stream);

    conn->has_ended = true;
    if (conn->state >= CONN_CLOSING)
        close_stream(conn);
    else if (error == 0 && conn_input_unread(conn).size > 0)
        schedule(conn); /* what it sent before still counts, when it may be read */
    else
        conn_close(conn, REASON_SUCCESS);
}

static void on_drained(struct stream *stream, size_t sent)
{
    struct conn *conn = conn_of(stream);
    struct conn_context *context = conn->context;
    size_t left = stream->output.size;

    stats_add(context->stats, STAT_bytes_sent, sent);
    conn->sent_total += (uint32_t)sent;
    if (conn->state == CONN_CLOSING) {
        if (left == 0)
            stream_finish(stream);
    } else if (conn->over_low_water &&
               left <= context->tunable->output_buffer_max / LOW_WATER_SHARE) {
        conn->over_low_water = false;
        context->events->on_drained(conn);
    }
}

static void on_closed(struct stream *stream)
{
    struct conn *conn = conn_of(stream);

    tell_end(conn);
    unlink_conn(conn);
    list_remove(&conn->resume_node);
    free(conn);
}

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

/* -- time -- */

static uint64_t patience_ms(const struct conn *conn)
{
    return conn->keep_alive_s * 1500ULL; /* [MQTT-3.1.2-22] */
}

static void check_keep_alive(struct conn *conn)
{
    struct conn_context *context = conn->context;
    uint64_t now_ms = loop_now_ms(context->loop);

    /* While we do not read, silence is no fault of the client. */
    if (conn->holds > 0)
        conn->last_receive_ms = (uint32_t)now_ms;
    uint32_t silence_ms = (uint32_t)now_ms - conn->last_receive_ms;
    if (silence_ms >= patience_ms(conn))
        conn_close(conn, REASON_KEEP_ALIVE_TIMEOUT);
    else
        wheel_start(loop_wheel(context->loop), &conn->timer,
                    now_ms + patience_ms(conn) - silence_ms);
}

static void on_timer(struct wheel_timer *timer, void *loop_context)
{
    struct conn *conn = list_owner(timer, struct conn, timer);

    (void)loop_context;
    if (conn->state == CONN_OPEN)
        check_keep_alive(conn);
    else if (conn->state == CONN_CLOSING)
        close_stream(conn);
    else
        conn_close(conn, REASON_KEEP_ALIVE_TIMEOUT); /* no CONNECT in time */
}

/* -- life -- */

void conn_context_init(struct conn_context *context, struct loop *loop, struct output_pool *pool,
                       const struct conn_events *events, const struct conf_tunable *tunable,
                       struct stats stats)
{
    *context = (struct conn_context){
        .loop = loop,
        .pool = pool,
        .events = events,
        .tunable = tunable,
        .stats = stats,
    };
    list_init(&context->flush);
    list_init(&context->resume);
    list_init(&context->all);
    wheel_timer_init(&context->resume_timer, on_resume_timer);
}

void conn_context_done(struct conn_context *context)
{
    list_for_each(node, &context->all) {
        struct conn *conn = list_owner(node, struct conn, all_node);
        unlink_conn(conn);
        list_remove(&conn->resume_node);
        stream_drop(&conn->stream);
        free(conn);
    }
    list_for_each(detached, &context->resume)
        free(list_owner(detached, struct conn, resume_node));
    wheel_stop(loop_wheel(context->loop), &context->resume_timer);
}

struct conn *conn_new(struct conn_context *context, int fd, uint16_t listener_index,
                      const struct peer *peer, struct bytes pending)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->context = context;
    conn->listener_index = listener_index;
    conn->peer = *peer;
    conn->state = CONN_FRESH;
    list_init(&conn->flush_node);
    list_init(&conn->resume_node);
    wheel_timer_init(&conn->timer, on_timer);
    stream_open_plain(&conn->stream, context->loop, context->pool, fd, &stream_events);
    list_push_back(&context->all, &conn->all_node);
    context->count++;
    stats_add(context->stats, STAT_sockets_open, 1);
    listener_count_add(context->stats, listener_index);
    wheel_start(loop_wheel(context->loop), &conn->timer,
                loop_now_ms(context->loop) + context->tunable->connect_timeout_s * 1000ULL);
    if (pending.size > 0)
        conn_input_keep(conn, pending); /* without memory it is closing now */
    return conn;
}

void conn_start(struct conn *conn)
{
    if (conn->state == CONN_FRESH)
        conn_input_resume(conn);
}

void conn_open(struct conn *conn, uint16_t keep_alive_s)
{
    struct conn_context *context = conn->context;
    uint64_t now_ms = loop_now_ms(context->loop);

    check(conn->state == CONN_FRESH || conn->state == CONN_WAITING);
    conn->state = CONN_OPEN;
    conn->keep_alive_s = keep_alive_s;
    conn->last_receive_ms = (uint32_t)now_ms;
    wheel_stop(loop_wheel(context->loop), &conn->timer);
    if (keep_alive_s > 0)
        wheel_start(loop_wheel(context->loop), &conn->timer, now_ms + patience_ms(conn));
    schedule(conn);
}

void conn_wait(struct conn *conn)
{
    check(conn->state == CONN_FRESH);
    conn->state = CONN_WAITING;
}

void conn_resume(struct conn *conn)
{
    if (conn->state != CONN_WAITING)
        return;
    conn->state = CONN_FRESH;
    schedule(conn);
}

void conn_hold(struct conn *conn)
{
    check(conn->holds < UINT16_MAX);
    conn->holds++;
    /* From inside on_packet() the reading stops when that returns. */
    if (!conn->is_busy)
        schedule(conn);
}

void conn_unhold(struct conn *conn)
{
    check(conn->holds > 0);
    conn->holds--;
    if (conn->holds > 0)
        return;
    conn->last_receive_ms = (uint32_t)loop_now_ms(conn->context->loop);
    schedule(conn);
}

int conn_detach(struct conn *conn, struct bytes packet, uint8_t **ret_pending,
                size_t *ret_pending_size)
{
    struct bytes unread = conn_input_unread(conn);
    size_t size = packet.size + unread.size;
    uint8_t *pending = NULL;

    check(conn->state == CONN_FRESH || conn->state == CONN_WAITING);
    check(!conn->is_receiving);
    *ret_pending = NULL;
    *ret_pending_size = 0;
    if (size > 0 && (pending = malloc(size)) == NULL) {
        conn_close(conn, REASON_SERVER_BUSY);
        return -ENOMEM;
    }
    if (packet.size > 0)
        memcpy(pending, packet.data, packet.size);
    if (unread.size > 0)
        memcpy(pending + packet.size, unread.data, unread.size);
    *ret_pending = pending;
    *ret_pending_size = size;
    int fd = stream_release(&conn->stream);
    unlink_conn(conn);
    conn->state = CONN_CLOSED;
    conn->is_detached = true;
    schedule(conn);
    return fd;
}

/* -- output -- */

uint8_t *conn_reserve(struct conn *conn, size_t size)
{
    if (conn->state >= CONN_CLOSING)
        return NULL;
    return output_reserve(&conn->stream.output, conn->context->pool, size);
}

static void note_output(struct conn *conn)
{
    struct conn_context *context = conn->context;

    if (!list_is_linked(&conn->flush_node))
        list_push_back(&context->flush, &conn->flush_node);
    if (conn_backlog(conn) > context->tunable->output_buffer_max / LOW_WATER_SHARE)
        conn->over_low_water = true;
}

void conn_commit(struct conn *conn, size_t size)
{
    output_commit(&conn->stream.output, size);
    stats_add(conn->context->stats, STAT_messages_sent, 1);
    note_output(conn);
}

bool conn_append_shared(struct conn *conn, struct bytes body, void (*give_back)(void *owner),
                        void *owner)
{
    if (conn->state >= CONN_CLOSING ||
        !output_append_shared(&conn->stream.output, conn->context->pool, body, give_back, owner))
        return false;
    note_output(conn);
    return true;
}

size_t conn_backlog(const struct conn *conn)
{
    return conn->stream.output.size;
}

void conn_flush_all(struct conn_context *context)
{
    struct list_node *node;

    while ((node = list_first(&context->flush)) != NULL) {
        struct conn *conn = list_owner(node, struct conn, flush_node);
        list_remove(node);
        stream_flush(&conn->stream);
    }
}
