#include "tests/bench/bench_coordinator.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHECK_NS = 1000000, /* between two looks at the counters */
    SHOW_NS = 1000000000,
    LEAD_NS = 20000000, /* all processes know of a schedule before it starts */
    STAGES_MAX = 10,
};

static const enum bench_phase traffic[STAGES_MAX] = {
    BENCH_PHASE_CONNECT, BENCH_PHASE_WARMUP, BENCH_PHASE_SETTLE, BENCH_PHASE_RESET,
    BENCH_PHASE_PUBLISH, BENCH_PHASE_DRAIN,  BENCH_PHASE_COUNT,  BENCH_PHASE_CLOSE};

static const enum bench_phase idle[STAGES_MAX] = {
    BENCH_PHASE_CONNECT, BENCH_PHASE_RESET, BENCH_PHASE_HOLD, BENCH_PHASE_COUNT, BENCH_PHASE_CLOSE};

static const enum bench_phase retained[STAGES_MAX] = {
    BENCH_PHASE_CONNECT, BENCH_PHASE_RESET, BENCH_PHASE_PUBLISH, BENCH_PHASE_DRAIN,
    BENCH_PHASE_READ,    BENCH_PHASE_COUNT, BENCH_PHASE_CLEAR,   BENCH_PHASE_CLOSE};

static const enum bench_phase offline[STAGES_MAX] = {
    BENCH_PHASE_CONNECT, BENCH_PHASE_AWAY,    BENCH_PHASE_WARMUP, BENCH_PHASE_SETTLE,
    BENCH_PHASE_RESET,   BENCH_PHASE_PUBLISH, BENCH_PHASE_DRAIN,  BENCH_PHASE_READ,
    BENCH_PHASE_COUNT,   BENCH_PHASE_CLOSE};

static const char *const phase_names[] = {
    [BENCH_PHASE_CONNECT] = "connect", [BENCH_PHASE_AWAY] = "away",
    [BENCH_PHASE_WARMUP] = "warm-up",  [BENCH_PHASE_SETTLE] = "settle",
    [BENCH_PHASE_RESET] = "reset",     [BENCH_PHASE_PUBLISH] = "publish",
    [BENCH_PHASE_DRAIN] = "drain",     [BENCH_PHASE_READ] = "read",
    [BENCH_PHASE_HOLD] = "hold",       [BENCH_PHASE_COUNT] = "count",
    [BENCH_PHASE_CLEAR] = "clear",     [BENCH_PHASE_CLOSE] = "close",
};

static const enum bench_phase *stages_of(const struct bench_coordinator *c)
{
    if (c->plan->options->scenario == BENCH_IDLE)
        return idle;
    if (c->plan->options->scenario == BENCH_OFFLINE)
        return offline;
    return c->plan->options->scenario == BENCH_RETAINED ? retained : traffic;
}

static enum bench_phase phase_of(const struct bench_coordinator *c)
{
    return stages_of(c)[c->stage];
}

/* What to tell the one who steps before a phase begins; NULL: nothing. */
static const char *step_before(enum bench_phase phase)
{
    if (phase == BENCH_PHASE_PUBLISH)
        return "start";
    if (phase == BENCH_PHASE_READ)
        return "read";
    if (phase == BENCH_PHASE_HOLD)
        return "ready";
    return phase == BENCH_PHASE_COUNT ? "end" : NULL;
}

static uint64_t client_count(const struct bench_coordinator *c)
{
    const struct bench_options *o = c->plan->options;
    return o->scenario == BENCH_STORM ? 0 : (uint64_t)o->publishers + o->subscribers;
}

static bool is_stuck(const struct bench_coordinator *c, uint64_t now_ns)
{
    return now_ns - c->moved_ns > (uint64_t)(c->plan->options->drain_timeout_s * 1e9);
}

static bool is_drained(const struct bench_coordinator *c)
{
    struct bench_shared *s = c->shared;
    uint64_t due = BENCH_SUM(s, due);
    uint64_t received = BENCH_SUM(s, received) - BENCH_SUM(s, repeated);
    return BENCH_SUM(s, sent) == due && BENCH_SUM(s, settled) == due &&
           received >= due * bench_plan_copies(c->plan) && BENCH_SUM(s, open) == 0;
}

static bool is_read(const struct bench_coordinator *c)
{
    const struct bench_options *o = c->plan->options;
    uint64_t expected = o->scenario == BENCH_OFFLINE
                            ? bench_shared_sent_ever(c->shared) + BENCH_SUM(c->shared, repeated)
                            : (uint64_t)bench_plan_retained(c->plan) * o->subscribers;
    return BENCH_SUM(c->shared, received) >= expected;
}

static bool is_connected(const struct bench_coordinator *c, uint64_t now_ns)
{
    uint64_t ready = BENCH_SUM(c->shared, ready);
    if (ready >= client_count(c))
        return true;
    if (BENCH_SUM(c->shared, errors) || is_stuck(c, now_ns)) {
        fprintf(stderr, "courtier-bench: only %llu of %llu clients are connected\n",
                (unsigned long long)ready, (unsigned long long)client_count(c));
        exit(2);
    }
    return false;
}

static bool has_lasted(const struct bench_coordinator *c, uint64_t now_ns, double seconds)
{
    return now_ns >= c->entered_ns + (uint64_t)(seconds * 1e9);
}

static bool is_over(const struct bench_coordinator *c, uint64_t now_ns)
{
    const struct bench_options *o = c->plan->options;
    switch (phase_of(c)) {
    case BENCH_PHASE_CONNECT:
        return is_connected(c, now_ns);
    case BENCH_PHASE_WARMUP:
        return o->messages || has_lasted(c, now_ns, o->warmup_s);
    case BENCH_PHASE_PUBLISH:
        return o->scenario == BENCH_RETAINED || o->messages || has_lasted(c, now_ns, o->duration_s);
    case BENCH_PHASE_HOLD:
        return has_lasted(c, now_ns, o->hold_s);
    case BENCH_PHASE_AWAY:
        return BENCH_SUM(c->shared, open) == 0 || is_stuck(c, now_ns);
    case BENCH_PHASE_SETTLE:
    case BENCH_PHASE_DRAIN:
    case BENCH_PHASE_CLEAR:
        return is_drained(c) || is_stuck(c, now_ns);
    case BENCH_PHASE_READ:
        return is_read(c) || is_stuck(c, now_ns);
    case BENCH_PHASE_RESET:
    case BENCH_PHASE_COUNT:
        return true;
    case BENCH_PHASE_CLOSE:
        break;
    }
    return false;
}

static void watch_progress(struct bench_coordinator *c, uint64_t now_ns)
{
    struct bench_shared *s = c->shared;
    uint64_t sum = BENCH_SUM(s, ready) + BENCH_SUM(s, sent) + BENCH_SUM(s, settled) +
                   BENCH_SUM(s, received) + BENCH_SUM(s, connects);
    if (sum == c->moved_sum)
        return;
    c->moved_sum = sum;
    c->moved_ns = now_ns;
}

static void show_progress(struct bench_coordinator *c, uint64_t now_ns)
{
    if (!c->shows_progress || now_ns - c->shown_ns < SHOW_NS)
        return;
    struct bench_shared *s = c->shared;
    double seconds = (double)(now_ns - c->shown_ns) / 1e9;
    uint64_t sent = BENCH_SUM(s, sent) + BENCH_SUM(s, connects);
    uint64_t received = BENCH_SUM(s, received);
    fprintf(stderr, "\r\033[K%s: %llu clients, %.0f sent/s, %.0f delivered/s, %llu errors",
            phase_names[phase_of(c)], (unsigned long long)BENCH_SUM(s, ready),
            sent < c->shown_sent ? 0.0 : (double)(sent - c->shown_sent) / seconds,
            received < c->shown_received ? 0.0 : (double)(received - c->shown_received) / seconds,
            (unsigned long long)BENCH_SUM(s, errors));
    c->shown_ns = now_ns;
    c->shown_sent = sent;
    c->shown_received = received;
}

/* The loop goes on meanwhile, so that clients are served; this only looks. */
static bool has_line(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte = 0;
    while (poll(&in, 1, 0) > 0) {
        if (read(STDIN_FILENO, &byte, 1) != 1)
            exit(2);
        if (byte == '\n')
            return true;
    }
    return false;
}

static void announce(struct bench_coordinator *c, enum bench_phase next)
{
    const char *step = step_before(next);
    bool steps = c->plan->options->step && step;
    if (steps)
        printf("STEP %s\n", step);
    else if (next == BENCH_PHASE_HOLD)
        printf("READY\n");
    fflush(stdout);
    c->is_waiting = steps;
}

static void leave(struct bench_coordinator *c, enum bench_phase phase)
{
    if (phase == BENCH_PHASE_DRAIN)
        c->drained_ns = bench_shared_last_ns(c->shared);
    if (phase == BENCH_PHASE_READ)
        c->read_end_ns = bench_shared_last_ns(c->shared);
}

static bool is_scheduled(const struct bench_coordinator *c, enum bench_phase phase)
{
    return c->plan->options->rate > 0 &&
           (phase == BENCH_PHASE_WARMUP || phase == BENCH_PHASE_PUBLISH);
}

static void enter_next(struct bench_coordinator *c)
{
    c->stage++;
    uint64_t now_ns = bench_shared_now_ns();
    enum bench_phase phase = phase_of(c);
    c->entered_ns = c->moved_ns = now_ns;
    if (is_scheduled(c, phase))
        c->entered_ns += LEAD_NS;
    if (phase == BENCH_PHASE_PUBLISH)
        c->publish_ns = c->entered_ns;
    if (phase == BENCH_PHASE_DRAIN)
        c->stopped_ns = now_ns;
    if (phase == BENCH_PHASE_READ)
        c->read_ns = now_ns;
    bench_shared_enter(c->shared, phase, c->entered_ns);
    if (c->shows_progress && phase == BENCH_PHASE_CLOSE)
        fprintf(stderr, "\r\033[K");
}

void bench_coordinator_init(struct bench_coordinator *c, const struct bench_plan *plan,
                            struct bench_shared *shared)
{
    uint64_t now_ns = bench_shared_now_ns();
    *c = (struct bench_coordinator){
        .plan = plan,
        .shared = shared,
        .shows_progress = isatty(STDERR_FILENO),
        .entered_ns = now_ns,
        .moved_ns = now_ns,
        .shown_ns = now_ns,
    };
}

void bench_coordinator_turn(void *context)
{
    struct bench_coordinator *c = context;
    uint64_t now_ns = bench_shared_now_ns();
    if (now_ns - c->checked_ns < CHECK_NS)
        return;
    c->checked_ns = now_ns;
    watch_progress(c, now_ns);
    show_progress(c, now_ns);
    if (c->is_waiting) {
        if (!has_line())
            return;
        c->is_waiting = false;
        enter_next(c);
        return;
    }
    if (phase_of(c) == BENCH_PHASE_CLOSE || !bench_shared_is_confirmed(c->shared) ||
        !is_over(c, now_ns))
        return;
    leave(c, phase_of(c));
    announce(c, stages_of(c)[c->stage + 1]);
    if (!c->is_waiting)
        enter_next(c);
}
