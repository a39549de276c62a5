#include "tests/bench/bench_subscriber.h"

#include <stdio.h>
#include <stdlib.h>

void bench_subscriber_init(struct bench_subscriber *s, struct bench_io *io,
                           struct bench_client *client)
{
    *s = (struct bench_subscriber){.client = client};
    s->stream_count = bench_plan_streams(io->plan, client->place.index, &s->first_publisher);
    if (s->stream_count == 0)
        return;
    s->streams = calloc(s->stream_count, sizeof(*s->streams));
    if (bench_plan_retained(io->plan))
        s->tallies = calloc(s->stream_count, sizeof(*s->tallies));
    if (!s->streams || (bench_plan_retained(io->plan) && !s->tallies)) {
        fprintf(stderr, "courtier-bench: no memory\n");
        exit(2);
    }
}

void bench_subscriber_done(struct bench_subscriber *s)
{
    free(s->streams);
    free(s->tallies);
}

static struct bench_tally *shared_tally(const struct bench_io *io, uint32_t publisher)
{
    size_t process = (size_t)(io->slot - io->shared->slots);
    return &io->shared->tallies[process * io->shared->publishers + publisher];
}

static bench_counter *arrived_counter(const struct bench_io *io, uint32_t publisher)
{
    size_t process = (size_t)(io->slot - io->shared->slots);
    return &io->shared->arrived[process * io->shared->publishers + publisher];
}

static void check_order(struct bench_subscriber *s, struct bench_io *io,
                        const struct bench_stamp *stamp)
{
    struct bench_faults *faults = &io->slot->faults;
    uint32_t place = stamp->publisher - s->first_publisher;
    uint64_t repeated = faults->duplicates;
    if (s->tallies) {
        bench_stream_take_tally(&s->tallies[place], stamp->sequence);
    } else if (bench_plan_is_exact(io->plan)) {
        bench_stream_take(&s->streams[place], stamp->sequence, faults);
        bench_counter_add(&io->slot->repeated, faults->duplicates - repeated);
    } else {
        bench_stream_take_sparse(&s->streams[place], stamp->sequence, faults);
        bench_stream_take_tally(shared_tally(io, stamp->publisher), stamp->sequence);
    }
}

/* The sender raises its count before the message leaves, so a number above it
 * was never sent. */
static bool is_known(const struct bench_subscriber *s, const struct bench_io *io,
                     const struct bench_stamp *stamp)
{
    return stamp->publisher - s->first_publisher < s->stream_count &&
           stamp->sequence < bench_counter_get(&io->shared->sent[stamp->publisher]);
}

static void take_message(struct bench_subscriber *s, struct bench_io *io,
                         const struct bench_message *m)
{
    struct bench_stamp stamp;
    if (!bench_wire_get_stamp(m, io->plan->options->size, &stamp) || !is_known(s, io, &stamp)) {
        io->slot->faults.corrupt++;
        return;
    }
    /* Messages that were kept are as old as they are: what counts is how long after
     * its SUBSCRIBE, or CONNECT, a client has them. */
    uint64_t since_ns = bench_plan_is_read_later(io->plan) ? s->client->since_ns
                                                           : stamp.intended_ns;
    bench_histogram_add(&io->slot->latency, io->now_ns > since_ns ? io->now_ns - since_ns : 0);
    if (io->plan->options->ahead)
        bench_counter_add(arrived_counter(io, stamp.publisher), 1);
    check_order(s, io, &stamp);
}

static void put_ack(struct bench_subscriber *s, struct bench_io *io, enum bench_packet type,
                    uint16_t packet_id)
{
    uint8_t *out = bench_client_room(io, s->client, BENCH_WIRE_ACK_SIZE);
    bench_client_wrote(io, bench_wire_put_ack(out, type, packet_id));
}

const char *bench_subscriber_on_frame(struct bench_subscriber *s, struct bench_io *io,
                                      const struct bench_frame *frame)
{
    int version = io->plan->options->version;
    if (frame->type == BENCH_PINGRESP)
        return NULL;
    if (frame->type == BENCH_PUBREL) {
        struct bench_ack ack;
        if (!bench_wire_get_ack(frame, version, &ack))
            return "malformed PUBREL";
        put_ack(s, io, BENCH_PUBCOMP, ack.packet_id);
        return NULL;
    }
    struct bench_message message;
    if (frame->type != BENCH_PUBLISH || !bench_wire_get_message(frame, version, &message))
        return "unexpected or malformed packet at a subscriber";
    bench_counter_add(&io->slot->received, 1);
    bench_counter_set(&io->slot->last_ns, io->now_ns);
    take_message(s, io, &message);
    if (message.qos)
        put_ack(s, io, message.qos == 1 ? BENCH_PUBACK : BENCH_PUBREC, message.packet_id);
    return NULL;
}

void bench_subscriber_finish(struct bench_subscriber *s, struct bench_io *io)
{
    for (uint32_t i = 0; i < s->stream_count; i++) {
        uint32_t sent = (uint32_t)bench_counter_get(&io->shared->sent[s->first_publisher + i]);
        if (s->tallies)
            bench_stream_finish_tally(&s->tallies[i], sent, &io->slot->faults);
        else if (bench_plan_is_exact(io->plan))
            bench_stream_finish(&s->streams[i], sent, &io->slot->faults);
    }
}
