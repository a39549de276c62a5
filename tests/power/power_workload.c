#include "tests/power/power_workload.h"

#include "common/base/check.h"
#include "tests/power/power_shim.h"
#include "tests/unit/master/store/journal_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURNS = 60,
    SAID_PER_TURN_MAX = 12,
    SESSIONS_MAX = 10, /* of a worker; rows of the others accordingly: */
    DELIVERIES_MAX = 25,
    NAMES = 12,
    PACKET_IDS = 20,
    IDS_MAX = 3,
    FAN_OUT_MAX = 3
};

struct workload {
    struct journal_bench *bench;
    struct power_log *log;
    struct power_model *model;
    struct power_random random;
    uint64_t confirmed[POWER_WORKERS]; /* marked */
    uint32_t runs[POWER_WORKERS];
    uint64_t next_session;
    uint64_t next_seq;
    uint64_t next_message;
    uint32_t ids[IDS_MAX];
    char names[NAMES][400];
    struct power_message message;
};

static unsigned lot(struct workload *w, unsigned below)
{
    return power_random_below(&w->random, below);
}

/* -- marks -- */

static void mark_confirmed(struct workload *w)
{
    for (unsigned i = 0; i < POWER_WORKERS; i++) {
        check(w->bench->heard[i].refused_count == 0);
        if (w->bench->heard[i].confirmed <= w->confirmed[i])
            continue;
        w->confirmed[i] = w->bench->heard[i].confirmed;
        power_log_mark(w->log, POWER_CONFIRMED, i, w->confirmed[i]);
    }
}

static void turn(struct workload *w)
{
    power_shim_sleep(1);
    journal_bench_turn(w->bench);
    mark_confirmed(w);
}

static void say(struct workload *w, unsigned worker, const struct record_journal *journal,
                const struct record_message *message)
{
    power_model_say(w->model, worker, journal, message);
    power_log_mark(w->log, POWER_SAID, worker, w->model->serials[worker]);
    check(journal_bench_put(w->bench, worker, *journal) == w->model->serials[worker]);
}

/* -- messages -- */

static void make_message(struct workload *w, unsigned worker, enum power_use use)
{
    uint64_t id = power_fact_message_id(w->next_message++, worker, use, lot(w, 8));
    power_fact_message(id, &w->message);
}

static void put_body(struct workload *w, unsigned worker)
{
    journal_bench_put_message(w->bench, worker, &w->message.message);
}

/* The latest message, for one session. */
static void say_enqueue(struct workload *w, unsigned worker, uint64_t session)
{
    struct record_journal journal = {
        .kind = RECORD_ENQUEUE,
        .session = session,
        .seq = w->next_seq++,
        .message_id = w->message.message.message_id,
        .qos = (uint8_t)(1 + lot(w, 2)),
        .retain = lot(w, 4) == 0,
        .packet_id = lot(w, 2) == 0 ? (uint16_t)(1 + lot(w, 60000)) : 0,
        .ids = {(const uint8_t *)w->ids, lot(w, IDS_MAX + 1) * sizeof w->ids[0]},
    };
    say(w, worker, &journal, &w->message.message);
}

static void fan_out(struct workload *w, unsigned worker)
{
    unsigned count = 1 + lot(w, FAN_OUT_MAX);
    for (unsigned i = 0; i < count; i++) {
        const struct power_row *session =
            power_model_pick(w->model, worker, RECORD_SESSION, &w->random);
        if (session == NULL)
            return;
        if (i == 0)
            put_body(w, worker);
        say_enqueue(w, worker, session->journal.session);
    }
}

static void enqueue(struct workload *w, unsigned worker)
{
    make_message(w, worker, POWER_DELIVERY);
    fan_out(w, worker);
    if (lot(w, 3) == 0)
        fan_out(w, 1 - worker); /* the body is shared */
}

/* Without its body: an entry of this worker holds it. */
static void enqueue_known(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_ENQUEUE, &w->random);
    const struct power_row *session =
        power_model_pick(w->model, worker, RECORD_SESSION, &w->random);
    if (row == NULL || row->journal.released)
        return;
    power_fact_message(row->journal.message_id, &w->message);
    say_enqueue(w, worker, session->journal.session);
}

static void keep(struct workload *w, unsigned worker, enum power_use use)
{
    make_message(w, worker, use);
    put_body(w, worker);
    struct record_journal journal = {
        .kind = use == POWER_WILL ? RECORD_KEEP_WILL : RECORD_KEEP_RETAINED,
        .message_id = w->message.message.message_id,
    };
    say(w, worker, &journal, &w->message.message);
}

static void forget_will(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_KEEP_WILL, &w->random);
    if (row == NULL)
        return;
    struct record_journal journal = {
        .kind = RECORD_FORGET_WILL,
        .message_id = row->journal.message_id,
    };
    say(w, worker, &journal, NULL);
}

/* -- deliveries -- */

static void sent(struct workload *w, unsigned worker, struct record_journal journal)
{
    if (journal.released)
        return;
    journal.kind = RECORD_SENT;
    journal.packet_id = (uint16_t)(1 + lot(w, 60000));
    say(w, worker, &journal, NULL);
}

static void released(struct workload *w, unsigned worker, struct record_journal journal)
{
    if (journal.packet_id == 0)
        return;
    journal.kind = RECORD_RELEASED;
    say(w, worker, &journal, NULL);
}

static void done(struct workload *w, unsigned worker, struct record_journal journal)
{
    journal.kind = RECORD_DONE;
    say(w, worker, &journal, NULL);
}

/* Something happens to a delivery. */
static void progress(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_ENQUEUE, &w->random);
    unsigned what = lot(w, 4);
    if (row == NULL)
        return;
    if (power_model_count(w->model, worker, RECORD_ENQUEUE) > DELIVERIES_MAX || what >= 2)
        done(w, worker, row->journal);
    else if (what == 1)
        released(w, worker, row->journal);
    else
        sent(w, worker, row->journal);
}

/* -- sessions -- */

static void put_session(struct workload *w, unsigned worker, uint64_t session)
{
    char name[32];
    snprintf(name, sizeof name, "client-%x-%u", (unsigned)(session & 0xFFFF), worker);
    say(w, worker,
        &(struct record_journal){
            .kind = RECORD_SESSION,
            .session = session,
            .expiry_s = 1000 + lot(w, 1000),
            .end_at_ms = lot(w, 2) == 0 ? 0 : 100000000 + lot(w, 1000),
            .version = (uint8_t)(3 + lot(w, 3)),
            .connected = lot(w, 2) == 0,
            .name = bytes_of(name),
        },
        NULL);
}

static void new_session(struct workload *w, unsigned worker)
{
    put_session(w, worker, (uint64_t)w->runs[worker] << 32 | w->next_session++);
}

/* The session stays, or ends with all that it has. */
static void change_session(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_SESSION, &w->random);
    unsigned count = power_model_count(w->model, worker, RECORD_SESSION);
    if (count < SESSIONS_MAX / 2 || (count < SESSIONS_MAX && lot(w, 2) == 0))
        new_session(w, worker);
    else if (count == SESSIONS_MAX || lot(w, 4) == 0)
        say(w, worker,
            &(struct record_journal){.kind = RECORD_SESSION_END, .session = row->journal.session},
            NULL);
    else
        put_session(w, worker, row->journal.session);
}

static void subscribe(struct workload *w, unsigned worker, uint64_t session)
{
    say(w, worker,
        &(struct record_journal){.kind = RECORD_SUBSCRIBE,
                                 .session = session,
                                 .options = (uint8_t)lot(w, 0x30),
                                 .subscription_id = lot(w, 100),
                                 .name = bytes_of(w->names[lot(w, NAMES)])},
        NULL);
}

static void unsubscribe(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_SUBSCRIBE, &w->random);
    if (row == NULL)
        return;
    struct record_journal journal = row->journal;
    journal.kind = RECORD_UNSUBSCRIBE;
    say(w, worker, &journal, NULL);
}

static void receive(struct workload *w, unsigned worker, uint64_t session)
{
    say(w, worker,
        &(struct record_journal){.kind = RECORD_RECEIVED,
                                 .session = session,
                                 .packet_id = (uint16_t)(1 + lot(w, PACKET_IDS)),
                                 .message_id = lot(w, 2) == 0 ? 0 : w->next_message},
        NULL);
}

static void receive_end(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_RECEIVED, &w->random);
    if (row == NULL)
        return;
    struct record_journal journal = row->journal;
    journal.kind = RECORD_RECEIVE_END;
    say(w, worker, &journal, NULL);
}

static void say_something(struct workload *w, unsigned worker)
{
    const struct power_row *row = power_model_pick(w->model, worker, RECORD_SESSION, &w->random);
    unsigned what = lot(w, 100);
    if (row == NULL || what < 12)
        change_session(w, worker);
    else if (what < 18)
        subscribe(w, worker, row->journal.session);
    else if (what < 22)
        unsubscribe(w, worker);
    else if (what < 42)
        enqueue(w, worker);
    else if (what < 46)
        enqueue_known(w, worker);
    else if (what < 76)
        progress(w, worker);
    else if (what < 80)
        receive(w, worker, row->journal.session);
    else if (what < 84)
        receive_end(w, worker);
    else if (what < 93)
        keep(w, worker, what < 87 ? POWER_CLEAR : POWER_RETAINED);
    else if (what < 97)
        keep(w, worker, POWER_WILL);
    else
        forget_will(w, worker);
}

/* -- the whole -- */

static void reset(struct workload *w)
{
    for (unsigned i = 0; i < POWER_WORKERS; i++) {
        const struct journal_heard *heard = journal_bench_restore(w->bench, i);
        check(heard->last_serial == w->model->serials[i]);
        w->runs[i] = heard->run;
        power_log_mark(w->log, POWER_RUN, i, heard->run);
    }
}

/* The store process dies, or the whole broker ends in order and starts again. */
static void start_again(struct workload *w)
{
    if (lot(w, 2) == 0) {
        journal_bench_kill(w->bench);
        return;
    }
    /* Something that is left over, so that the last serials come to the disk. */
    for (unsigned i = 0; i < POWER_WORKERS; i++)
        new_session(w, i);
    journal_bench_run(w->bench);
    mark_confirmed(w);
    journal_bench_restart(w->bench);
    reset(w);
}

static void prepare(struct workload *w)
{
    for (unsigned i = 0; i < NAMES; i++) {
        size_t pad = i < 3 ? 300 : 0; /* longer than a key may be, with the rest */
        snprintf(w->names[i], sizeof w->names[i], "a/filter/%u/", i);
        memset(w->names[i] + strlen(w->names[i]), 'x', pad);
    }
    for (unsigned i = 0; i < IDS_MAX; i++)
        w->ids[i] = 1 + i * 1000;
}

void power_workload_run(uint64_t seed, struct power_log *log, struct power_model *model,
                        struct power_image *ret_left)
{
    struct workload *w = power_memory(NULL, sizeof *w);
    void *bench;
    memset(w, 0, sizeof *w);
    *w = (struct workload){
        .log = log, .model = model, .random = {seed}, .next_seq = 1, .next_message = 1};
    prepare(w);
    power_model_init(model);
    power_shim_record(log, "/tmp/test-journal-");
    check(journal_bench_open(&bench) == 0);
    w->bench = bench;
    reset(w);
    for (unsigned i = 0; i < TURNS; i++) {
        for (unsigned left = lot(w, SAID_PER_TURN_MAX); left > 0; left--)
            say_something(w, lot(w, POWER_WORKERS));
        turn(w);
        if (lot(w, TURNS / 2) == 0)
            start_again(w);
    }
    journal_bench_stop(w->bench);
    power_shim_stop();
    power_image_read(w->bench->folder, ret_left);
    check(journal_bench_close(&bench) == 0);
    free(w);
}
