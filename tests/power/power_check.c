#include "tests/power/power_check.h"

#include "master/store/durable/durable_apply.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_queue.h"
#include "master/store/durable/durable_restore.h"
#include "master/store/durable/durable_row.h"
#include "tests/power/power_fact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_ON_DISK = 32 << 20, BODIES_MAX = 512 };

/* How often the deliveries that came back refer to a message. */
struct use {
    uint64_t message_id;
    uint64_t count;
};

struct check {
    struct durable durable;
    const struct power_reading *reading;
    struct power_found *found;
    struct durable_batch doomed; /* all that there is */
    struct use uses[BODIES_MAX];
    unsigned use_count;
    uint64_t sessions;
    uint64_t deliveries;
    uint64_t last_session; /* of the delivery before */
    uint64_t last_seq;
};

/* Only the first thing that is wrong tells. */
static void complain(struct check *c, const char *error, int code)
{
    if (c->found->error == NULL) {
        c->found->error = error;
        c->found->code = code;
    }
}

static void add_line(struct check *c, const struct record_journal *journal,
                     const struct record_message *message)
{
    struct power_found *found = c->found;
    char line[POWER_LINE_MAX];
    power_fact_line(journal, message, line);
    found->sum += power_fact_sum(line);
    if (!c->reading->wants_lines)
        return;
    found->lines = power_memory(found->lines, (found->line_count + 1) * sizeof found->lines[0]);
    found->lines[found->line_count++] = strdup(line);
}

static void count_use(struct check *c, uint64_t message_id)
{
    unsigned i = 0;
    if (message_id == 0)
        return;
    while (i < c->use_count && c->uses[i].message_id != message_id)
        i++;
    if (i == BODIES_MAX) {
        complain(c, "there are too many messages", (int)i);
        return;
    }
    if (i == c->use_count)
        c->uses[c->use_count++] = (struct use){.message_id = message_id};
    c->uses[i].count++;
}

static void see_item(struct check *c, const struct durable_item *item)
{
    const struct record_journal *journal = &item->journal;
    if (item->is_damaged) {
        complain(c, "a restored row is damaged, or lacks its body", item->key.bytes[0]);
        return;
    }
    add_line(c, journal, item->has_message ? &item->message : NULL);
    if (durable_key_kind(&item->key) == DURABLE_SESSION ||
        durable_key_kind(&item->key) == DURABLE_WILL)
        durable_batch_delete(&c->doomed, &item->key);
    c->sessions += journal->kind == RECORD_SESSION;
    if (journal->kind != RECORD_ENQUEUE)
        return;
    c->deliveries++;
    count_use(c, journal->message_id);
    if (journal->session == c->last_session && journal->seq <= c->last_seq)
        complain(c, "deliveries are out of order", (int)journal->seq);
    c->last_session = journal->session;
    c->last_seq = journal->seq;
}

static bool wants_all(struct bytes client_id, void *context)
{
    (void)client_id;
    (void)context;
    return true;
}

/* Those that wait for a session, behind `key`; a restore only sums them up. */
static void read_queue(struct check *c, struct durable_key key, const struct record_journal *sum)
{
    struct durable_item item;
    uint64_t before = c->deliveries;
    int r;
    while ((r = durable_queue_next(&c->durable, &key, &item)) == 0)
        see_item(c, &item);
    if (r != -ENOENT)
        complain(c, "a queue can't be read", r);
    if (c->deliveries - before != sum->count)
        complain(c, "a queue is summed up wrong", (int)sum->count);
}

static void restore(struct check *c)
{
    struct durable_restore restore;
    struct durable_item item;
    int r = durable_env_begin_read(c->durable.env);
    durable_restore_start(&restore);
    while (r == 0) {
        r = durable_restore_next(&restore, &c->durable, wants_all, NULL, &item);
        if (r == 0) {
            if (item.journal.kind == RECORD_QUEUED)
                read_queue(c, restore.at, &item.journal);
            else if (item.journal.kind != RECORD_HAD)
                see_item(c, &item);
            durable_restore_advance(&restore, &item);
        }
    }
    if (r != -ENOENT)
        complain(c, "the restore fails", r);
    durable_env_abort(c->durable.env);
}

static int see_retained(const struct record_message *message, void *context)
{
    struct check *c = context;
    struct durable_key key = durable_key_name(DURABLE_RETAINED, message->topic);
    add_line(c, &(struct record_journal){.kind = RECORD_KEEP_RETAINED}, message);
    durable_batch_delete(&c->doomed, &key);
    return 0;
}

/* Each body is there as often as it is needed, and none that is not. */
static void compare_uses(struct check *c)
{
    struct durable_key key = durable_key_of(DURABLE_MESSAGE);
    struct bytes content;
    unsigned bodies = 0;
    int r = durable_env_begin_read(c->durable.env);
    while (r == 0) {
        r = durable_env_next(c->durable.env, &key, DURABLE_KIND_PREFIX, &content);
        struct durable_key count_key = r == 0 ? durable_key_count(durable_key_first(&key))
                                              : (struct durable_key){0};
        if (r != 0 || !bytes_equal(durable_key_bytes(&key), durable_key_bytes(&count_key))) {
            bodies += r == 0;
            continue;
        }
        unsigned i = 0;
        uint64_t count = 0;
        while (i < c->use_count && c->uses[i].message_id != durable_key_first(&key))
            i++;
        (void)durable_row_get_number(c->durable.env, &key, &count);
        if (i == c->use_count || count != c->uses[i].count)
            complain(c, "a body is counted wrong, or left behind", (int)count);
    }
    durable_env_abort(c->durable.env);
    if (r != -ENOENT)
        complain(c, "bodies can't be read", r);
    if (bodies != c->use_count)
        complain(c, "a body is left behind, or missing", (int)bodies);
}

static void compare_totals(struct check *c)
{
    if (c->durable.damaged != 0)
        complain(c, "damaged rows were dropped", (int)c->durable.damaged);
    if (c->durable.sessions != c->sessions || c->durable.deliveries != c->deliveries)
        complain(c, "the totals are wrong", (int)c->durable.deliveries);
}

/* The tree must not only be readable, but usable: its free pages too. */
static void end_all(struct check *c)
{
    static const enum durable_kind kinds[] = {
        DURABLE_SESSION, DURABLE_SUBSCRIPTION, DURABLE_RECEIVED, DURABLE_QUEUE,
        DURABLE_MESSAGE, DURABLE_RETAINED,     DURABLE_WILL};
    struct bytes content;
    int r = durable_apply(&c->durable, &c->doomed, c->found->serials, POWER_WORKERS);
    if (r != 0)
        complain(c, "nothing can be written any more", r);
    if (durable_env_begin_read(c->durable.env) != 0)
        return;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct durable_key key = durable_key_of(kinds[i]);
        r = durable_env_next(c->durable.env, &key, DURABLE_KIND_PREFIX, &content);
        if (r != -ENOENT)
            complain(c, "something is left when all has ended", (int)kinds[i]);
    }
    durable_env_abort(c->durable.env);
}

static void read_all(struct check *c)
{
    restore(c);
    int r = durable_walk_retained(&c->durable, see_retained, c);
    if (r != 0)
        complain(c, "retained messages can't be read", r);
    for (unsigned i = 0; i < POWER_WORKERS; i++)
        if (durable_read_serial(&c->durable, i, &c->found->serials[i]) != 0)
            complain(c, "a serial can't be read", (int)i);
    c->found->next_run = c->durable.next_run;
    compare_uses(c);
    compare_totals(c);
    if (c->reading->ends_all && c->found->error == NULL)
        end_all(c);
}

void power_check_read(const char *folder, const struct power_reading *reading,
                      struct power_found *ret_found)
{
    struct check *c = power_memory(NULL, sizeof *c);
    *ret_found = (struct power_found){0};
    *c = (struct check){.reading = reading, .found = ret_found};
    durable_batch_init(&c->doomed, reading->key);
    int r =
        durable_open(&c->durable, folder, SIZE_MAX_ON_DISK, reading->key, reading->as_successor);
    if (r < 0) {
        complain(c, "it can't be opened", r);
    } else {
        read_all(c);
        durable_env_close(c->durable.env);
    }
    durable_batch_done(&c->doomed);
    free(c);
}

void power_found_done(struct power_found *found)
{
    for (size_t i = 0; i < found->line_count; i++)
        free(found->lines[i]);
    free(found->lines);
    *found = (struct power_found){0};
}
