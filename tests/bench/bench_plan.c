#include "tests/bench/bench_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETAINED_PER_LEVEL = 100 };

static _Noreturn void refuse(const struct bench_options *o, const char *why)
{
    fprintf(stderr, "courtier-bench: %s: %s\n", o->id_list_path, why);
    exit(2);
}

static char *read_id(const struct bench_options *o, FILE *file)
{
    char line[BENCH_WIRE_TEXT_MAX];
    if (!fgets(line, sizeof(line), file))
        refuse(o, "fewer client ids than clients");
    line[strcspn(line, "\r\n")] = '\0';
    char *id = strdup(line);
    if (!id)
        abort();
    return id;
}

void bench_plan_init(struct bench_plan *p, const struct bench_options *options)
{
    *p = (struct bench_plan){.options = options};
    if (!options->id_list_path)
        return;
    FILE *file = fopen(options->id_list_path, "r");
    if (!file)
        refuse(options, "cannot open");
    uint32_t count = options->publishers + options->subscribers;
    p->ids = calloc(count, sizeof(*p->ids));
    if (!p->ids)
        abort();
    for (uint32_t i = 0; i < count; i++)
        p->ids[i] = read_id(options, file);
    fclose(file);
}

void bench_plan_done(struct bench_plan *p)
{
    uint32_t count = p->ids ? p->options->publishers + p->options->subscribers : 0;
    for (uint32_t i = 0; i < count; i++)
        free(p->ids[i]);
    free(p->ids);
    p->ids = NULL;
}

void bench_plan_client_id(const struct bench_plan *p, struct bench_place place, char *out)
{
    const struct bench_options *o = p->options;
    if (p->ids)
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s",
                 p->ids[(place.is_publisher ? 0 : o->publishers) + place.index]);
    else
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s%c%u", o->prefix, place.is_publisher ? 'p' : 's',
                 place.index);
}

void bench_plan_topic(const struct bench_plan *p, uint32_t publisher, uint32_t sequence, char *out)
{
    const struct bench_options *o = p->options;
    if (o->scenario == BENCH_FANOUT)
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/all", o->prefix);
    else if (o->scenario == BENCH_RETAINED)
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/%u/%u/%u", o->prefix, publisher,
                 sequence / RETAINED_PER_LEVEL, sequence % RETAINED_PER_LEVEL);
    else
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/%u", o->prefix, publisher);
}

void bench_plan_filter(const struct bench_plan *p, uint32_t subscriber, char *out)
{
    const char *prefix = p->options->prefix;
    switch (p->options->scenario) {
    case BENCH_FANOUT:
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/all", prefix);
        break;
    case BENCH_FANIN:
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/+", prefix);
        break;
    case BENCH_SHARED:
        snprintf(out, BENCH_WIRE_TEXT_MAX, "$share/group/%s/+", prefix);
        break;
    case BENCH_RETAINED:
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/#", prefix);
        break;
    case BENCH_PAIRS:
    case BENCH_OFFLINE:
    case BENCH_IDLE:
    case BENCH_STORM:
        snprintf(out, BENCH_WIRE_TEXT_MAX, "%s/%u", prefix, subscriber);
        break;
    }
}

uint32_t bench_plan_copies(const struct bench_plan *p)
{
    switch (p->options->scenario) {
    case BENCH_PAIRS:
    case BENCH_SHARED:
        return 1;
    case BENCH_FANOUT:
    case BENCH_FANIN:
        return p->options->subscribers;
    case BENCH_IDLE:
    case BENCH_STORM:
    case BENCH_RETAINED:
    case BENCH_OFFLINE:
        break;
    }
    return 0;
}

uint32_t bench_plan_retained(const struct bench_plan *p)
{
    return p->options->scenario == BENCH_RETAINED ? p->options->topics * p->options->publishers : 0;
}

bool bench_plan_is_read_later(const struct bench_plan *p)
{
    return p->options->scenario == BENCH_RETAINED || p->options->scenario == BENCH_OFFLINE;
}

bool bench_plan_is_exact(const struct bench_plan *p)
{
    return p->options->scenario != BENCH_SHARED && p->options->scenario != BENCH_RETAINED;
}

uint32_t bench_plan_streams(const struct bench_plan *p, uint32_t subscriber, uint32_t *ret_first)
{
    *ret_first = 0;
    switch (p->options->scenario) {
    case BENCH_PAIRS:
    case BENCH_OFFLINE:
        *ret_first = subscriber;
        return 1;
    case BENCH_FANOUT:
    case BENCH_FANIN:
    case BENCH_SHARED:
    case BENCH_RETAINED:
        return p->options->publishers;
    case BENCH_IDLE:
    case BENCH_STORM:
        break;
    }
    return 0;
}
