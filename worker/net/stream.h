#ifndef COURTIER_WORKER_NET_STREAM_H
#define COURTIER_WORKER_NET_STREAM_H

/*
 * A byte stream, whatever it runs over. The plain kind sits on a socket; kinds
 * that wrap another stream (TLS, WebSocket) implement the same table. Protocol
 * code never learns which kind it has.
 *
 * Embedded in its owner. Bytes to send go into `output`; stream_flush() starts
 * sending what is there (once per turn and stream).
 */

#include "common/base/bytes.h"
#include "worker/net/loop.h"
#include "worker/net/output.h"

#include <stdbool.h>

struct stream;

/* The owner's callbacks, set once. */
struct stream_events {
    void (*on_data)(struct stream *stream, struct bytes data);
    /* The peer ended it (0) or it broke (-errno): no more is received. At most
     * once for each of the two directions; the owner closes. */
    void (*on_end)(struct stream *stream, int error);
    /* Some output was taken; `output.size` says what is left. */
    void (*on_drained)(struct stream *stream, size_t sent);
    /* After stream_close(): the owner may free it. */
    void (*on_closed)(struct stream *stream);
};

struct stream_ops {
    void (*receive)(struct stream *stream);
    void (*receive_once)(struct stream *stream);
    void (*receive_stop)(struct stream *stream);
    void (*flush)(struct stream *stream);
    void (*finish)(struct stream *stream);
    void (*close)(struct stream *stream);
    void (*drop)(struct stream *stream);
    int (*release)(struct stream *stream); /* see loop_socket_release() */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    struct output_pool *pool;
    struct output output;
    struct loop_socket socket; /* used by the plain kind */
};

/* The plain kind, on a connected non-blocking socket that it then owns. */
void stream_open_plain(struct stream *stream, struct loop *loop, struct output_pool *pool, int fd,
                       const struct stream_events *events);

static inline void stream_receive(struct stream *s)
{
    s->ops->receive(s);
}
static inline void stream_receive_once(struct stream *s)
{
    s->ops->receive_once(s);
}
static inline void stream_receive_stop(struct stream *s)
{
    s->ops->receive_stop(s);
}
/* Starts a send of up to LOOP_IOV_MAX pieces unless one is under way; goes on by
 * itself until the output is empty. */
static inline void stream_flush(struct stream *s)
{
    s->ops->flush(s);
}
/* Tells the peer that no more comes; the output is empty. Receiving goes on. */
static inline void stream_finish(struct stream *s)
{
    s->ops->finish(s);
}
/* Drops the output, ends the stream. To send last bytes first, the owner flushes
 * and closes from on_drained. */
static inline void stream_close(struct stream *s)
{
    s->ops->close(s);
}
/* For the end of the process: the owner may free it at once, without on_closed.
 * No turn of the loop may follow. */
static inline void stream_drop(struct stream *s)
{
    s->ops->drop(s);
}
/* Gives the descriptor away; nothing may be in flight, the output is empty. */
static inline int stream_release(struct stream *s)
{
    return s->ops->release(s);
}

#endif
