#include "master/spawn.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/control.h"
#include "common/ipc/log_channel.h"
#include "master/affinity.h"
#include "shm/heartbeat.h"
#include "shm/obituary.h"
#include "shm/stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the fork leaves in the child's hands. */
struct birth {
    struct spawn *spawn;
    const struct child *child;
    pid_t master;
    int control_fd;
    int log_fd;
};

/* -- once -- */

static int *new_fds(unsigned count)
{
    int *fds = malloc(count * sizeof *fds);
    if (fds == NULL)
        fatal("no memory at start");
    for (unsigned i = 0; i < count; i++)
        fds[i] = -1;
    return fds;
}

static void close_fds(int *fds, unsigned count)
{
    for (unsigned i = 0; fds != NULL && i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(fds);
}

static int open_handoff(struct spawn *spawn, unsigned worker)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    spawn->handoff_in[worker] = fds[0];
    spawn->handoff_out[worker] = fds[1];
    return 0;
}

int spawn_open(struct spawn *spawn)
{
    const struct region *region = spawn->region;
    int r = 0;
    spawn->bell_fds = new_fds(region->slot_count);
    spawn->handoff_in = new_fds(region->worker_count);
    spawn->handoff_out = new_fds(region->worker_count);
    for (unsigned i = 0; i < region->slot_count && r == 0; i++) {
        spawn->bell_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (spawn->bell_fds[i] < 0)
            r = -errno;
    }
    for (unsigned i = 0; i < region->worker_count && r == 0; i++)
        r = open_handoff(spawn, i);
    return r;
}

void spawn_close(struct spawn *spawn)
{
    if (spawn->region == NULL)
        return;
    close_fds(spawn->bell_fds, spawn->region->slot_count);
    close_fds(spawn->handoff_in, spawn->region->worker_count);
    close_fds(spawn->handoff_out, spawn->region->worker_count);
    spawn->bell_fds = NULL;
    spawn->handoff_in = NULL;
    spawn->handoff_out = NULL;
}

/* -- in the child -- */

static void give_worker(const struct spawn *spawn, struct inherit *inherit)
{
    unsigned count = spawn->listeners->address_count;
    unsigned workers = spawn->region->worker_count;
    struct inherit_listener *listeners = calloc(count, sizeof *listeners);
    int *handoff_out = new_fds(workers);
    if (listeners == NULL)
        fatal("no memory at start");
    listener_of_worker(spawn->listeners, inherit->slot, listeners);
    inherit->listeners = listeners;
    inherit->listener_count = count;
    inherit->handoff_in = spawn->handoff_in[inherit->slot];
    for (unsigned i = 0; i < workers; i++)
        if (i != inherit->slot)
            handoff_out[i] = spawn->handoff_out[i];
    inherit->handoff_out = handoff_out;
}

static struct inherit make_inherit(const struct birth *birth)
{
    const struct spawn *spawn = birth->spawn;
    struct inherit inherit = {
        .role = birth->child->role,
        .slot = birth->child->slot,
        .region = spawn->region,
        .conf = spawn->conf,
        .bell_fds = spawn->bell_fds,
        .handoff_in = -1,
        .control_fd = birth->control_fd,
        .live_path = spawn->live->path,
        .live_size_max = spawn->live->size_max,
        .durable_path = spawn->durable_path,
        .epoch = spawn->epoch,
        .is_successor = birth->child->had_process,
        .deaths = birth->child->deaths,
    };
    if (inherit.role == ROLE_WORKER)
        give_worker(spawn, &inherit);
    return inherit;
}

static int compare_fds(const void *a, const void *b)
{
    int left = *(const int *)a;
    int right = *(const int *)b;
    return (left > right) - (left < right);
}

/* Closes every descriptor that is not in `keep`, which it sorts; -1 is allowed. */
static void close_others(int *keep, size_t count)
{
    unsigned next = STDERR_FILENO + 1;
    qsort(keep, count, sizeof *keep, compare_fds);
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)next)
            continue;
        if (keep[i] > (int)next)
            close_range(next, (unsigned)keep[i] - 1, 0);
        next = (unsigned)keep[i] + 1;
    }
    close_range(next, ~0U, 0);
}

static void keep_inherited(const struct birth *birth, const struct inherit *inherit)
{
    unsigned slots = inherit->region->slot_count;
    unsigned workers = inherit->handoff_out == NULL ? 0 : inherit->region->worker_count;
    size_t count = 0;
    int *keep = new_fds(3 + slots + workers + inherit->listener_count);
    keep[count++] = birth->control_fd;
    keep[count++] = birth->log_fd;
    keep[count++] = inherit->handoff_in;
    for (unsigned i = 0; i < slots; i++)
        keep[count++] = inherit->bell_fds[i];
    for (unsigned i = 0; i < workers; i++)
        keep[count++] = inherit->handoff_out[i];
    for (unsigned i = 0; i < inherit->listener_count; i++)
        keep[count++] = inherit->listeners[i].fd;
    close_others(keep, count);
    free(keep);
}

/* A terminal's Ctrl-C and systemd's SIGTERM reach the whole group; the children
 * wait for the master's word instead. */
static void set_signals(void)
{
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGRTMIN};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void count_dropped(void *context)
{
    const struct stats *stats = context;
    stats_add(*stats, STAT_log_dropped, 1);
}

static void set_title(const struct birth *birth)
{
    char text[40];
    snprintf(text, sizeof text, "courtier: %s", birth->child->name);
    title_set(birth->spawn->title, text);
}

/* A convenience: without it the worker runs where the kernel likes. */
static void pin(const struct inherit *inherit)
{
    if (inherit->role != ROLE_WORKER || !inherit->conf->cpu_affinity)
        return;
    int r = affinity_pin(inherit->slot);
    if (r < 0)
        log_warning("Worker %u can't be bound to a CPU: %s.", inherit->slot, strerror(-r));
}

/* The order matters: the log works before anything can fail; the death signal is
 * set after the change of user, which clears it. */
_Noreturn static void live(const struct birth *birth)
{
    const struct spawn *spawn = birth->spawn;
    struct stats stats = stats_of(spawn->region, birth->child->slot);
    struct log_channel channel = {birth->log_fd, count_dropped, &stats};
    struct inherit inherit = make_inherit(birth);
    set_title(birth);
    log_set_sink(log_channel_sink, &channel);
    keep_inherited(birth, &inherit);
    set_signals();
    pin(&inherit);
    int r = privs_drop(spawn->privs);
    if (r < 0) {
        log_error("The %s can't become user %s: %s.", birth->child->name, spawn->privs->name,
                  strerror(-r));
        _exit(INHERIT_EXIT_IMPOSSIBLE);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != birth->master)
        _exit(EXIT_FAILURE); /* the master died before that call */
    obituary_start(spawn->region, birth->child->slot);
    _exit(spawn->roles[inherit.role].run(&inherit));
}

/* -- in the master -- */

static int fork_child(struct spawn *spawn, struct child *child, struct birth *birth)
{
    *birth = (struct birth){.spawn = spawn, .child = child, .master = getpid()};
    int r = control_open_pair(&child->control_fd, &birth->control_fd);
    if (r < 0)
        return r;
    r = log_channel_open_pair(&child->log_fd, &birth->log_fd);
    if (r == 0) {
        spawn->epoch++;
        child->pid = fork();
        if (child->pid == 0)
            live(birth);
        r = child->pid < 0 ? -errno : 0;
        close(birth->log_fd);
    }
    close(birth->control_fd);
    return r;
}

int spawn_child(struct spawn *spawn, struct child *child)
{
    struct birth birth;
    check(child->pid == 0);
    child->conf_wanted = false; /* it is born with the values in use */
    child->is_killed = false;
    child->ping = 0;
    child->unanswered_ms = 0;
    heartbeat_clear(spawn->region, child->slot);
    obituary_clear(spawn->region, child->slot);
    int r = fork_child(spawn, child, &birth);
    if (r < 0) {
        if (child->control_fd >= 0)
            close(child->control_fd);
        if (child->log_fd >= 0)
            close(child->log_fd);
        child->control_fd = -1;
        child->log_fd = -1;
        child->pid = 0;
        return r;
    }
    child->started_ms = clock_now_ms();
    child->had_process = true;
    return 0;
}
