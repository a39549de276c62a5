#include "tests/bench/bench_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0.0;
}

static void collect_slot(struct bench_report *r, const struct bench_slot *slot)
{
    r->cpu_ns += slot->cpu_ns;
    if (slot->window && (r->window == 0 || slot->window < r->window))
        r->window = slot->window;
    bench_stream_merge_faults(&r->faults, &slot->faults);
    bench_histogram_merge(&r->latency, &slot->latency);
    bench_histogram_merge(&r->ack, &slot->ack);
    bench_histogram_merge(&r->lag, &slot->lag);
    bench_histogram_merge(&r->connect, &slot->connect);
    bench_histogram_merge(&r->subscribe, &slot->subscribe);
}

/* Any member may get any message of a group, so only all processes together
 * know whether each message came once. */
static void check_shared_groups(struct bench_report *r, struct bench_shared *s)
{
    for (uint32_t publisher = 0; publisher < s->publishers; publisher++) {
        struct bench_tally tally = {0};
        for (uint32_t process = 0; process < s->processes; process++)
            bench_stream_merge_tally(&tally, &s->tallies[process * s->publishers + publisher]);
        bench_stream_finish_tally(&tally, (uint32_t)bench_counter_get(&s->sent[publisher]),
                                  &r->faults);
    }
}

static uint64_t expected_of(const struct bench_coordinator *c, const struct bench_report *r)
{
    const struct bench_options *o = c->plan->options;
    if (o->scenario == BENCH_RETAINED)
        return (uint64_t)bench_plan_retained(c->plan) * o->subscribers;
    if (o->scenario == BENCH_OFFLINE)
        return bench_shared_sent_ever(c->shared);
    return r->sent * bench_plan_copies(c->plan);
}

void bench_report_collect(struct bench_report *r, const struct bench_coordinator *c)
{
    struct bench_shared *s = c->shared;
    const struct bench_options *o = c->plan->options;
    *r = (struct bench_report){.options = o};
    for (uint32_t i = 0; i < s->processes; i++)
        collect_slot(r, &s->slots[i]);
    if (o->scenario == BENCH_SHARED)
        check_shared_groups(r, s);
    bool is_retained = o->scenario == BENCH_RETAINED;
    /* What cleared the topics again is no part of the measurement. */
    r->sent = BENCH_SUM(s, sent) / (is_retained ? 2 : 1);
    r->settled = BENCH_SUM(s, settled) / (is_retained ? 2 : 1);
    r->delivered = BENCH_SUM(s, received);
    r->expected = expected_of(c, r);
    r->connects = BENCH_SUM(s, connects);
    r->clients = BENCH_SUM(s, ready);
    r->errors = BENCH_SUM(s, errors);
    r->reads = BENCH_SUM(s, reads);
    r->writes = BENCH_SUM(s, writes);
    r->publish_s = seconds_between(c->publish_ns, c->stopped_ns);
    r->elapsed_s = seconds_between(c->publish_ns, c->drained_ns);
    r->read_s = seconds_between(c->read_ns, c->read_end_ns);
}

bool bench_report_is_clean(const struct bench_report *r)
{
    const struct bench_faults *f = &r->faults;
    return f->lost + f->duplicates + f->reordered + f->corrupt + r->errors == 0 &&
           r->settled == r->sent;
}

static double per_second(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0.0;
}

static uint64_t work_of(const struct bench_report *r)
{
    return r->sent + r->delivered + r->connects;
}

static void print_latency(FILE *out, const char *name, const struct bench_histogram *h)
{
    if (h->count == 0)
        return;
    fprintf(out, "%-10s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n", name,
            (double)bench_histogram_percentile(h, 50) / 1e3,
            (double)bench_histogram_percentile(h, 90) / 1e3,
            (double)bench_histogram_percentile(h, 99) / 1e3,
            (double)bench_histogram_percentile(h, 99.9) / 1e3, (double)h->max / 1e3);
}

static void print_faults(FILE *out, const struct bench_report *r)
{
    const struct bench_faults *f = &r->faults;
    if (bench_report_is_clean(r)) {
        fprintf(out, "check      all delivered once and in order\n");
        return;
    }
    fprintf(out,
            "check      FAILED: lost %llu, duplicates %llu, reordered %llu, corrupt %llu,"
            " unacknowledged %llu, errors %llu\n",
            (unsigned long long)f->lost, (unsigned long long)f->duplicates,
            (unsigned long long)f->reordered, (unsigned long long)f->corrupt,
            (unsigned long long)(r->sent - r->settled), (unsigned long long)r->errors);
}

static void write_text(FILE *out, const struct bench_report *r)
{
    const struct bench_options *o = r->options;
    double send_s = o->scenario == BENCH_RETAINED || o->messages ? r->elapsed_s : r->publish_s;
    fprintf(out, "scenario   %s, %u publishers, %u subscribers, MQTT %s, QoS %u, %u bytes\n",
            bench_options_scenario(o->scenario), o->publishers, o->subscribers,
            o->version == BENCH_WIRE_V5 ? "5" : "3.1.1", o->qos, o->size);
    if (o->scenario == BENCH_STORM)
        fprintf(out, "connects   %llu in %.3f s, %.0f/s\n", (unsigned long long)r->connects,
                r->elapsed_s, per_second(r->connects, r->elapsed_s));
    if (r->sent)
        fprintf(out, "sent       %llu in %.3f s, %.0f/s\n", (unsigned long long)r->sent, send_s,
                per_second(r->sent, send_s));
    if (r->delivered)
        fprintf(out, "delivered  %llu of %llu in %.3f s, %.0f/s\n",
                (unsigned long long)r->delivered, (unsigned long long)r->expected,
                r->read_s > 0 ? r->read_s : r->elapsed_s,
                per_second(r->delivered, r->read_s > 0 ? r->read_s : r->elapsed_s));
    print_latency(out, "latency", &r->latency);
    print_latency(out, "ack", &r->ack);
    print_latency(out, "send lag", &r->lag);
    print_latency(out, "connect", &r->connect);
    print_latency(out, "subscribe", &r->subscribe);
    if (work_of(r))
        fprintf(out, "generator  %.3f s CPU, %.0f ns per message sent or received\n",
                (double)r->cpu_ns / 1e9, (double)r->cpu_ns / (double)work_of(r));
    print_faults(out, r);
}

static void json_latency(FILE *out, const char *name, const struct bench_histogram *h)
{
    fprintf(out,
            "  \"%s\": {\"count\": %llu, \"mean\": %.2f, \"p50\": %.2f, \"p90\": %.2f,"
            " \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f},\n",
            name, (unsigned long long)h->count, bench_histogram_mean(h) / 1e3,
            (double)bench_histogram_percentile(h, 50) / 1e3,
            (double)bench_histogram_percentile(h, 90) / 1e3,
            (double)bench_histogram_percentile(h, 99) / 1e3,
            (double)bench_histogram_percentile(h, 99.9) / 1e3, (double)h->max / 1e3);
}

static void json_count(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "  \"%s\": %llu,\n", name, (unsigned long long)value);
}

static void json_setup(FILE *out, const struct bench_report *r)
{
    const struct bench_options *o = r->options;
    fprintf(out, "  \"scenario\": \"%s\",\n", bench_options_scenario(o->scenario));
    fprintf(out, "  \"mqtt\": %d,\n", o->version == BENCH_WIRE_V5 ? 5 : 3);
    fprintf(out, "  \"rate\": %.1f,\n", o->rate);
    json_count(out, "qos", o->qos);
    json_count(out, "publishers", o->publishers);
    json_count(out, "subscribers", o->subscribers);
    json_count(out, "size", o->size);
    json_count(out, "window", r->window);
    json_count(out, "processes", o->processes);
}

static void write_json(FILE *out, const struct bench_report *r)
{
    const struct bench_faults *f = &r->faults;
    fprintf(out, "{\n");
    json_setup(out, r);
    json_count(out, "clients", r->clients);
    json_count(out, "sent", r->sent);
    json_count(out, "settled", r->settled);
    json_count(out, "expected", r->expected);
    json_count(out, "delivered", r->delivered);
    json_count(out, "connects", r->connects);
    json_count(out, "lost", f->lost);
    json_count(out, "duplicates", f->duplicates);
    json_count(out, "reordered", f->reordered);
    json_count(out, "corrupt", f->corrupt);
    json_count(out, "errors", r->errors);
    fprintf(out, "  \"publish_s\": %.6f,\n", r->publish_s);
    fprintf(out, "  \"elapsed_s\": %.6f,\n", r->elapsed_s);
    fprintf(out, "  \"read_s\": %.6f,\n", r->read_s);
    json_latency(out, "latency_us", &r->latency);
    json_latency(out, "ack_us", &r->ack);
    json_latency(out, "lag_us", &r->lag);
    json_latency(out, "connect_us", &r->connect);
    json_latency(out, "subscribe_us", &r->subscribe);
    fprintf(out, "  \"generator_cpu_s\": %.6f,\n", (double)r->cpu_ns / 1e9);
    json_count(out, "generator_reads", r->reads);
    json_count(out, "generator_writes", r->writes);
    fprintf(out, "  \"clean\": %s\n}\n", bench_report_is_clean(r) ? "true" : "false");
}

int bench_report_write(const struct bench_report *r)
{
    const char *path = r->options->json_path;
    if (!path || strcmp(path, "-") != 0)
        write_text(stdout, r);
    if (!path)
        return 0;
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!out)
        return -errno;
    write_json(out, r);
    return out == stdout || fclose(out) == 0 ? 0 : -errno;
}
