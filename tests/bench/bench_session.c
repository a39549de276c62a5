#include "tests/bench/bench_session.h"

void bench_session_greet(struct bench_io *io, struct bench_client *c)
{
    const struct bench_options *o = io->plan->options;
    char id[BENCH_WIRE_TEXT_MAX];
    bench_plan_client_id(io->plan, c->place, id);
    struct bench_hello hello = {
        .client_id = id,
        .username = o->username,
        .password = o->password,
        .version = o->version,
        .keepalive_s = (uint16_t)o->keepalive_s,
        .persistent = o->persistent && !c->place.is_publisher,
    };
    uint8_t *out = bench_client_room(io, c, BENCH_WIRE_SMALL_MAX);
    bench_client_wrote(io, bench_wire_put_connect(out, &hello));
    c->state = BENCH_STATE_GREETING;
    bench_client_watch(io, c, false);
    bench_client_flush(io, c);
}

void bench_session_subscribe(struct bench_io *io, struct bench_client *c)
{
    const struct bench_options *o = io->plan->options;
    char filter[BENCH_WIRE_TEXT_MAX];
    bench_plan_filter(io->plan, c->place.index, filter);
    uint8_t *out = bench_client_room(io, c, BENCH_WIRE_SMALL_MAX);
    bench_client_wrote(io, bench_wire_put_subscribe(out, o->version, filter, (uint8_t)o->qos));
    c->since_ns = bench_shared_now_ns();
    c->state = BENCH_STATE_SUBSCRIBING;
    bench_client_flush(io, c);
}

void bench_session_leave(struct bench_io *io, struct bench_client *c)
{
    uint8_t *out = bench_client_room(io, c, BENCH_WIRE_SMALL_MAX);
    bench_client_wrote(io, bench_wire_put_disconnect(out, io->plan->options->version));
    c->state = BENCH_STATE_LEAVING;
    bench_client_flush(io, c);
}

void bench_session_ping(struct bench_io *io, struct bench_client *c)
{
    uint8_t *out = bench_client_room(io, c, BENCH_WIRE_SMALL_MAX);
    bench_client_wrote(io, bench_wire_put_pingreq(out));
    bench_client_flush(io, c);
}

const char *bench_session_on_connack(struct bench_io *io, struct bench_client *c,
                                     const struct bench_frame *frame, struct bench_connack *ret)
{
    const struct bench_options *o = io->plan->options;
    if (frame->type != BENCH_CONNACK || !bench_wire_get_connack(frame, o->version, ret))
        return "no valid CONNACK";
    if (ret->reason)
        return "CONNECT refused";
    if (ret->maximum_qos < o->qos)
        return "the broker does not support this QoS";
    bench_histogram_add(&io->slot->connect, io->now_ns - c->since_ns);
    return NULL;
}

const char *bench_session_on_suback(struct bench_io *io, struct bench_client *c,
                                    const struct bench_frame *frame)
{
    const struct bench_options *o = io->plan->options;
    struct bench_ack ack;
    if (!bench_wire_get_ack(frame, o->version, &ack))
        return "malformed SUBACK";
    if (ack.reason >= BENCH_WIRE_FAILURE)
        return "SUBSCRIBE refused";
    if (ack.reason != o->qos)
        return "SUBSCRIBE granted a lower QoS";
    bench_histogram_add(&io->slot->subscribe, io->now_ns - c->since_ns);
    return NULL;
}
