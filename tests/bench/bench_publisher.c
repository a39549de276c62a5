#include "tests/bench/bench_publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_session.h"

enum flight_state { FLIGHT_FREE, FLIGHT_PUBACK, FLIGHT_PUBREC, FLIGHT_PUBCOMP };

/* The message under way with packet id (index + 1). */
struct bench_flight {
    uint64_t due_ns;
    enum flight_state state;
};

uint64_t bench_publisher_due(const struct bench_schedule *s, uint32_t publisher, uint32_t number)
{
    return s->start_ns + (uint64_t)(publisher * s->offset_ns + number * s->interval_ns);
}

void bench_publisher_init(struct bench_publisher *p, struct bench_io *io,
                          struct bench_client *client, const struct bench_schedule *schedule)
{
    const struct bench_options *o = io->plan->options;
    char name[BENCH_WIRE_TEXT_MAX];
    bench_plan_topic(io->plan, client->place.index, 0, name);
    struct bench_topic topic = {.name = name, .qos = (uint8_t)o->qos};
    *p = (struct bench_publisher){.client = client, .schedule = schedule, .window = o->window};
    p->flights = calloc(o->window, sizeof(*p->flights));
    if (!p->flights || !bench_wire_init_template(&p->template, o->version, &topic, o->size)) {
        fprintf(stderr, "courtier-bench: no memory\n");
        exit(2);
    }
    io->slot->window = o->window;
}

void bench_publisher_done(struct bench_publisher *p)
{
    free(p->flights);
    bench_wire_done_template(&p->template);
}

void bench_publisher_limit(struct bench_publisher *p, struct bench_io *io, uint32_t window)
{
    if (window < p->window)
        p->window = window;
    if (p->window < io->slot->window)
        io->slot->window = p->window;
}

void bench_publisher_begin(struct bench_publisher *p)
{
    p->phase_sequence = p->sequence;
    p->granted = p->sequence;
}

void bench_publisher_grant(struct bench_publisher *p, struct bench_io *io, uint32_t count)
{
    p->granted += count;
    bench_counter_add(&io->slot->due, count);
}

void bench_publisher_grant_all(struct bench_publisher *p)
{
    p->granted = UINT32_MAX;
}

void bench_publisher_stop(struct bench_publisher *p)
{
    if (p->granted == UINT32_MAX)
        p->granted = p->sequence;
}

static bool is_flat_out(const struct bench_publisher *p)
{
    return p->granted == UINT32_MAX;
}

/* With --ahead: how many messages may go before more deliveries are seen. */
static uint32_t lead_left(const struct bench_publisher *p, const struct bench_io *io)
{
    const struct bench_options *o = io->plan->options;
    uint32_t copies = bench_plan_copies(io->plan);
    if (o->ahead == 0 || o->qos || copies == 0)
        return UINT32_MAX;
    uint64_t arrived = bench_shared_arrived(io->shared, p->client->place.index) / copies;
    uint64_t lead = p->sequence > arrived ? p->sequence - arrived : 0;
    return lead < o->ahead ? (uint32_t)(o->ahead - lead) : 0;
}

static bool may_send(const struct bench_publisher *p)
{
    if (p->sequence >= p->granted)
        return false;
    return p->template.id_at == 0 || p->flights[p->next_slot].state == FLIGHT_FREE;
}

/* The second round of retained messages takes those of the first away again. */
static bool is_clearing(const struct bench_publisher *p, const struct bench_options *o)
{
    return o->scenario == BENCH_RETAINED && p->phase_sequence > 0;
}

/* A retained message has a topic of its own. */
static void prepare_retained(struct bench_publisher *p, const struct bench_plan *plan)
{
    const struct bench_options *o = plan->options;
    char name[BENCH_WIRE_TEXT_MAX];
    bench_plan_topic(plan, p->client->place.index, p->sequence % o->topics, name);
    struct bench_topic topic = {.name = name, .qos = (uint8_t)o->qos, .retain = true};
    bench_wire_done_template(&p->template);
    if (!bench_wire_init_template(&p->template, o->version, &topic,
                                  is_clearing(p, o) ? 0 : o->size))
        abort();
    p->unconfirmed += o->qos == 0;
}

/* Takes the next packet id. Acknowledgements come in order [MQTT-4.6.0-2], so
 * cycling through the window never waits while another id is free. */
static uint16_t take_id(struct bench_publisher *p, uint64_t due_ns, uint8_t qos)
{
    uint32_t slot = p->next_slot;
    p->flights[slot] =
        (struct bench_flight){.due_ns = due_ns, .state = qos == 1 ? FLIGHT_PUBACK : FLIGHT_PUBREC};
    p->next_slot = slot + 1 == p->window ? 0 : slot + 1;
    p->inflight++;
    return (uint16_t)(slot + 1);
}

static void put_message(struct bench_publisher *p, struct bench_io *io, uint64_t due_ns)
{
    const struct bench_options *o = io->plan->options;
    uint32_t index = p->client->place.index;
    if (o->scenario == BENCH_RETAINED)
        prepare_retained(p, io->plan);
    const struct bench_template *t = &p->template;
    uint8_t *out = bench_client_room(io, p->client, t->size);
    memcpy(out, t->bytes, t->size);
    if (t->id_at) {
        uint16_t id = take_id(p, due_ns, (uint8_t)o->qos);
        out[t->id_at] = (uint8_t)(id >> 8);
        out[t->id_at + 1] = (uint8_t)id;
    }
    size_t payload_size = t->size - t->payload_at;
    if (payload_size)
        bench_wire_put_stamp(out + t->payload_at, payload_size,
                             (struct bench_stamp){index, p->sequence, due_ns});
    bench_client_wrote(io, t->size);
    p->sequence++;
}

/* The ping's answer tells that the broker has read all retained messages before it. */
static void confirm_retained(struct bench_publisher *p, struct bench_io *io)
{
    if (p->unconfirmed && p->sequence == p->granted)
        bench_session_ping(io, p->client);
}

static void count_sent(struct bench_publisher *p, struct bench_io *io, uint32_t count)
{
    const struct bench_options *o = io->plan->options;
    bench_counter_set(&io->shared->sent[p->client->place.index], p->sequence);
    bench_counter_add(&io->slot->sent, count);
    if (is_flat_out(p))
        bench_counter_add(&io->slot->due, count);
    if (o->qos == 0 && o->scenario != BENCH_RETAINED)
        bench_counter_add(&io->slot->settled, count);
}

void bench_publisher_pump(struct bench_publisher *p, struct bench_io *io)
{
    if (p->client->state != BENCH_STATE_READY || bench_client_is_blocked(p->client))
        return;
    uint64_t now_ns = bench_shared_now_ns();
    uint32_t first = p->sequence;
    uint32_t most = lead_left(p, io);
    bool scheduled = !is_flat_out(p) && p->schedule->interval_ns > 0;
    while (may_send(p) && p->sequence - first < most &&
           io->out_size < io->plan->options->chunk_size) {
        uint64_t due_ns = now_ns;
        if (scheduled) {
            due_ns = bench_publisher_due(p->schedule, p->client->place.index,
                                         p->sequence - p->phase_sequence);
            bench_histogram_add(&io->slot->lag, now_ns > due_ns ? now_ns - due_ns : 0);
        }
        put_message(p, io, due_ns);
    }
    if (p->sequence != first) {
        count_sent(p, io, p->sequence - first);
        confirm_retained(p, io);
    }
    bench_client_flush(io, p->client);
    bool has_more = may_send(p) && p->sequence - first < most;
    bench_client_watch(io, p->client, bench_client_is_blocked(p->client) || has_more);
}

static void settle(struct bench_publisher *p, struct bench_io *io, struct bench_flight *flight)
{
    flight->state = FLIGHT_FREE;
    p->inflight--;
    if (!is_clearing(p, io->plan->options))
        bench_histogram_add(&io->slot->ack, io->now_ns - flight->due_ns);
    bench_counter_add(&io->slot->settled, 1);
    bench_counter_set(&io->slot->last_ns, io->now_ns);
}

static const char *on_pingresp(struct bench_publisher *p, struct bench_io *io)
{
    bench_counter_add(&io->slot->settled, p->unconfirmed);
    if (p->unconfirmed)
        bench_counter_set(&io->slot->last_ns, io->now_ns);
    p->unconfirmed = 0;
    return NULL;
}

const char *bench_publisher_on_frame(struct bench_publisher *p, struct bench_io *io,
                                     const struct bench_frame *frame)
{
    struct bench_ack ack;
    if (frame->type == BENCH_PINGRESP)
        return on_pingresp(p, io);
    if (!bench_wire_get_ack(frame, io->plan->options->version, &ack))
        return "malformed acknowledgement";
    if (ack.packet_id > p->window)
        return "acknowledgement for an unknown packet id";
    if (ack.reason >= BENCH_WIRE_FAILURE)
        return "PUBLISH refused";
    struct bench_flight *flight = &p->flights[ack.packet_id - 1];
    if (frame->type == BENCH_PUBACK && flight->state == FLIGHT_PUBACK) {
        settle(p, io, flight);
    } else if (frame->type == BENCH_PUBREC && flight->state == FLIGHT_PUBREC) {
        flight->state = FLIGHT_PUBCOMP;
        uint8_t *out = bench_client_room(io, p->client, BENCH_WIRE_ACK_SIZE);
        bench_client_wrote(io, bench_wire_put_ack(out, BENCH_PUBREL, ack.packet_id));
    } else if (frame->type == BENCH_PUBCOMP && flight->state == FLIGHT_PUBCOMP) {
        settle(p, io, flight);
    } else {
        return "unexpected packet at a publisher";
    }
    return NULL;
}
