#include "tests/bench/bench_options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench_wire.h"

enum { EXIT_USAGE = 2 };

/* A count that the scenario decides. */
#define NOT_GIVEN UINT32_MAX

/* The scenarios, with the counts that hold when none are given. */
static const struct {
    const char *name;
    uint32_t publishers;
    uint32_t subscribers;
    const char *help;
} scenarios[] = {
    [BENCH_PAIRS] = {"pairs", 50, 50, "publisher i to subscriber i, each pair on its own topic"},
    [BENCH_FANOUT] = {"fanout", 1, 1000, "each publisher to every subscriber, on one topic"},
    [BENCH_FANIN] = {"fanin", 50, 1, "a topic per publisher, every subscriber on a wildcard"},
    [BENCH_SHARED] = {"shared", 10, 10, "a topic per publisher, subscribers share one group"},
    [BENCH_IDLE] = {"idle", 0, 1000, "connect, subscribe once each, print READY and hold"},
    [BENCH_STORM] = {"connect", 0, 100, "each client connects and leaves, over and over"},
    [BENCH_RETAINED] = {"retained", 1, 10, "set many, then each subscriber reads all by wildcard"},
    [BENCH_OFFLINE] = {"offline", 8, 8, "pairs, but subscribers are away until all is published"},
};

enum kind { TEXT, COUNT, SECONDS, FLAG, SCENARIO, VERSION };

#define AT(member) offsetof(struct bench_options, member)

static const struct option {
    const char *name;
    const char *argument;
    enum kind kind;
    size_t at;
    uint32_t min;
    uint32_t max;
    const char *help;
} options[] = {
    {"host", "ADDRESS", TEXT, AT(host), 0, 0, "broker's name or address (127.0.0.1)"},
    {"port", "N", COUNT, AT(port), 1, 65535, "broker's TCP port (1883)"},
    {"unix", "PATH", TEXT, AT(unix_path), 0, 0, "connect to a unix socket instead"},
    {"scenario", "NAME", SCENARIO, AT(scenario), 0, 0, "what to do, see below (pairs)"},
    {"pairs", "N", COUNT, AT(clients), 1, 100000, "pairs, offline: so many of each"},
    {"clients", "N", COUNT, AT(clients), 1, 1000000, "idle, connect: so many clients"},
    {"publishers", "N", COUNT, AT(publishers), 0, 100000, "publishing clients"},
    {"subscribers", "N", COUNT, AT(subscribers), 0, 1000000, "subscribing clients"},
    {"topics", "N", COUNT, AT(topics), 1, 10000000,
     "retained: topics that each publisher sets (10000)"},
    {"messages", "N", COUNT, AT(messages), 0, 10000000,
     "messages of each publisher, whatever --duration says; 0: no limit (0)"},
    {"qos", "N", COUNT, AT(qos), 0, 2, "quality of service, both ways (0)"},
    {"mqtt", "3|5", VERSION, AT(version), 0, 0, "protocol: 3 is 3.1.1 (3)"},
    {"size", "BYTES", COUNT, AT(size), BENCH_WIRE_STAMP_SIZE, 1 << 27, "payload, at least 16 (64)"},
    {"rate", "N", SECONDS, AT(rate), 0, 0,
     "messages offered a second, all publishers; 0: flat out (0)"},
    {"window", "N", COUNT, AT(window), 1, 65535,
     "QoS 1, 2: unacknowledged messages of a publisher (20)"},
    {"ahead", "N", COUNT, AT(ahead), 0, 1000000,
     "QoS 0: messages that a publisher may be ahead of delivery; 0: any (0)"},
    {"duration", "S", SECONDS, AT(duration_s), 0, 0, "seconds of measured publishing (10)"},
    {"warmup", "S", SECONDS, AT(warmup_s), 0, 0, "seconds of the same before it (1)"},
    {"hold", "S", SECONDS, AT(hold_s), 0, 0, "idle: seconds to stay connected (10)"},
    {"keepalive", "S", COUNT, AT(keepalive_s), 0, 65535,
     "keep alive; pings twice as often; 0: none (0)"},
    {"persistent", NULL, FLAG, AT(persistent), 0, 0,
     "subscribers ask for a session that outlives the connection"},
    {"subscribe", NULL, FLAG, AT(subscribe), 0, 0, "connect: subscribe too, each time"},
    {"processes", "N", COUNT, AT(processes), 1, 64, "share the clients among N processes (1)"},
    {"connecting", "N", COUNT, AT(connecting_max), 1, 100000, "handshakes under way at once (64)"},
    {"chunk", "BYTES", COUNT, AT(chunk_size), 1, 1 << 20,
     "most bytes of PUBLISH in one write (16384)"},
    {"drain-timeout", "S", SECONDS, AT(drain_timeout_s), 0, 0,
     "give up after so long without any progress (5)"},
    {"client-prefix", "TEXT", TEXT, AT(prefix), 0, 0,
     "of client ids and topics (bench and the process id)"},
    {"id-list", "FILE", TEXT, AT(id_list_path), 0, 0,
     "client ids, one a line: publishers first, then subscribers"},
    {"username", "TEXT", TEXT, AT(username), 0, 0, "user name in CONNECT"},
    {"password", "TEXT", TEXT, AT(password), 0, 0, "password in CONNECT"},
    {"step", NULL, FLAG, AT(step), 0, 0,
     "print STEP lines and wait for a line on standard input after each"},
    {"json", "FILE", TEXT, AT(json_path), 0, 0, "write the result as JSON; - is standard output"},
};

enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };
enum { SCENARIO_COUNT = sizeof(scenarios) / sizeof(scenarios[0]) };

static const char help_head[] =
    "Usage: courtier-bench [--scenario NAME] [OPTION]...\n"
    "Loads an MQTT broker, checks every message for loss, order and duplicates,\n"
    "and reports rates and latencies.\n\nOptions (default in brackets):\n";

static const char help_tail[] =
    "\nClient ids are <prefix>p<i> for publishers and <prefix>s<i> for all others.\n"
    "With --rate, latency counts from the time at which a message was due, even when it\n"
    "was sent late. Flat out at QoS 0 the socket is kept full (but see --ahead), at QoS 1\n"
    "and 2 the window. To measure a broker's CPU per message use --step: the warm-up is\n"
    "drained before the step \"start\", and at \"end\" all has been delivered or given up.\n"
    "More than 20000 connections to 127.0.0.0/8 spread over source addresses; mind the\n"
    "limit of open files, which counts per process.\n"
    "Exit status: 0 all was delivered once and in order, 1 not so, 2 cannot run.\n";

static _Noreturn void refuse(const char *name, const char *value, const char *why)
{
    fprintf(stderr, "courtier-bench: --%s %s: %s\n", name, value, why);
    exit(EXIT_USAGE);
}

static _Noreturn void print_help(void)
{
    fputs(help_head, stdout);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        int width = printf("  --%s %s", o->name, o->argument ? o->argument : "");
        printf("%*s%s\n", width < 24 ? 24 - width : 1, "", o->help);
    }
    fputs("\nScenarios (default publishers : subscribers):\n", stdout);
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        int width = printf("  %s %u:%u", scenarios[i].name, scenarios[i].publishers,
                           scenarios[i].subscribers);
        printf("%*s%s\n", width < 24 ? 24 - width : 1, "", scenarios[i].help);
    }
    fputs(help_tail, stdout);
    exit(EXIT_SUCCESS);
}

static uint32_t parse_count(const struct option *option, const char *value)
{
    char *end;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end)
        refuse(option->name, value, "not a number");
    if (number < option->min || number > option->max)
        refuse(option->name, value, "out of range");
    return (uint32_t)number;
}

static double parse_seconds(const struct option *option, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= 0 && number < 1e9))
        refuse(option->name, value, "not a number");
    return number;
}

static enum bench_scenario parse_scenario(const struct option *option, const char *value)
{
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        if (strcmp(value, scenarios[i].name) == 0)
            return (enum bench_scenario)i;
    }
    refuse(option->name, value, "unknown scenario, see --help");
}

static int parse_version(const struct option *option, const char *value)
{
    if (strcmp(value, "5") == 0)
        return BENCH_WIRE_V5;
    if (strcmp(value, "3") == 0 || strcmp(value, "3.1.1") == 0)
        return BENCH_WIRE_V311;
    refuse(option->name, value, "not 3 (3.1.1) or 5");
}

static void set(struct bench_options *o, const struct option *option, const char *value)
{
    void *field = (char *)o + option->at;
    switch (option->kind) {
    case TEXT:
        if (strlen(value) >= BENCH_WIRE_TEXT_MAX / 2)
            refuse(option->name, value, "too long");
        *(const char **)field = value;
        break;
    case COUNT:
        *(uint32_t *)field = parse_count(option, value);
        break;
    case SECONDS:
        *(double *)field = parse_seconds(option, value);
        break;
    case FLAG:
        *(bool *)field = true;
        break;
    case SCENARIO:
        *(enum bench_scenario *)field = parse_scenario(option, value);
        break;
    case VERSION:
        *(int *)field = parse_version(option, value);
        break;
    }
}

static const struct option *find(const char *name, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    }
    return NULL;
}

static void parse_all(struct bench_options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            print_help();
        size_t size = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
        const struct option *option = find(word + 2, size);
        if (size == 0 || !option) {
            fprintf(stderr, "courtier-bench: %s: unknown option, see --help\n", word);
            exit(EXIT_USAGE);
        }
        const char *value = word[2 + size] ? word + 3 + size : NULL;
        if (option->kind == FLAG && value)
            refuse(option->name, value, "takes no value");
        if (option->kind != FLAG && !value)
            value = argv[++i];
        if (option->kind != FLAG && !value)
            refuse(option->name, "", "needs a value");
        set(o, option, value);
    }
}

static bool is_paired(const struct bench_options *o)
{
    return o->scenario == BENCH_PAIRS || o->scenario == BENCH_OFFLINE;
}

static void settle_counts(struct bench_options *o)
{
    if (o->clients)
        o->subscribers = o->clients;
    if (o->clients && is_paired(o))
        o->publishers = o->clients;
    if (o->publishers == NOT_GIVEN)
        o->publishers = scenarios[o->scenario].publishers;
    if (o->subscribers == NOT_GIVEN)
        o->subscribers = scenarios[o->scenario].subscribers;
    if (o->scenario == BENCH_IDLE || o->scenario == BENCH_STORM)
        o->publishers = 0;
    else if (o->publishers == 0)
        refuse("publishers", "0", "this scenario needs some");
    if (o->subscribers == 0)
        refuse("subscribers", "0", "every scenario needs some");
    if (is_paired(o) && o->publishers != o->subscribers)
        refuse("scenario", scenarios[o->scenario].name, "needs as many publishers as subscribers");
    if (o->scenario == BENCH_OFFLINE && o->qos == 0)
        refuse("qos", "0", "nobody keeps such messages for those who are away");
    if (o->scenario == BENCH_OFFLINE)
        o->persistent = true;
}

void bench_options_parse(struct bench_options *o, int argc, char **argv)
{
    *o = (struct bench_options){
        .host = "127.0.0.1",
        .prefix = o->own_prefix,
        .duration_s = 10,
        .warmup_s = 1,
        .hold_s = 10,
        .drain_timeout_s = 5,
        .version = BENCH_WIRE_V311,
        .port = 1883,
        .publishers = NOT_GIVEN,
        .subscribers = NOT_GIVEN,
        .topics = 10000,
        .size = 64,
        .window = 20,
        .processes = 1,
        .connecting_max = 64,
        .chunk_size = 16384,
    };
    snprintf(o->own_prefix, sizeof(o->own_prefix), "bench%ld", (long)getpid());
    parse_all(o, argc, argv);
    settle_counts(o);
    if (o->password && !o->username && o->version != BENCH_WIRE_V5)
        refuse("password", "...", "needs --username in MQTT 3.1.1");
}

const char *bench_options_scenario(enum bench_scenario scenario)
{
    return scenarios[scenario].name;
}
