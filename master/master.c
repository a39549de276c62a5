#include "master/master.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/kill_point.h"
#include "common/ipc/control.h"
#include "master/assets.h"
#include "master/daemonize.h"
#include "master/reap.h"
#include "master/reload.h"
#include "master/watch.h"
#include "shm/stats.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 *   START_STORE -> START_WORKERS -> RUN -> STOP_WORKERS -> STOP_STORE -> DONE
 *
 * The store comes first and goes last: workers can't do without it. A stop may
 * begin in any state before it. While the broker stops, dead children are not
 * replaced.
 */
enum state {
    STATE_START_STORE,
    STATE_START_WORKERS,
    STATE_RUN,
    STATE_STOP_WORKERS,
    STATE_STOP_STORE,
    STATE_DONE
};

enum {
    STOP_MAX_MS = 4000,      /* the workers' time without progress, then SIGKILL */
    STOP_STORE_MIN_MS = 800, /* the store's after the last worker */
    STOP_DISK_MIN_MS = 8000, /* ... when it has a disk to write to */
    HURRY_MAX_MS = 700,      /* the same two, in all, after a second SIGTERM */
    HURRY_STORE_MS = 200,
    START_POLL_MS = 10,   /* until all heartbeats are seen */
    RETRY_MS = 100,       /* for a word to a child whose socket is full */
    START_DEATHS_MAX = 5, /* of one child, before the broker has ever served */
    LINES_PER_TURN = 256  /* of one child's log, before others get their turn */
};

struct master {
    const struct master_setup *setup;
    struct conf *conf;
    enum state state;
    int exit_code;
    bool has_served;
    bool reload_wanted;
    bool is_hurried;
    uint64_t stop_at_ms; /* SIGKILL to whom STOP was not enough */
    uint64_t stop_steps; /* that had been taken when it was set */
    uint64_t watch_at_ms;
    int background_fd; /* of daemonize_start(); -1 */
    struct assets assets;
    struct watch watch;
    unsigned child_count; /* workers, then the store, as their slots */
    struct child children[CONF_WORKERS_MAX + 1];
};

/* -- start -- */

static void make_children(struct master *master)
{
    master->child_count = master->assets.region.worker_count + 1;
    for (unsigned i = 0; i < master->child_count; i++) {
        struct child *child = &master->children[i];
        bool is_store = i == region_store_slot(&master->assets.region);
        *child = (struct child){
            .role = is_store ? ROLE_STORE : ROLE_WORKER,
            .slot = i,
            .control_fd = -1,
            .log_fd = -1,
        };
        const char *role = master->setup->roles[child->role].name;
        if (is_store)
            snprintf(child->name, sizeof child->name, "%s", role);
        else
            snprintf(child->name, sizeof child->name, "%s %u", role, i);
    }
}

/* -- words to children -- */

/* True when it was sent, or never will be because the child is gone. */
static bool say(const struct child *child, const struct control_message *message)
{
    return child->pid == 0 || control_send(child->control_fd, message) != -EAGAIN;
}

static void say_wanted(struct master *master, struct child *child)
{
    struct control_message message = {.kind = CONTROL_CONF};
    if (child->conf_wanted) {
        message.body.conf = master->conf->tunable;
        child->conf_wanted = !say(child, &message);
    }
    message.kind = CONTROL_DUMP;
    if (child->dump_wanted)
        child->dump_wanted = !say(child, &message);
    message.kind = CONTROL_SAVE;
    if (child->save_wanted)
        child->save_wanted = !say(child, &message);
    message.kind = CONTROL_STOP;
    if (child->stop_wanted)
        child->stop_wanted = !say(child, &message);
}

static bool is_waiting_to_say(const struct child *child)
{
    return child->pid != 0 &&
           (child->conf_wanted || child->stop_wanted || child->dump_wanted || child->save_wanted);
}

/* -- reload -- */

static void log_problems(const struct list_node *problems)
{
    list_for_each(node, problems) {
        const struct conf_problem *problem = list_owner(node, struct conf_problem, node);
        if (problem->is_error)
            log_error("%s", problem->text);
        else
            log_warning("%s", problem->text);
    }
}

static void use_fresh(struct master *master, struct conf *fresh)
{
    if (master->setup->quiet)
        fresh->tunable.log_mask = 0;
    int r = log_output_use(master->setup->output, fresh);
    if (r < 0)
        log_error("Cannot open log file %s: %s. Logging to stderr instead.", fresh->log_file,
                  strerror(-r));
    reload_apply(master->conf, fresh);
    log_set_mask(fresh->tunable.log_mask);
    for (unsigned i = 0; i < master->child_count; i++)
        master->children[i].conf_wanted = true;
}

/* Builds the new configuration beside the old one, which stays when that fails. */
static void reload(struct master *master)
{
    struct list_node problems;
    list_init(&problems);
    notify_reloading(&master->assets.notify);
    log_info("Reloading config.");
    struct conf *fresh = conf_load(master->setup->arguments, &problems);
    log_problems(&problems);
    if (fresh == NULL) {
        log_output_reopen(master->setup->output);
        log_error("The configuration was not reloaded: the old one stays in use.");
    } else {
        use_fresh(master, fresh);
    }
    conf_free(fresh);
    conf_problems_free(&problems);
    notify_ready(&master->assets.notify);
}

/* -- stop -- */

static void ask_to_stop(struct child *child)
{
    child->stop_wanted = true;
    child->is_stopping = true;
}

static void begin_stop(struct master *master)
{
    uint64_t now_ms = clock_now_ms();
    if (master->state >= STATE_STOP_WORKERS) {
        master->is_hurried = true;
        if (master->stop_at_ms > now_ms + HURRY_MAX_MS)
            master->stop_at_ms = now_ms + HURRY_MAX_MS;
        return;
    }
    log_info("courtier version %s terminating", master->setup->version);
    notify_stopping(&master->assets.notify);
    /* From here on connections are refused, not left waiting, as soon as the
     * workers close their sockets too. */
    listener_close_all(&master->assets.listeners);
    master->state = STATE_STOP_WORKERS;
    master->stop_at_ms = now_ms + STOP_MAX_MS;
    for (unsigned i = 0; i < master->assets.region.worker_count; i++)
        ask_to_stop(&master->children[i]);
}

static void give_up(struct master *master, int exit_code)
{
    if (master->exit_code == MASTER_EXIT_DONE)
        master->exit_code = exit_code;
    begin_stop(master);
}

static bool is_running(const struct master *master, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        if (master->children[i].pid != 0)
            return true;
    return false;
}

static uint64_t store_patience_ms(const struct master *master)
{
    return master->conf->persistence ? STOP_DISK_MIN_MS : STOP_STORE_MIN_MS;
}

/* Who goes on is waited for: there may be very many sessions, or a slow disk. */
static void be_patient(struct master *master, uint64_t now_ms)
{
    const struct region *region = &master->assets.region;
    uint64_t steps = stats_sum(region, STAT_stop_steps) + stats_sum(region, STAT_durable_commits);
    if (steps == master->stop_steps || master->is_hurried)
        return;
    master->stop_steps = steps;
    master->stop_at_ms =
        now_ms + (master->state == STATE_STOP_STORE ? store_patience_ms(master) : STOP_MAX_MS);
}

static void kill_late(struct master *master, uint64_t now_ms)
{
    be_patient(master, now_ms);
    if (now_ms < master->stop_at_ms)
        return;
    for (unsigned i = 0; i < master->child_count; i++) {
        struct child *child = &master->children[i];
        bool is_asked = child->role == ROLE_WORKER || master->state == STATE_STOP_STORE;
        if (child->pid == 0 || child->is_killed || !is_asked)
            continue;
        log_warning("The %s did not end in time: killing it.", child->name);
        kill(child->pid, SIGKILL);
        child->is_killed = true;
    }
}

static void stop_store(struct master *master, uint64_t now_ms)
{
    uint64_t least_ms = now_ms + (master->is_hurried ? HURRY_STORE_MS : store_patience_ms(master));
    if (master->stop_at_ms < least_ms)
        master->stop_at_ms = least_ms;
    ask_to_stop(&master->children[region_store_slot(&master->assets.region)]);
    master->state = STATE_STOP_STORE;
}

/* -- the state machine -- */

/* Starts a process in each empty slot of the range whose time has come. */
static void fill_slots(struct master *master, unsigned first, unsigned end, uint64_t now_ms)
{
    struct stats stats =
        stats_of(&master->assets.region, region_master_slot(&master->assets.region));
    for (unsigned i = first; i < end; i++) {
        struct child *child = &master->children[i];
        if (child->pid != 0 || now_ms < child->restart_at_ms)
            continue;
        if (child->had_process)
            stats_add(stats, STAT_respawns, 1);
        int r = spawn_child(&master->assets.spawn, child);
        if (r < 0) {
            log_error("The %s can't be started: %s.", child->name, strerror(-r));
            child->restart_at_ms = now_ms + 1000;
        }
    }
}

static bool are_ready(const struct master *master, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        if (!watch_is_ready(&master->watch, &master->children[i]))
            return false;
    return true;
}

static void begin_run(struct master *master)
{
    char status[64];
    master->state = STATE_RUN;
    master->has_served = true;
    log_info("courtier version %s running", master->setup->version);
    log_output_repeat_errors(master->setup->output, false);
    snprintf(status, sizeof status, "Serving with %u workers", master->assets.region.worker_count);
    notify_status(&master->assets.notify, status);
    notify_ready(&master->assets.notify);
    daemonize_ready(master->background_fd);
    master->background_fd = -1;
}

static void step(struct master *master, uint64_t now_ms)
{
    unsigned workers = master->assets.region.worker_count;
    switch (master->state) {
    case STATE_START_STORE:
        fill_slots(master, workers, workers + 1, now_ms);
        if (are_ready(master, workers, workers + 1))
            master->state = STATE_START_WORKERS;
        break;
    case STATE_START_WORKERS:
        fill_slots(master, 0, workers + 1, now_ms);
        if (are_ready(master, 0, workers + 1))
            begin_run(master);
        break;
    case STATE_RUN:
        fill_slots(master, 0, workers + 1, now_ms);
        if (master->reload_wanted)
            reload(master);
        master->reload_wanted = false;
        break;
    case STATE_STOP_WORKERS:
        kill_late(master, now_ms);
        if (!is_running(master, 0, workers))
            stop_store(master, now_ms);
        if (!is_running(master, 0, workers + 1))
            master->state = STATE_DONE;
        break;
    case STATE_STOP_STORE:
        kill_late(master, now_ms);
        if (!is_running(master, 0, workers + 1))
            master->state = STATE_DONE;
        break;
    case STATE_DONE:
        break;
    }
}

/* -- what happens -- */

static void on_signal(struct master *master, int number)
{
    if (number == SIGTERM || number == SIGINT)
        begin_stop(master);
    else if (number == SIGHUP)
        master->reload_wanted = true;
    else if (number == SIGRTMIN)
        log_output_reopen(master->setup->output);
    else if (number == SIGUSR2)
        for (unsigned i = 0; i < master->child_count; i++)
            master->children[i].dump_wanted = true;
    else if (number == SIGUSR1)
        master->children[region_store_slot(&master->assets.region)].save_wanted = true;
    /* SIGCHLD: reaping is done in every turn. */
}

static void read_signals(struct master *master)
{
    struct signalfd_siginfo info;
    while (read(master->assets.signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(master, (int)info.ssi_signo);
}

/* Before the broker has ever served, a child that can't start ends it all: there
 * is nothing to keep alive, and whoever starts it wants to know. */
static void judge_death(struct master *master, const struct child *child, bool is_impossible)
{
    if (master->has_served || master->state >= STATE_STOP_WORKERS)
        return;
    if (is_impossible)
        give_up(master, MASTER_EXIT_CONF);
    else if (child->deaths >= START_DEATHS_MAX)
        give_up(master, MASTER_EXIT_FAILED);
}

static void bury_dead(struct master *master)
{
    int status;
    struct child *child;
    while ((child = reap_next(master->children, master->child_count, &status)) != NULL) {
        bool is_impossible = WIFEXITED(status) && WEXITSTATUS(status) == INHERIT_EXIT_IMPOSSIBLE;
        reap_bury(&master->assets.spawn, child, status, master->state >= STATE_STOP_WORKERS,
                  log_output_sink, master->setup->output);
        kill_point("child-buried");
        judge_death(master, child, is_impossible);
    }
}

/* -- the loop -- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_turn_ms(const struct master *master, uint64_t now_ms)
{
    uint64_t at_ms = master->watch_at_ms;
    if (master->state >= STATE_STOP_WORKERS)
        at_ms = earlier(at_ms, master->stop_at_ms);
    for (unsigned i = 0; i < master->child_count; i++) {
        const struct child *child = &master->children[i];
        if (is_waiting_to_say(child))
            at_ms = earlier(at_ms, now_ms + RETRY_MS);
        if (child->pid == 0 && master->state == STATE_RUN)
            at_ms = earlier(at_ms, child->restart_at_ms);
    }
    if (master->state < STATE_RUN)
        at_ms = earlier(at_ms, now_ms + START_POLL_MS);
    return at_ms;
}

static void wait_for_events(struct master *master)
{
    struct pollfd fds[CONF_WORKERS_MAX + 2];
    uint64_t now_ms = clock_now_ms();
    uint64_t at_ms = next_turn_ms(master, now_ms);
    for (unsigned i = 0; i < master->child_count; i++)
        fds[i] = (struct pollfd){.fd = master->children[i].log_fd, .events = POLLIN};
    fds[master->child_count] = (struct pollfd){.fd = master->assets.signal_fd, .events = POLLIN};
    poll(fds, master->child_count + 1, at_ms > now_ms ? (int)(at_ms - now_ms) : 0);
    for (unsigned i = 0; i < master->child_count; i++)
        if (fds[i].revents & POLLIN)
            reap_log_lines(&master->children[i], LINES_PER_TURN, log_output_sink,
                           master->setup->output);
}

static void run(struct master *master)
{
    struct stats stats =
        stats_of(&master->assets.region, region_master_slot(&master->assets.region));
    while (master->state != STATE_DONE) {
        step(master, clock_now_ms());
        for (unsigned i = 0; i < master->child_count; i++)
            say_wanted(master, &master->children[i]);
        master->watch_at_ms =
            watch_run(&master->watch, master->children, master->child_count, clock_now_ms());
        if (master->state != STATE_DONE)
            wait_for_events(master);
        read_signals(master);
        bury_dead(master);
        stats_set(stats, STAT_log_dropped, log_output_dropped(master->setup->output));
    }
}

int master_run(struct conf *conf, const struct master_setup *setup)
{
    struct master *master = calloc(1, sizeof *master);
    if (master == NULL)
        fatal("no memory at start");
    *master = (struct master){.setup = setup, .conf = conf, .background_fd = -1};
    if (conf->daemonize) {
        master->background_fd = daemonize_start();
        if (master->background_fd < 0)
            log_error("Cannot go to the background: %s.", strerror(-master->background_fd));
    }
    log_info("courtier version %s starting", setup->version);
    if (conf->file == NULL)
        log_info("Using default config.");
    else
        log_info("Config loaded from %s.", conf->file);
    int code = assets_open(&master->assets, conf, setup->roles, &setup->title);
    if (code == MASTER_EXIT_DONE) {
        make_children(master);
        watch_init(&master->watch, &master->assets.region, &master->assets.notify);
        run(master);
        code = master->exit_code;
    }
    assets_close(&master->assets);
    conf_free(conf);
    free(master);
    return code;
}
