#include "master/watch.h"

#include "common/base/log.h"
#include "common/ipc/control.h"
#include "shm/heartbeat.h"

#include <inttypes.h>
#include <signal.h>

enum { PING_INTERVAL_MS = 5000, ANSWER_MAX_MS = 10000, WORKER_START_MAX_MS = 60000 };

/* A manager's watchdog ends us all; our own, for one child, must be done before
 * it. So a hanging child is killed after half of that time, and the feeding, four
 * times in it, can leave out one. */
void watch_init(struct watch *ret_watch, const struct region *region, const struct notify *notify)
{
    *ret_watch = (struct watch){
        .region = region,
        .notify = notify,
        .ping_interval_ms = PING_INTERVAL_MS,
        .answer_max_ms = ANSWER_MAX_MS,
        .feed_interval_ms = notify->watchdog_ms / 4,
    };
    uint64_t half_ms = notify->watchdog_ms / 2;
    if (half_ms > 0 && half_ms < ANSWER_MAX_MS) {
        ret_watch->answer_max_ms = half_ms;
        ret_watch->ping_interval_ms = half_ms / 2;
    }
}

bool watch_is_ready(const struct watch *watch, const struct child *child)
{
    return child->pid != 0 && heartbeat_read(watch->region, child->slot) >= HEARTBEAT_READY;
}

static void kill_child(struct child *child, const char *why, uint64_t silent_ms)
{
    if (child->is_killed)
        return;
    log_error("The %s (process %ld) %s for %" PRIu64 " ms: killing it.", child->name,
              (long)child->pid, why, silent_ms);
    kill(child->pid, SIGKILL);
    child->is_killed = true;
}

static void check_child(const struct watch *watch, struct child *child, uint64_t now_ms)
{
    uint32_t heartbeat = heartbeat_read(watch->region, child->slot);
    if (heartbeat < HEARTBEAT_READY) {
        uint64_t age_ms = now_ms - child->started_ms;
        /* The store may have much to read at start; a worker has not. */
        if (child->role == ROLE_WORKER && age_ms > WORKER_START_MAX_MS)
            kill_child(child, "is not ready", age_ms);
        return;
    }
    if (heartbeat == child->ping)
        child->unanswered_ms = 0;
    if (child->unanswered_ms != 0 && now_ms - child->unanswered_ms >= watch->answer_max_ms)
        kill_child(child, "has not answered", now_ms - child->unanswered_ms);
}

static void ping_child(const struct watch *watch, struct child *child, uint64_t now_ms)
{
    if (!watch_is_ready(watch, child) || child->unanswered_ms != 0)
        return;
    struct control_message message = {.kind = CONTROL_PING};
    child->ping = child->ping <= HEARTBEAT_READY || child->ping == UINT32_MAX ? HEARTBEAT_READY + 1
                                                                              : child->ping + 1;
    message.body.ping = child->ping;
    child->unanswered_ms = now_ms;
    /* An error means a full socket, so it hangs, or a dead process, which is
     * reaped soon. */
    (void)control_send(child->control_fd, &message);
}

static void feed(const struct watch *watch, const struct child *children, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (children[i].pid != 0 && children[i].is_killed)
            return; /* it does not even die */
    notify_watchdog(watch->notify);
}

static uint64_t next_run(const struct watch *watch, const struct child *children, unsigned count)
{
    uint64_t at_ms = watch->ping_at_ms;
    if (watch->feed_interval_ms != 0 && watch->feed_at_ms < at_ms)
        at_ms = watch->feed_at_ms;
    for (unsigned i = 0; i < count; i++) {
        uint64_t kill_at_ms = children[i].unanswered_ms + watch->answer_max_ms;
        bool is_asked = children[i].unanswered_ms != 0 && !children[i].is_killed;
        bool is_judged = children[i].pid != 0 && !children[i].is_stopping;
        if (is_judged && is_asked && kill_at_ms < at_ms)
            at_ms = kill_at_ms;
    }
    return at_ms;
}

/* A machine that stood still (suspended, or a guest that got no time) did so for the
 * children as well: what we are late by does not count as silence. */
static void forgive(const struct watch *watch, struct child *children, unsigned count,
                    uint64_t now_ms)
{
    uint64_t late_ms = now_ms > watch->due_ms ? now_ms - watch->due_ms : 0;
    for (unsigned i = 0; i < count; i++)
        if (children[i].unanswered_ms != 0)
            children[i].unanswered_ms += late_ms;
}

uint64_t watch_run(struct watch *watch, struct child *children, unsigned count, uint64_t now_ms)
{
    forgive(watch, children, count, now_ms);
    for (unsigned i = 0; i < count; i++)
        if (children[i].pid != 0 && !children[i].is_stopping)
            check_child(watch, &children[i], now_ms);
    if (now_ms >= watch->ping_at_ms) {
        for (unsigned i = 0; i < count; i++)
            ping_child(watch, &children[i], now_ms);
        watch->ping_at_ms = now_ms + watch->ping_interval_ms;
    }
    if (watch->feed_interval_ms != 0 && now_ms >= watch->feed_at_ms) {
        feed(watch, children, count);
        watch->feed_at_ms = now_ms + watch->feed_interval_ms;
    }
    watch->due_ms = next_run(watch, children, count);
    return watch->due_ms;
}
