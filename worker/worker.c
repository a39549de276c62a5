/*
 * The worker's composition and its turn. Everything that a worker does happens
 * in take_turn(), in the order that its comment explains.
 */
#include "worker/worker.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/kill_point.h"
#include "common/base/log.h"
#include "common/ipc/control.h"
#include "shm/heartbeat.h"
#include "worker/net/accept.h"
#include "worker/net/conn.h"
#include "worker/net/handoff.h"
#include "worker/protocol/dispatch.h"
#include "worker/protocol/lifecycle.h"
#include "worker/protocol/on_publish.h"
#include "worker/protocol/on_subscribe.h"
#include "worker/protocol/protocol.h"
#include "worker/protocol/restore.h"
#include "worker/protocol/sys_topics.h"
#include "worker/protocol/will.h"
#include "worker/route/backlog.h"
#include "worker/route/entry.h"
#include "worker/route/hold.h"
#include "worker/route/inbox.h"
#include "worker/route/lookup.h"
#include "worker/route/redistribute.h"
#include "worker/route/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    STORE_WAIT_STEP_MS = 5,
    STORE_WAIT_MAX_MS = 10000,
    POLL_MS = 5,        /* between looks whether the other workers are as far */
    DRAIN_MAX_MS = 1500 /* at a stop, without any progress */
};

struct worker {
    const struct inherit *inherit;
    struct conf_tunable tunable; /* the current ones; the conf's until a reload */
    struct loop *loop;
    struct output_pool pool;
    struct conn_context conns;
    struct router router;
    struct protocol protocol;
    struct inbox inbox;
    struct restore restore;
    struct wheel_timer poll_timer; /* the turn that it brings looks at the others */
    struct accept_group *acceptors;
    struct sys_topics *sys; /* worker 0 */
    struct loop_watch bell_watch;
    struct loop_watch control_watch;
    uint64_t drain_until_ms; /* if nothing goes on; 0: not stopping */
    uint64_t drain_steps;    /* what had been done of it when that was set */
    bool is_serving;         /* takes connections */
    bool has_work;           /* do not sleep before the next turn */
    bool is_last_look;       /* nobody produces any more: what is there now is the last */
    bool is_orphan;          /* the master is gone */
};

/* -- callbacks that lead upward -- */

static void on_connection(void *owner, int fd, uint16_t listener_index, const struct peer *peer,
                          struct bytes pending)
{
    struct worker *w = owner;
    if (w->drain_until_ms != 0) {
        close(fd);
        return;
    }
    struct conn *conn = conn_new(&w->conns, fd, listener_index, peer, pending);
    if (conn != NULL)
        conn_start(conn);
}

static void on_accept(void *owner, int fd, uint16_t listener_index, const struct peer *peer)
{
    struct worker *w = owner;
    stats_add(w->conns.stats, STAT_connections_opened, 1);
    on_connection(owner, fd, listener_index, peer, (struct bytes){NULL, 0});
}

static void on_confirm(void *owner, uint64_t serial)
{
    subscribe_confirmed(&((struct worker *)owner)->protocol, serial);
}

static void on_refuse(void *owner, uint64_t serial, enum mqtt_reason reason)
{
    subscribe_refused(&((struct worker *)owner)->protocol, serial, reason);
}

static void on_will(void *owner, const struct record_message *will)
{
    will_adopt(&((struct worker *)owner)->protocol, will);
}

static void on_restored_body(void *owner, const struct record_message *message)
{
    restore_take_body(&((struct worker *)owner)->restore, message);
}

static void on_restored(void *owner, const struct record_journal *record)
{
    restore_take(&((struct worker *)owner)->restore, record);
}

static const struct conn_events CONN_EVENTS = {
    .on_packet = dispatch_packet,
    .on_drained = dispatch_drained,
    .on_end = dispatch_end,
};

static const struct inbox_events INBOX_EVENTS = {
    .on_confirm = on_confirm,
    .on_refuse = on_refuse,
    .on_will = on_will,
    .on_restored_body = on_restored_body,
    .on_restored = on_restored,
};

/* -- the master's word -- */

static void begin_stop(struct worker *w)
{
    if (w->drain_until_ms != 0)
        return;
    w->drain_until_ms = loop_now_ms(w->loop) + DRAIN_MAX_MS;
    accept_stop(w->acceptors);
    conn_close_all(&w->conns, REASON_SERVER_SHUTTING_DOWN);
}

static void take_conf(struct worker *w, const struct conf_tunable *tunable)
{
    w->tunable = *tunable;
    log_set_mask(tunable->log_mask);
    if (w->sys != NULL)
        sys_topics_update(w->sys);
}

static void dump(const struct worker *w)
{
    log_notice("Worker %u: %u connections, %zu sessions, %zu filters here.", w->router.self,
               w->conns.count, w->protocol.sessions.by_client_id.count,
               w->router.filters.nodes.count);
}

static void on_control(struct loop_watch *watch)
{
    struct worker *w = list_owner(watch, struct worker, control_watch);
    struct control_message message;
    int error;
    while ((error = control_receive(watch->fd, &message)) == 0) {
        switch (message.kind) {
        case CONTROL_CONF:
            take_conf(w, &message.body.conf);
            break;
        case CONTROL_PING:
            heartbeat_answer(w->inherit->region, w->router.self, message.body.ping);
            break;
        case CONTROL_STOP:
            begin_stop(w);
            break;
        case CONTROL_SAVE:
            break; /* the store's */
        case CONTROL_DUMP:
            dump(w);
            break;
        }
    }
    if (error != -EAGAIN)
        w->is_orphan = true;
}

static void on_bell(struct loop_watch *watch)
{
    struct worker *w = list_owner(watch, struct worker, bell_watch);
    bell_drain(&w->router.mesh.bells[w->router.self]);
}

/* -- setting up -- */

/* The store makes the live environment; at the first start it may be a moment. */
static struct live *open_live(const struct inherit *inherit)
{
    struct live *live = NULL;
    struct timespec step = {.tv_nsec = STORE_WAIT_STEP_MS * 1000000L};
    int error = -ENOENT;
    for (unsigned waited = 0; waited < STORE_WAIT_MAX_MS; waited += STORE_WAIT_STEP_MS) {
        error = live_open_reader(&live, inherit->live_path);
        if (error == 0)
            return live;
        (void)nanosleep(&step, NULL);
    }
    fatal("the live store can't be opened: %s", strerror(-error));
}

static void set_up_router(struct worker *w)
{
    const struct inherit *in = w->inherit;
    struct router *r = &w->router;
    *r = (struct router){
        .region = in->region,
        .tunable = &w->tunable,
        .loop = w->loop,
        .stats = stats_of(in->region, in->slot),
        .self = in->slot,
        .store = region_store_slot(in->region),
        .sessions = &w->protocol.sessions,
        .live = open_live(in),
        .live_is_resting = true,
        .cache = cache_new(region_key(in->region)),
        .scratch = lookup_scratch_new(),
        .message_id_base = in->epoch << 46 | (uint64_t)in->slot << 40,
    };
    list_init(&r->holds);
    list_init(&r->backlog);
    list_init(&r->replays);
    list_init(&r->leaving);
    list_init(&r->moves);
    mesh_open(&r->mesh, in->region, in->slot, in->bell_fds);
    settle_init(&r->settle, &r->mesh, &r->journal, on_publish_answer);
    publishers_init(&r->publishers, w->loop, r->stats, &r->settle, &r->journal);
    outbound_init(&r->outbound, &r->mesh, r->stats, &r->publishers, r);
    bool is_kept = region_has_committer(in->region);
    journal_init(&r->journal, &r->outbound, is_kept ? region_committer_slot(in->region) : 0,
                 is_kept);
    journal_use_delay(&r->journal, w->loop, in->conf->commit_delay_ms, entry_put_delayed);
    journal_start(&r->journal, in->epoch);
    fetch_init(&r->fetch);
    filters_init(&r->filters, in->region, &r->announcer);
    r->filters.on_filter_change = announce_filter;
    r->filters.on_group_change = announce_group;
    announcer_start(&r->announcer, &r->outbound, &r->filters, r->store, in->epoch);
}

static void set_up_protocol(struct worker *w)
{
    const struct inherit *in = w->inherit;
    struct protocol *p = &w->protocol;
    *p = (struct protocol){
        .router = &w->router,
        .conf = in->conf,
        .tunable = &w->tunable,
        .region = in->region,
        .stats = w->router.stats,
    };
    list_init(&p->pending);
    list_init(&p->published_wills);
    settle_queue_init(&p->unsettled_wills, NULL);
    w->router.settle.owner = p;
    w->router.settle.on_settled = will_settled;
    session_table_init(&p->sessions, region_key(in->region), p->stats);
    p->sessions.owner = p;
    p->sessions.on_timer = lifecycle_on_timer;
    p->handoff = handoff_new(w->loop, in->handoff_in, in->handoff_out, in->region->worker_count,
                             on_connection, w);
}

static void set_up_conns(struct worker *w)
{
    output_pool_init(&w->pool);
    conn_context_init(&w->conns, w->loop, &w->pool, &CONN_EVENTS, &w->tunable, w->router.stats);
    w->conns.owner = &w->protocol;
}

/* -- from the start to the first client -- */

static bool is_everywhere(const struct worker *w, enum stat_id stat)
{
    for (unsigned i = 0; i < w->inherit->region->worker_count; i++)
        if (stats_get(stats_of(w->inherit->region, i), stat) == 0)
            return false;
    return true;
}

static void poll_others(struct worker *w)
{
    if (!wheel_timer_is_running(&w->poll_timer))
        wheel_start(loop_wheel(w->loop), &w->poll_timer, loop_now_ms(w->loop) + POLL_MS);
}

static void on_poll_timer(struct wheel_timer *timer, void *context)
{
    (void)timer;
    (void)context;
}

static void serve(struct worker *w)
{
    const struct inherit *in = w->inherit;
    w->is_serving = true;
    lifecycle_wait_again(&w->protocol);
    w->acceptors = accept_start(w->loop, in, &w->tunable, on_accept, w);
    handoff_start(w->protocol.handoff);
    if (in->slot == 0)
        w->sys = sys_topics_start(&w->protocol, COURTIER_VERSION);
    w->has_work = true; /* what this put into rings is to be published before we sleep */
}

/* What others publish must find the way to the sessions that were on disk, wherever
 * they are: so nobody serves before all have them. (Of a worker that dies later the
 * store keeps the routes that matter.) */
static void serve_when_restored(struct worker *w)
{
    if (w->is_serving || w->drain_until_ms != 0 || !restore_is_complete(&w->restore))
        return;
    stats_set(w->router.stats, STAT_restored, 1);
    if (is_everywhere(w, STAT_restored))
        serve(w);
    else
        poll_others(w);
}

static void start(struct worker *w)
{
    const struct inherit *in = w->inherit;
    wheel_timer_init(&w->poll_timer, on_poll_timer);
    w->bell_watch.on_readable = on_bell;
    loop_watch_start(w->loop, &w->bell_watch, in->bell_fds[in->slot]);
    w->control_watch.on_readable = on_control;
    loop_watch_start(w->loop, &w->control_watch, in->control_fd);
    serve_when_restored(w);
    heartbeat_answer(in->region, in->slot, HEARTBEAT_READY);
}

static struct worker *worker_new(const struct inherit *inherit)
{
    struct worker *w = calloc(1, sizeof(*w));
    const char *reason;
    if (w == NULL)
        fatal("no memory at start");
    w->inherit = inherit;
    w->tunable = inherit->conf->tunable;
    int error = loop_open(&w->loop, inherit->conf->event_loop, w, &reason);
    if (error != 0)
        fatal("the event loop can't be opened: %s (%s)", strerror(-error), reason);
    if (inherit->slot == 0 || inherit->is_successor)
        log_notice("Event loop: %s.", reason);
    set_up_router(w);
    set_up_protocol(w);
    set_up_conns(w);
    inbox_init(&w->inbox, &w->router, &INBOX_EVENTS, w);
    restore_init(&w->restore, &w->protocol, inherit->is_successor);
    start(w);
    w->has_work = true; /* what this put into rings is to be published before we sleep */
    return w;
}

static void worker_free(struct worker *w)
{
    sys_topics_free(w->sys);
    accept_free(w->acceptors);
    handoff_free(w->protocol.handoff);
    journal_done(&w->router.journal);
    redistribute_done(&w->router);
    lifecycle_free_all(&w->protocol);
    conn_context_done(&w->conns);
    inbox_done(&w->inbox);
    restore_done(&w->restore);
    will_done(&w->protocol);
    wheel_stop(loop_wheel(w->loop), &w->poll_timer);
    outbound_done(&w->router.outbound);
    await_done(&w->router.await);
    had_done(&w->router.had);
    lately_done(&w->router.lately);
    fetch_done(&w->router.fetch);
    filters_done(&w->router.filters);
    publishers_done(&w->router.publishers);
    cache_free(w->router.cache);
    lookup_scratch_free(w->router.scratch);
    live_close(w->router.live);
    loop_close(w->loop);
    output_pool_done(&w->pool);
    free(w);
}

/* -- the turn -- */

/* Nobody needs to write to our bell while we are awake; before we sleep, all
 * that came in meanwhile is looked for once more. */
static bool may_sleep(struct worker *w)
{
    struct bell *bell = &w->router.mesh.bells[w->router.self];
    if (w->has_work)
        return false;
    bell_sleep(bell);
    if (!mesh_has_next(&w->router.mesh) && settle_may_sleep(&w->router.settle))
        return true;
    bell_wake(bell);
    return false;
}

/*
 * One turn: completions and timers with their callbacks, the inbox, retained
 * messages on their way; then everything that this produced leaves in one go.
 * Rings before sockets: an acknowledgement goes to the client only when what it
 * acknowledges is where the other processes find it, even if this one dies.
 */
static int take_turn(struct worker *w)
{
    uint64_t until_ms = w->drain_until_ms == 0 ? UINT64_MAX : w->drain_until_ms;
    int error = loop_turn(w->loop, may_sleep(w), until_ms);
    bell_wake(&w->router.mesh.bells[w->router.self]);
    if (error != 0)
        return error;
    stats_add(w->router.stats, STAT_turns, 1);
    w->router.settle.hears_first = w->tunable.queue_full == CONF_QUEUE_REFUSE;
    w->has_work = inbox_take(&w->inbox);
    serve_when_restored(w);
    w->has_work |= replay_step(&w->router);
    fetch_step(&w->router);
    pass_on_step(&w->router);
    await_step(&w->router);
    w->has_work |= entry_repeat(&w->router.journal, &w->protocol.sessions);
    settle_release(&w->router.settle);
    w->has_work |= conn_resume_all(&w->conns);
    hold_retry(&w->router);
    w->has_work |= outbound_retry(&w->router.outbound);
    w->has_work |= backlog_step(&w->router);
    w->has_work |= w->is_serving && redistribute_step(&w->router);
    kill_point("turn-put");
    mesh_publish(&w->router.mesh);
    kill_point("turn-shown");
    pass_on_release(&w->router);
    kill_point("turn-released");
    conn_flush_all(&w->conns);
    kill_point("turn-sent");
    router_rest(&w->router); /* an old snapshot keeps the store's pages in use */
    return 0;
}

/* At a stop: is all that ours and the others' connections left behind where it belongs?
 * Wills go out as they end, to sessions of other workers, and to the disk. So nobody
 * leaves before all are through with theirs, and have been looked at once more. */
static bool is_drained(struct worker *w)
{
    if (w->conns.count > 0 || w->has_work || w->router.outbound.blocked != 0)
        return false;
    if (!settle_queue_is_empty(&w->protocol.unsettled_wills))
        return false;
    if (w->is_last_look)
        return true;
    stats_set(w->router.stats, STAT_drained, 1); /* all of ours is published */
    w->is_last_look = is_everywhere(w, STAT_drained);
    if (w->is_last_look)
        w->has_work = true;
    else
        poll_others(w);
    return false;
}

/* Connections that ended, what came to the disk, wills that are where they belong. All of
 * it ends some time, so a stop that goes on is waited for, by the master too. */
static void note_progress(struct worker *w)
{
    uint64_t steps = w->router.journal.confirmed + w->protocol.unsettled_wills.first -
                     w->conns.count - w->conns.left_to_close;
    if (steps == w->drain_steps)
        return;
    w->drain_steps = steps;
    w->drain_until_ms = clock_now_ms() + DRAIN_MAX_MS;
    stats_add(w->router.stats, STAT_stop_steps, 1);
}

static bool is_done(struct worker *w)
{
    if (w->is_orphan)
        return true;
    if (w->drain_until_ms == 0)
        return false;
    note_progress(w);
    return clock_now_ms() >= w->drain_until_ms || is_drained(w);
}

int worker_run(const struct inherit *inherit)
{
    struct worker *w = worker_new(inherit);
    int error = 0;
    while (error == 0 && !is_done(w))
        error = take_turn(w);
    if (error != 0)
        fatal("the event loop failed: %s", strerror(-error));
    worker_free(w);
    return INHERIT_EXIT_DONE;
}
