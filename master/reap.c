#include "master/reap.h"

#include "common/base/clock.h"
#include "common/ipc/log_channel.h"
#include "shm/layout.h"
#include "shm/listener_count.h"
#include "shm/obituary.h"
#include "shm/stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GOOD_LIFE_MS = 60000, /* makes good for all deaths before */
    SHORT_LIFE_MS = 100,
    LAST_LINES_MAX = 1000
};

struct child *reap_next(struct child *children, unsigned count, int *ret_status)
{
    pid_t pid;
    while ((pid = waitpid(-1, ret_status, WNOHANG)) > 0)
        for (unsigned i = 0; i < count; i++)
            if (children[i].pid == pid)
                return &children[i];
    return NULL;
}

void reap_log_lines(const struct child *child, unsigned limit, log_sink_fn sink, void *context)
{
    struct log_channel_line line;
    while (limit-- > 0) {
        int r = log_channel_receive(child->log_fd, &line);
        if (r == 0)
            sink(line.level, line.text, line.size, context);
        else if (r != -EPROTO)
            break;
    }
}

static void describe_end(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(text, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "exit code %d", WEXITSTATUS(status));
}

static void log_end(const struct spawn *spawn, const struct child *child, int status, bool expected)
{
    char cause[64];
    char words[LAYOUT_WORDS_MAX];
    bool did_well = WIFEXITED(status) && WEXITSTATUS(status) == INHERIT_EXIT_DONE;
    if (expected && (did_well || child->is_killed))
        return;
    describe_end(status, cause, sizeof cause);
    obituary_read(spawn->region, child->slot, words, sizeof words);
    struct log_text safe = log_text(bytes_of(words));
    log_error("The %s (process %ld) has died: %s%s%s.", child->name, (long)child->pid, cause,
              words[0] == '\0' ? "" : "; last words: ", safe.text);
}

static uint64_t backoff_ms(unsigned deaths)
{
    static const uint16_t steps[] = {0, 100, 500, 1000, 2000, 5000, 10000};
    const unsigned last = sizeof steps / sizeof steps[0] - 1;
    return steps[deaths < last ? deaths : last];
}

/* A SIGKILL from outside (an operator, the kernel out of memory) says nothing about
 * the child; if it comes as soon as there is one, at least it does not spin. */
static bool is_from_outside(const struct child *child, int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !child->is_killed;
}

/* How long the slot stays empty. */
static uint64_t judge(struct child *child, int status, uint64_t life_ms)
{
    if (is_from_outside(child, status))
        return life_ms < SHORT_LIFE_MS ? SHORT_LIFE_MS : 0;
    if (life_ms >= GOOD_LIFE_MS)
        child->deaths = 0;
    return backoff_ms(child->deaths++);
}

void reap_bury(const struct spawn *spawn, struct child *child, int status, bool expected,
               log_sink_fn sink, void *context)
{
    uint64_t now_ms = clock_now_ms();
    reap_log_lines(child, LAST_LINES_MAX, sink, context);
    log_end(spawn, child, status, expected);
    stats_reset_gauges(stats_of(spawn->region, child->slot));
    listener_count_reset(stats_of(spawn->region, child->slot));
    if (expected)
        stats_set(stats_of(spawn->region, child->slot), STAT_drained, 1);
    close(child->control_fd);
    close(child->log_fd);
    child->control_fd = -1;
    child->log_fd = -1;
    child->pid = 0;
    child->restart_at_ms = now_ms + judge(child, status, now_ms - child->started_ms);
}
