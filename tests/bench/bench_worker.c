#include "tests/bench/bench_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/bench/bench_client.h"
#include "tests/bench/bench_publisher.h"
#include "tests/bench/bench_session.h"
#include "tests/bench/bench_subscriber.h"

enum {
    EVENTS_MAX = 512,
    TURN_NS_MAX = 1000000, /* phases change at most so late */
};

struct worker {
    struct bench_io io;
    uint32_t process;
    uint32_t publisher_count; /* of this process */
    uint32_t subscriber_count;
    struct bench_publisher *publishers;
    struct bench_subscriber *subscribers;
    struct bench_client *clients; /* publishers first */
    struct bench_schedule schedule;
    enum bench_phase phase;
    uint64_t next_message; /* in the round over our publishers, with a rate */
    uint64_t end_ns;       /* of publishing */
    uint64_t ping_ns;      /* when the next client is to ping */
    uint64_t cpu_ns;
    uint32_t next_ping;
    uint32_t next_connect;
    uint32_t connecting;
};

static uint32_t client_count(const struct worker *w)
{
    return w->publisher_count + w->subscriber_count;
}

static struct bench_publisher *publisher_of(struct worker *w, const struct bench_client *c)
{
    return &w->publishers[c - w->clients];
}

static struct bench_subscriber *subscriber_of(struct worker *w, const struct bench_client *c)
{
    return &w->subscribers[c - w->clients - w->publisher_count];
}

static const struct bench_options *options_of(const struct worker *w)
{
    return w->io.plan->options;
}

static bool is_storm(const struct worker *w)
{
    return options_of(w)->scenario == BENCH_STORM;
}

static bool is_publishing(const struct worker *w)
{
    return w->phase == BENCH_PHASE_WARMUP || w->phase == BENCH_PHASE_PUBLISH;
}

static uint32_t share_of(uint32_t count, uint32_t process, uint32_t processes)
{
    return count / processes + (process < count % processes);
}

/* --- connecting --- */

static void open_client(struct worker *w, struct bench_client *c)
{
    if (!bench_client_open(&w->io, c))
        return;
    w->connecting++;
    if (is_storm(w))
        bench_counter_add(&w->io.slot->open, 1);
}

static void connect_some(struct worker *w)
{
    const struct bench_options *o = options_of(w);
    uint32_t most = share_of(o->connecting_max, w->process, o->processes);
    while (w->next_connect < client_count(w) && w->connecting < (most ? most : 1))
        open_client(w, &w->clients[w->next_connect++]);
}

static void on_ready(struct worker *w, struct bench_client *c)
{
    w->connecting--;
    if (is_storm(w)) {
        bench_session_leave(&w->io, c);
        return;
    }
    c->state = BENCH_STATE_READY;
    bench_counter_add(&w->io.slot->ready, 1);
}

static bool wants_filter(const struct worker *w, const struct bench_client *c)
{
    const struct bench_options *o = options_of(w);
    if (c->place.is_publisher || w->phase == BENCH_PHASE_READ || o->scenario == BENCH_RETAINED)
        return false;
    return o->scenario != BENCH_STORM || o->subscribe;
}

static const char *on_connack(struct worker *w, struct bench_client *c,
                              const struct bench_frame *frame)
{
    struct bench_connack connack;
    const char *error = bench_session_on_connack(&w->io, c, frame, &connack);
    if (error)
        return error;
    if (c->place.is_publisher)
        bench_publisher_limit(publisher_of(w, c), &w->io, connack.receive_maximum);
    if (wants_filter(w, c))
        bench_session_subscribe(&w->io, c);
    else
        on_ready(w, c);
    return NULL;
}

static const char *on_suback(struct worker *w, struct bench_client *c,
                             const struct bench_frame *frame)
{
    const char *error = bench_session_on_suback(&w->io, c, frame);
    if (error)
        return error;
    if (w->phase == BENCH_PHASE_READ)
        c->state = BENCH_STATE_READY;
    else
        on_ready(w, c);
    return NULL;
}

static const char *on_frame(void *context, struct bench_client *c, const struct bench_frame *frame)
{
    struct worker *w = context;
    if (frame->type == BENCH_DISCONNECT)
        return "the broker sent DISCONNECT";
    if (c->state == BENCH_STATE_GREETING)
        return on_connack(w, c, frame);
    if (frame->type == BENCH_SUBACK && c->state == BENCH_STATE_SUBSCRIBING)
        return on_suback(w, c, frame);
    if (c->place.is_publisher)
        return bench_publisher_on_frame(publisher_of(w, c), &w->io, frame);
    return bench_subscriber_on_frame(subscriber_of(w, c), &w->io, frame);
}

/* --- events --- */

static void end_storm_cycle(struct worker *w, struct bench_client *c)
{
    bench_client_close(c);
    bench_counter_add(&w->io.slot->connects, 1);
    bench_counter_set(&w->io.slot->last_ns, bench_shared_now_ns());
    bench_counter_add(&w->io.slot->open, (uint64_t)-1);
    if (is_publishing(w))
        open_client(w, c);
}

static void on_lost(struct worker *w, struct bench_client *c, const char *why)
{
    if (c->state == BENCH_STATE_LEAVING && is_storm(w)) {
        end_storm_cycle(w, c);
        return;
    }
    if (c->state == BENCH_STATE_LEAVING && w->phase == BENCH_PHASE_AWAY) {
        bench_client_close(c);
        bench_counter_add(&w->io.slot->open, (uint64_t)-1);
        return;
    }
    bench_client_fail(&w->io, c, why);
    if (c->state < BENCH_STATE_READY && w->connecting)
        w->connecting--;
    if (is_storm(w))
        bench_counter_add(&w->io.slot->open, (uint64_t)-1);
    bench_client_close(c);
}

static void on_writable(struct worker *w, struct bench_client *c)
{
    if (!bench_client_resume(&w->io, c))
        return;
    if (c->place.is_publisher)
        bench_publisher_pump(publisher_of(w, c), &w->io);
    else
        bench_client_watch(&w->io, c, false);
}

static void on_readable(struct worker *w, struct bench_client *c)
{
    const char *error = bench_client_receive(&w->io, c, on_frame, w);
    bench_client_flush(&w->io, c);
    if (error)
        on_lost(w, c, error);
    else if (c->place.is_publisher)
        bench_publisher_pump(publisher_of(w, c), &w->io);
}

static void on_event(struct worker *w, struct bench_client *c, uint32_t events)
{
    if (c->state == BENCH_STATE_CONNECTING) {
        if (!bench_client_is_connected(c))
            on_lost(w, c, "cannot connect");
        else if (events & EPOLLOUT)
            bench_session_greet(&w->io, c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(w, c);
    if (events & EPOLLOUT && c->state >= BENCH_STATE_GREETING)
        on_writable(w, c);
}

/* --- publishing by schedule, and pings --- */

static uint64_t due_of_next(const struct worker *w, uint32_t *ret_place)
{
    *ret_place = (uint32_t)(w->next_message % w->publisher_count);
    uint32_t number = (uint32_t)(w->next_message / w->publisher_count);
    return bench_publisher_due(&w->schedule, w->clients[*ret_place].place.index, number);
}

/* Grants what is due; returns when the next message is. */
static uint64_t grant_due(struct worker *w, uint64_t now_ns)
{
    if (!is_publishing(w) || w->schedule.interval_ns <= 0 || w->publisher_count == 0)
        return UINT64_MAX;
    uint32_t place;
    uint64_t due_ns = due_of_next(w, &place);
    while (due_ns <= now_ns && due_ns < w->end_ns) {
        bench_publisher_grant(&w->publishers[place], &w->io, 1);
        bench_publisher_pump(&w->publishers[place], &w->io);
        w->next_message++;
        due_ns = due_of_next(w, &place);
    }
    return due_ns < w->end_ns ? due_ns : UINT64_MAX;
}

/* Deliveries have come since, so who waited for them may go on. */
static void pump_ahead(struct worker *w)
{
    if (!options_of(w)->ahead || !is_publishing(w))
        return;
    for (uint32_t i = 0; i < w->publisher_count; i++)
        bench_publisher_pump(&w->publishers[i], &w->io);
}

static void ping_due(struct worker *w, uint64_t now_ns)
{
    const struct bench_options *o = options_of(w);
    if (o->keepalive_s == 0 || is_storm(w) || client_count(w) == 0)
        return;
    uint64_t interval_ns = o->keepalive_s * UINT64_C(500000000) / client_count(w);
    while (w->ping_ns <= now_ns) {
        struct bench_client *c = &w->clients[w->next_ping];
        if (c->state == BENCH_STATE_READY)
            bench_session_ping(&w->io, c);
        w->next_ping = w->next_ping + 1 == client_count(w) ? 0 : w->next_ping + 1;
        w->ping_ns += interval_ns + 1;
    }
}

/* --- phases --- */

static uint64_t cpu_now_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    uint64_t us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return us * 1000;
}

static void begin_publishing(struct worker *w, uint64_t start_ns)
{
    const struct bench_options *o = options_of(w);
    double seconds = w->phase == BENCH_PHASE_WARMUP ? o->warmup_s : o->duration_s;
    w->end_ns = start_ns + (uint64_t)(seconds * 1e9);
    w->schedule.start_ns = start_ns;
    w->next_message = 0;
    for (uint32_t i = 0; i < w->publisher_count; i++) {
        struct bench_publisher *p = &w->publishers[i];
        bench_publisher_begin(p);
        if (o->scenario == BENCH_RETAINED)
            bench_publisher_grant(p, &w->io, o->topics);
        else if (o->messages)
            bench_publisher_grant(p, &w->io, w->phase == BENCH_PHASE_WARMUP ? 0 : o->messages);
        else if (o->rate <= 0)
            bench_publisher_grant_all(p);
        bench_publisher_pump(p, &w->io);
    }
    if (is_storm(w)) {
        for (uint32_t i = 0; i < client_count(w); i++)
            open_client(w, &w->clients[i]);
    }
}

static void stop_publishing(struct worker *w)
{
    for (uint32_t i = 0; i < w->publisher_count; i++)
        bench_publisher_stop(&w->publishers[i]);
}

static void reset(struct worker *w)
{
    bench_shared_reset(w->io.slot, is_storm(w));
    w->cpu_ns = cpu_now_ns();
}

static void send_away(struct worker *w)
{
    bench_counter_add(&w->io.slot->open, w->subscriber_count);
    bench_counter_add(&w->io.slot->ready, 0 - (uint64_t)w->subscriber_count);
    for (uint32_t i = 0; i < w->subscriber_count; i++)
        bench_session_leave(&w->io, w->subscribers[i].client);
}

/* Those who were away come back; others only ask for what is retained. */
static void read_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->subscriber_count; i++) {
        if (options_of(w)->scenario == BENCH_OFFLINE)
            open_client(w, w->subscribers[i].client);
        else
            bench_session_subscribe(&w->io, w->subscribers[i].client);
    }
}

/* Subscribers to retained messages go now, or they would get the clearing ones. */
static void count_missing(struct worker *w)
{
    w->io.slot->cpu_ns = cpu_now_ns() - w->cpu_ns;
    for (uint32_t i = 0; i < w->subscriber_count; i++) {
        struct bench_subscriber *s = &w->subscribers[i];
        bench_subscriber_finish(s, &w->io);
        if (options_of(w)->scenario == BENCH_RETAINED)
            bench_client_close(s->client);
    }
}

static void clear_retained(struct worker *w)
{
    for (uint32_t i = 0; i < w->publisher_count; i++) {
        bench_publisher_begin(&w->publishers[i]);
        bench_publisher_grant(&w->publishers[i], &w->io, options_of(w)->topics);
        bench_publisher_pump(&w->publishers[i], &w->io);
    }
}

static void close_all(struct worker *w)
{
    for (uint32_t i = 0; i < client_count(w); i++) {
        if (w->clients[i].state == BENCH_STATE_READY)
            bench_session_leave(&w->io, &w->clients[i]);
        bench_client_close(&w->clients[i]);
    }
}

static void enter(struct worker *w, enum bench_phase phase, uint64_t start_ns)
{
    w->phase = phase;
    switch (phase) {
    case BENCH_PHASE_WARMUP:
    case BENCH_PHASE_PUBLISH:
        begin_publishing(w, start_ns);
        break;
    case BENCH_PHASE_AWAY:
        send_away(w);
        break;
    case BENCH_PHASE_SETTLE:
    case BENCH_PHASE_DRAIN:
        stop_publishing(w);
        break;
    case BENCH_PHASE_RESET:
        reset(w);
        break;
    case BENCH_PHASE_READ:
        read_all(w);
        break;
    case BENCH_PHASE_COUNT:
        count_missing(w);
        break;
    case BENCH_PHASE_CLEAR:
        clear_retained(w);
        break;
    case BENCH_PHASE_CLOSE:
        close_all(w);
        break;
    case BENCH_PHASE_CONNECT:
    case BENCH_PHASE_HOLD:
        break;
    }
    bench_shared_confirm(w->io.slot, phase);
}

/* --- the loop --- */

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory) {
        fprintf(stderr, "courtier-bench: no memory\n");
        exit(2);
    }
    return memory;
}

static void init(struct worker *w, const struct bench_plan *plan, struct bench_shared *shared,
                 uint32_t process)
{
    const struct bench_options *o = plan->options;
    *w = (struct worker){.process = process, .phase = BENCH_PHASE_CONNECT};
    bench_client_init_io(&w->io, plan, shared, process);
    w->publisher_count = share_of(o->publishers, process, o->processes);
    w->subscriber_count = share_of(o->subscribers, process, o->processes);
    w->publishers = allocate(w->publisher_count, sizeof(*w->publishers));
    w->subscribers = allocate(w->subscriber_count, sizeof(*w->subscribers));
    w->clients = allocate(client_count(w), sizeof(*w->clients));
    w->schedule.offset_ns = o->rate > 0 ? 1e9 / o->rate : 0;
    w->schedule.interval_ns = w->schedule.offset_ns * o->publishers;
    w->ping_ns = bench_shared_now_ns();
    for (uint32_t i = 0; i < client_count(w); i++) {
        struct bench_client *c = &w->clients[i];
        bool is_publisher = i < w->publisher_count;
        uint32_t place = is_publisher ? i : i - w->publisher_count;
        c->fd = -1;
        c->place = (struct bench_place){is_publisher, place * o->processes + process};
        if (is_publisher)
            bench_publisher_init(&w->publishers[place], &w->io, c, &w->schedule);
        else
            bench_subscriber_init(&w->subscribers[place], &w->io, c);
    }
}

static void done(struct worker *w)
{
    for (uint32_t i = 0; i < w->publisher_count; i++)
        bench_publisher_done(&w->publishers[i]);
    for (uint32_t i = 0; i < w->subscriber_count; i++)
        bench_subscriber_done(&w->subscribers[i]);
    free(w->publishers);
    free(w->subscribers);
    free(w->clients);
    bench_client_done_io(&w->io);
}

static void turn(struct worker *w)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = bench_shared_now_ns();
    if (w->phase == BENCH_PHASE_CONNECT && !is_storm(w))
        connect_some(w);
    uint64_t due_ns = grant_due(w, now_ns);
    ping_due(w, now_ns);
    now_ns = bench_shared_now_ns();
    uint64_t wait_ns = due_ns <= now_ns ? 0 : due_ns - now_ns;
    struct timespec wait = {.tv_nsec = wait_ns < TURN_NS_MAX ? (long)wait_ns : TURN_NS_MAX};
    int count = epoll_pwait2(w->io.epoll, events, EVENTS_MAX, &wait, NULL);
    for (int i = 0; i < count; i++)
        on_event(w, events[i].data.ptr, events[i].events);
    pump_ahead(w);
}

void bench_worker_run(const struct bench_plan *plan, struct bench_shared *shared, uint32_t process,
                      bench_turn_fn on_turn, void *context)
{
    struct worker w;
    init(&w, plan, shared, process);
    /* Else a sleep until the next message is due is 50 us longer than asked. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    while (w.phase != BENCH_PHASE_CLOSE) {
        turn(&w);
        uint64_t start_ns;
        enum bench_phase phase = bench_shared_phase(shared, &start_ns);
        if (phase != w.phase)
            enter(&w, phase, start_ns);
        if (on_turn)
            on_turn(context);
    }
    done(&w);
}
