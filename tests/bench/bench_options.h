#ifndef COURTIER_TESTS_BENCH_BENCH_OPTIONS_H
#define COURTIER_TESTS_BENCH_BENCH_OPTIONS_H

/*
 * What the user asked for: one struct, filled from the command line by a table
 * that also writes --help, checked, and not changed after.
 */

#include <stdbool.h>
#include <stdint.h>

enum bench_scenario {
    BENCH_PAIRS,
    BENCH_FANOUT,
    BENCH_FANIN,
    BENCH_SHARED,
    BENCH_IDLE,
    BENCH_STORM,
    BENCH_RETAINED,
    BENCH_OFFLINE,
};

/* Not to be copied: prefix may point into it. */
struct bench_options {
    const char *host;
    const char *unix_path; /* or NULL */
    const char *prefix;
    const char *username;     /* or NULL */
    const char *password;     /* or NULL */
    const char *json_path;    /* or NULL; "-" is standard output */
    const char *id_list_path; /* or NULL */
    double rate;              /* messages a second of all publishers; 0: flat out */
    double duration_s;
    double warmup_s;
    double hold_s;
    double drain_timeout_s;
    enum bench_scenario scenario;
    int version; /* 4 or 5, as on the wire */
    uint32_t port;
    uint32_t publishers;
    uint32_t subscribers;
    uint32_t clients; /* sets one of the two or both, by scenario; 0: not given */
    uint32_t topics;
    uint32_t messages; /* of each publisher; 0: as many as the time allows */
    uint32_t qos;
    uint32_t size;
    uint32_t window;
    uint32_t ahead;
    uint32_t keepalive_s;
    uint32_t processes;
    uint32_t connecting_max;
    uint32_t chunk_size;
    char own_prefix[24]; /* what prefix points to when none is given */
    bool persistent;
    bool subscribe;
    bool step;
};

/* Parses and checks. On a mistake prints it to standard error and exits with 2;
 * --help prints to standard output and exits with 0. Texts are borrowed from
 * argv or static. */
void bench_options_parse(struct bench_options *o, int argc, char **argv);

/* The name of the scenario as on the command line. */
const char *bench_options_scenario(enum bench_scenario scenario);

#endif
