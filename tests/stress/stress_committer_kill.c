/*
 * kill -9 of the committer at any moment, hundreds of times, while a worker talks to
 * it. After each death either a successor finds the rings as they were, and then
 * everything that was said must be there; or all is gone but the disk, and then what
 * is there must be what the journal said up to some record, with nothing missing that
 * was confirmed.
 *
 * An argument is the number of deaths.
 */

#include "common/base/hash.h"
#include "common/base/log.h"
#include "master/store/committer_work.h"
#include "shm/record_journal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DEATHS = 200,
    SLOTS = 4, /* a worker, the store, its committer, the master */
    COMMITTER = 2,
    RING_SIZE = 64 * 1024,
    OPS_MAX = 200000,
    SESSIONS = 4,
    PAYLOAD_MAX = 12000,
    TURN_OPS = 40, /* said between two looks at the answers */
    OUTBOUND = 30  /* deliveries that a session has at most, or about that */
};

/* What was said, by serial. */
struct op {
    bool is_done; /* else enqueued */
    uint64_t session;
    uint64_t seq;
    uint32_t size; /* of the payload */
};

struct delivery {
    uint64_t session;
    uint64_t seq;
    uint32_t size;
};

struct stage {
    struct region region;
    int bells[SLOTS];
    char folder[64];
    struct conf conf;
    struct inherit inherit;
    struct mesh worker;
    struct record_assembly assembly;
    pid_t child;
    unsigned seed;
    uint64_t sent; /* serials */
    uint64_t confirmed;
    uint64_t next_seq[SESSIONS + 1];
    uint64_t first_seq[SESSIONS + 1];
    struct op ops[OPS_MAX];
    bool is_restored;
    uint64_t body_id; /* of the last body that came */
    uint32_t body_size;
    uint64_t last_serial;
    unsigned delivery_count;
    struct delivery deliveries[OPS_MAX];
    uint8_t payload[PAYLOAD_MAX];
};

static void expect(const struct stage *s, bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "stress_committer_kill: %s (sent %llu, confirmed %llu, on disk %llu)\n", what,
            (unsigned long long)s->sent, (unsigned long long)s->confirmed,
            (unsigned long long)s->last_serial);
    kill(s->child, SIGKILL);
    exit(1);
}

/* -- the committer -- */

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)line;
    (void)size;
    (void)context;
}

_Noreturn static void live(const struct stage *s)
{
    static struct committer_work work;
    struct pollfd bell = {.fd = s->bells[COMMITTER], .events = POLLIN};
    if (committer_work_open(&work, &s->inherit) < 0)
        _exit(1);
    for (;;) {
        committer_work_turn(&work);
        bell_sleep(&work.mesh.bells[COMMITTER]);
        poll(&bell, 1, committer_work_is_idle(&work) ? committer_work_wait_ms(&work) : 0);
        bell_wake(&work.mesh.bells[COMMITTER]);
        bell_drain(&work.mesh.bells[COMMITTER]);
    }
}

static void start(struct stage *s, bool is_successor)
{
    s->inherit.is_successor = is_successor;
    s->child = fork();
    if (s->child == 0)
        live(s);
}

static void end(const struct stage *s)
{
    int status;
    kill(s->child, SIGKILL);
    waitpid(s->child, &status, 0);
    expect(s, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended by itself");
}

/* -- the worker -- */

static void take_journal(struct stage *s, const struct ring_record *record)
{
    struct record_journal journal;
    expect(s, record_get_journal(record, &journal), "a record is malformed");
    if (journal.kind == RECORD_RESTORE_BEGIN) {
        s->last_serial = journal.serial;
        s->delivery_count = 0;
    }
    if (journal.kind == RECORD_RESTORE_END)
        s->is_restored = true;
    if (journal.kind != RECORD_ENQUEUE)
        return;
    expect(s, s->body_id == journal.message_id, "a body is missing");
    s->deliveries[s->delivery_count++] =
        (struct delivery){journal.session, journal.seq, s->body_size};
}

static void take_body(struct stage *s, const struct record_message *body)
{
    s->body_id = body->message_id;
    s->body_size = (uint32_t)body->payload.size;
}

static void listen(struct stage *s)
{
    struct record_message body;
    struct ring_record record;
    uint64_t serial;
    while (ring_next(&s->worker.in[COMMITTER], &record)) {
        expect(s, record.kind != RECORD_REFUSE, "a record was refused");
        if (record_get_confirm(&record, &serial))
            s->confirmed = serial;
        else if (record_is_journal(record.kind))
            take_journal(s, &record);
        else if (record_get_message(&s->assembly, &record, 1 << 20, &body) == RECORD_WHOLE)
            take_body(s, &body);
    }
    mesh_release(&s->worker, COMMITTER);
}

/* Waits a moment for room, with the ring published. */
static void wait_for_room(struct stage *s)
{
    mesh_publish(&s->worker);
    listen(s);
    usleep(200);
}

static void put(struct stage *s, const struct record_journal *journal)
{
    while (!record_put_journal(&s->worker, COMMITTER, journal))
        wait_for_room(s);
}

static void enqueue(struct stage *s, uint64_t session, uint32_t size)
{
    uint64_t serial = ++s->sent;
    uint64_t seq = s->next_seq[session]++;
    struct record_sender sender = {0};
    const struct record_message message = {.purpose = RECORD_FOR_JOURNAL,
                                           .message_id = serial,
                                           .topic = {(const uint8_t *)"t", 1},
                                           .payload = {s->payload, size}};
    while (!record_put_message(&s->worker, COMMITTER, &message, &sender))
        wait_for_room(s);
    s->ops[serial] = (struct op){.session = session, .seq = seq, .size = size};
    put(s, &(struct record_journal){.kind = RECORD_ENQUEUE,
                                    .serial = serial,
                                    .session = session,
                                    .seq = seq,
                                    .message_id = serial,
                                    .packet_id = (uint16_t)(1 + seq % UINT16_MAX),
                                    .qos = 1}); /* in flight: it comes back by itself */
}

static void finish_one(struct stage *s, uint64_t session)
{
    uint64_t serial = ++s->sent;
    uint64_t seq = s->first_seq[session]++;
    s->ops[serial] = (struct op){.is_done = true, .session = session, .seq = seq};
    put(s, &(struct record_journal){
               .kind = RECORD_DONE, .serial = serial, .session = session, .seq = seq});
}

static void talk(struct stage *s)
{
    unsigned count = 1 + (unsigned)rand_r(&s->seed) % TURN_OPS;
    for (unsigned i = 0; i < count; i++) {
        uint64_t session = 1 + (unsigned)rand_r(&s->seed) % SESSIONS;
        uint64_t open = s->next_seq[session] - s->first_seq[session];
        if (open > (unsigned)rand_r(&s->seed) % OUTBOUND)
            finish_one(s, session);
        else
            enqueue(s, session, 1 + (unsigned)rand_r(&s->seed) % PAYLOAD_MAX);
    }
    mesh_publish(&s->worker);
    listen(s);
}

static void restore(struct stage *s)
{
    s->is_restored = false;
    put(s, &(struct record_journal){.kind = RECORD_JOURNAL_RESET, .epoch = 1});
    while (!s->is_restored)
        wait_for_room(s);
}

/* -- what must hold -- */

/* Is what came back what the journal said up to `serial`? The order is by session and
 * seq, so it needs no sorting: each delivery is looked for in the operations. */
static bool is_state_at(const struct stage *s, uint64_t serial)
{
    static bool is_open[OPS_MAX];
    static uint32_t size_of[OPS_MAX];
    unsigned open = 0;
    memset(is_open, 0, sizeof is_open);
    for (uint64_t i = 1; i <= serial; i++) {
        const struct op *op = &s->ops[i];
        uint64_t slot = (op->seq * (SESSIONS + 1) + op->session) % OPS_MAX;
        if (op->session == 0)
            continue; /* a SESSION */
        open = op->is_done ? open - 1 : open + 1;
        is_open[slot] = !op->is_done;
        size_of[slot] = op->is_done ? 0 : op->size;
    }
    for (unsigned i = 0; i < s->delivery_count; i++) {
        const struct delivery *d = &s->deliveries[i];
        uint64_t slot = (d->seq * (SESSIONS + 1) + d->session) % OPS_MAX;
        if (!is_open[slot] || size_of[slot] != d->size)
            return false;
    }
    return open == s->delivery_count;
}

/* What was said after the disk's last record never was. */
static void forget_after(struct stage *s, uint64_t serial)
{
    s->sent = serial;
    for (uint64_t session = 1; session <= SESSIONS; session++) {
        s->first_seq[session] = 1;
        s->next_seq[session] = 1;
    }
    for (uint64_t i = 1; i <= serial; i++) {
        if (s->ops[i].is_done)
            s->first_seq[s->ops[i].session] = s->ops[i].seq + 1;
        else if (s->ops[i].session != 0)
            s->next_seq[s->ops[i].session] = s->ops[i].seq + 1;
    }
}

/* -- the stage -- */

static void open_rings(struct stage *s)
{
    if (region_open(&s->region, 1, RING_SIZE, true) < 0)
        exit(1);
    for (unsigned i = 0; i < SLOTS; i++)
        s->bells[i] = eventfd(0, EFD_NONBLOCK);
    mesh_open(&s->worker, &s->region, 0, s->bells);
}

static void close_rings(struct stage *s)
{
    record_assembly_done(&s->assembly);
    for (unsigned i = 0; i < SLOTS; i++)
        close(s->bells[i]);
    region_close(&s->region);
}

static void make_sessions(struct stage *s)
{
    for (uint64_t session = 1; session <= SESSIONS; session++) {
        s->first_seq[session] = 1;
        s->next_seq[session] = 1;
        put(s, &(struct record_journal){.kind = RECORD_SESSION,
                                        .serial = ++s->sent,
                                        .session = session,
                                        .version = 5,
                                        .name = {(const uint8_t *)"abcdef", 1 + session}});
    }
}

/* The machine loses power, but for its disk. */
static void lose_power(struct stage *s)
{
    uint64_t confirmed = s->confirmed;
    close_rings(s);
    open_rings(s);
    start(s, false);
    restore(s);
    expect(s, is_state_at(s, s->last_serial), "what is on disk never was");
    expect(s, confirmed <= s->last_serial || is_state_at(s, confirmed),
           "what was confirmed is not on disk");
    forget_after(s, s->last_serial);
    s->confirmed = s->sent;
}

int main(int argc, char **argv)
{
    unsigned deaths = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : DEATHS;
    struct stage *s = calloc(1, sizeof *s);
    char path[96];
    if (s == NULL)
        return 1;
    hash_start();
    log_set_sink(drop_line, NULL);
    strcpy(s->folder, "/tmp/stress-committer-XXXXXX");
    if (mkdtemp(s->folder) == NULL)
        return 1;
    s->seed = (unsigned)getpid();
    s->conf.persistence_size_max = 64 << 20;
    s->inherit = (struct inherit){
        .region = &s->region, .conf = &s->conf, .bell_fds = s->bells, .durable_path = s->folder};
    open_rings(s);
    start(s, false);
    restore(s);
    make_sessions(s);
    for (unsigned i = 0; i < deaths && s->sent < OPS_MAX - 2000; i++) {
        for (unsigned j = (unsigned)rand_r(&s->seed) % 4; j > 0; j--)
            talk(s);
        usleep((unsigned)rand_r(&s->seed) % 3000);
        end(s);
        listen(s);
        if (i % 3 == 2) {
            lose_power(s);
            continue;
        }
        start(s, true);
        if (i % 3 == 1) {
            restore(s);
            expect(s, s->last_serial == s->sent, "a record was not read again");
            expect(s, is_state_at(s, s->sent), "what came back is not what was said");
        }
    }
    end(s);
    close_rings(s);
    snprintf(path, sizeof path, "%s/data.mdb", s->folder);
    unlink(path);
    rmdir(s->folder);
    printf("%u deaths, %llu records\n", deaths, (unsigned long long)s->sent);
    free(s);
    return 0;
}
