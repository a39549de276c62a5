#include "worker/net/stream.h"

#include "common/base/check.h"
#include "common/base/list.h"

/* The plain kind. What it sends stays in `output` until the kernel has it. */

static struct stream *stream_of(struct loop_socket *socket)
{
    return list_owner(socket, struct stream, socket);
}

static void plain_receive(struct stream *s)
{
    loop_receive(&s->socket);
}

static void plain_receive_once(struct stream *s)
{
    loop_receive_once(&s->socket);
}

static void plain_receive_stop(struct stream *s)
{
    loop_receive_stop(&s->socket);
}

static void plain_flush(struct stream *s)
{
    struct iovec iov[LOOP_IOV_MAX];

    if (s->output.size > 0 && !loop_is_sending(&s->socket))
        loop_send(&s->socket, iov, output_iov(&s->output, iov, LOOP_IOV_MAX));
}

static void plain_finish(struct stream *s)
{
    check(s->output.size == 0);
    loop_socket_shutdown(&s->socket);
}

static void plain_close(struct stream *s)
{
    /* The kernel may be reading what it was given to send. */
    if (!loop_is_sending(&s->socket))
        output_clear(&s->output, s->pool);
    loop_socket_close(&s->socket);
}

static void plain_drop(struct stream *s)
{
    loop_socket_drop(&s->socket);
    output_clear(&s->output, s->pool);
}

static int plain_release(struct stream *s)
{
    check(s->output.size == 0);
    output_clear(&s->output, s->pool);
    return loop_socket_release(&s->socket);
}

static const struct stream_ops plain_ops = {
    .receive = plain_receive,
    .receive_once = plain_receive_once,
    .receive_stop = plain_receive_stop,
    .flush = plain_flush,
    .finish = plain_finish,
    .close = plain_close,
    .drop = plain_drop,
    .release = plain_release,
};

static void on_data(struct loop_socket *socket, struct bytes data)
{
    struct stream *s = stream_of(socket);

    s->events->on_data(s, data);
}

static void on_end(struct loop_socket *socket, int error)
{
    struct stream *s = stream_of(socket);

    s->events->on_end(s, error);
}

static void on_sent(struct loop_socket *socket, ptrdiff_t result)
{
    struct stream *s = stream_of(socket);

    if (result < 0) {
        output_clear(&s->output, s->pool);
        s->events->on_end(s, (int)result);
        return;
    }
    output_consume(&s->output, s->pool, (size_t)result);
    s->events->on_drained(s, (size_t)result);
    if (!loop_is_closing(socket))
        plain_flush(s);
}

static void on_closed(struct loop_socket *socket)
{
    struct stream *s = stream_of(socket);

    output_clear(&s->output, s->pool);
    s->events->on_closed(s);
}

static const struct loop_socket_ops socket_ops = {
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_closed = on_closed,
};

void stream_open_plain(struct stream *stream, struct loop *loop, struct output_pool *pool, int fd,
                       const struct stream_events *events)
{
    stream->ops = &plain_ops;
    stream->events = events;
    stream->pool = pool;
    output_init(&stream->output);
    loop_socket_init(loop, &stream->socket, fd, &socket_ops);
}
