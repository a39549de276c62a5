/*
 * courtier-bench: a load generator for MQTT brokers that checks what it
 * measures. The parent is process 0 and coordinates; more processes are forked
 * from it and share counters with it (see bench_shared.h), nothing else.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench_coordinator.h"
#include "tests/bench/bench_options.h"
#include "tests/bench/bench_plan.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/bench_shared.h"
#include "tests/bench/bench_worker.h"

static void raise_file_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void fork_workers(const struct bench_plan *plan, struct bench_shared *shared)
{
    pid_t parent = getpid();
    for (uint32_t i = 1; i < shared->processes; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("courtier-bench: fork");
            exit(2);
        }
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            bench_worker_run(plan, shared, i, NULL, NULL);
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&options, argc, argv);
    raise_file_limit();
    struct bench_plan plan;
    bench_plan_init(&plan, &options);
    struct bench_shared *shared = bench_shared_open(options.processes, options.publishers);
    fork_workers(&plan, shared);
    struct bench_coordinator coordinator;
    bench_coordinator_init(&coordinator, &plan, shared);
    bench_worker_run(&plan, shared, 0, bench_coordinator_turn, &coordinator);
    while (wait(NULL) > 0)
        continue;
    static struct bench_report report;
    bench_report_collect(&report, &coordinator);
    int error = bench_report_write(&report);
    bench_plan_done(&plan);
    if (error) {
        fprintf(stderr, "courtier-bench: %s: %s\n", options.json_path, strerror(-error));
        return 2;
    }
    return bench_report_is_clean(&report) ? 0 : 1;
}
