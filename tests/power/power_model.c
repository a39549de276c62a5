#include "tests/power/power_model.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

void power_model_init(struct power_model *model)
{
    *model = (struct power_model){0};
    for (unsigned i = 0; i < POWER_WORKERS; i++) {
        model->sum_room[i] = 1024;
        model->sums[i] = power_memory(NULL, model->sum_room[i] * sizeof(uint64_t));
        model->sums[i][0] = 0;
    }
}

void power_model_done(struct power_model *model)
{
    for (size_t i = 0; i < model->row_count; i++)
        free(model->rows[i].line);
    for (size_t i = 0; i < model->step_count; i++) {
        free(model->steps[i].key);
        free(model->steps[i].line);
    }
    for (unsigned i = 0; i < POWER_WORKERS; i++)
        free(model->sums[i]);
    free(model->rows);
    free(model->steps);
}

static char *copy_of(const char *text, size_t size)
{
    char *copy = power_memory(NULL, size + 1);
    memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

/* -- rows -- */

static void add_step(struct power_model *model, unsigned worker, const char *key_line,
                     const char *line)
{
    if (model->step_count == model->step_room) {
        model->step_room = model->step_room == 0 ? 1024 : model->step_room * 2;
        model->steps = power_memory(model->steps, model->step_room * sizeof model->steps[0]);
    }
    model->steps[model->step_count++] = (struct power_step){
        .worker = worker,
        .serial = model->serials[worker],
        .key = copy_of(key_line, power_fact_key_size(key_line)),
        .line = line == NULL ? NULL : copy_of(line, strlen(line)),
    };
}

static void remove_row(struct power_model *model, struct power_row *row)
{
    model->sum[row->worker] -= power_fact_sum(row->line);
    add_step(model, row->worker, row->line, NULL);
    free(row->line);
    *row = model->rows[--model->row_count];
}

static struct power_row *find(const struct power_model *model, const char *line)
{
    size_t size = power_fact_key_size(line);
    for (size_t i = 0; i < model->row_count; i++)
        if (strncmp(model->rows[i].line, line, size + 1) == 0)
            return &model->rows[i];
    return NULL;
}

static void put_row(struct power_model *model, unsigned worker,
                    const struct record_journal *journal, const struct record_message *message)
{
    char line[POWER_LINE_MAX];
    power_fact_line(journal, message, line);
    struct power_row *old = find(model, line);
    if (old != NULL)
        remove_row(model, old);
    if (model->row_count == model->row_room) {
        model->row_room = model->row_room == 0 ? 256 : model->row_room * 2;
        model->rows = power_memory(model->rows, model->row_room * sizeof model->rows[0]);
    }
    model->rows[model->row_count++] = (struct power_row){
        .worker = worker, .journal = *journal, .line = copy_of(line, strlen(line))};
    if (journal->kind == RECORD_SESSION)
        model->rows[model->row_count - 1].journal.name = (struct bytes){NULL, 0};
    model->sum[worker] += power_fact_sum(line);
    add_step(model, worker, line, line);
}

/* Removes the row that a record of this kind would have made. */
static void drop_row(struct power_model *model, const struct record_journal *journal,
                     enum record_kind kind, const struct record_message *message)
{
    struct record_journal named = *journal;
    char line[POWER_LINE_MAX];
    named.kind = kind;
    power_fact_line(&named, message, line);
    struct power_row *row = find(model, line);
    if (row != NULL)
        remove_row(model, row);
}

static void end_session(struct power_model *model, uint64_t session)
{
    for (size_t i = model->row_count; i > 0; i--)
        if (model->rows[i - 1].journal.session == session)
            remove_row(model, &model->rows[i - 1]);
}

/* SENT and RELEASED. */
static void advance(struct power_model *model, unsigned worker,
                    const struct record_journal *journal)
{
    struct record_journal named = {
        .kind = RECORD_ENQUEUE, .session = journal->session, .seq = journal->seq};
    char line[POWER_LINE_MAX];
    power_fact_line(&named, NULL, line);
    struct power_row *row = find(model, line);
    check(row != NULL);
    struct record_journal changed = row->journal;
    struct power_message *message = power_memory(NULL, sizeof *message);
    if (journal->kind == RECORD_SENT)
        changed.packet_id = journal->packet_id;
    changed.released = changed.released || journal->kind == RECORD_RELEASED;
    if (changed.released)
        changed.message_id = 0;
    else
        power_fact_message(changed.message_id, message);
    put_row(model, worker, &changed, changed.released ? NULL : &message->message);
    free(message);
}

void power_model_say(struct power_model *model, unsigned worker,
                     const struct record_journal *journal, const struct record_message *message)
{
    uint64_t serial = ++model->serials[worker];
    switch ((unsigned)journal->kind) {
    case RECORD_SESSION_END:
        end_session(model, journal->session);
        break;
    case RECORD_UNSUBSCRIBE:
        drop_row(model, journal, RECORD_SUBSCRIBE, NULL);
        break;
    case RECORD_DONE:
        drop_row(model, journal, RECORD_ENQUEUE, NULL);
        break;
    case RECORD_RECEIVE_END:
        drop_row(model, journal, RECORD_RECEIVED, NULL);
        break;
    case RECORD_FORGET_WILL:
        drop_row(model, journal, RECORD_KEEP_WILL, NULL);
        break;
    case RECORD_SENT:
    case RECORD_RELEASED:
        advance(model, worker, journal);
        break;
    default:
        if (journal->kind == RECORD_KEEP_RETAINED && message->payload.size == 0)
            drop_row(model, journal, RECORD_KEEP_RETAINED, message);
        else
            put_row(model, worker, journal, message);
    }
    if (serial == model->sum_room[worker]) {
        model->sum_room[worker] *= 2;
        model->sums[worker] =
            power_memory(model->sums[worker], model->sum_room[worker] * sizeof(uint64_t));
    }
    model->sums[worker][serial] = model->sum[worker];
}

uint64_t power_model_sum(const struct power_model *model, unsigned worker, uint64_t serial)
{
    check(serial <= model->serials[worker]);
    return model->sums[worker][serial];
}

/* -- for the workload -- */

static bool is_of(const struct power_row *row, unsigned worker, enum record_kind kind)
{
    return row->worker == worker && row->journal.kind == kind;
}

unsigned power_model_count(const struct power_model *model, unsigned worker, enum record_kind kind)
{
    unsigned count = 0;
    for (size_t i = 0; i < model->row_count; i++)
        count += is_of(&model->rows[i], worker, kind);
    return count;
}

const struct power_row *power_model_pick(const struct power_model *model, unsigned worker,
                                         enum record_kind kind, struct power_random *random)
{
    unsigned count = power_model_count(model, worker, kind);
    if (count == 0)
        return NULL;
    unsigned left = power_random_below(random, count);
    for (size_t i = 0; i < model->row_count; i++)
        if (is_of(&model->rows[i], worker, kind) && left-- == 0)
            return &model->rows[i];
    unreachable();
}

/* -- for people -- */

/* The row's latest step up to these serials; NULL if it has gone on since. */
static const char *line_at(const struct power_model *model, size_t step, const uint64_t serials[])
{
    const struct power_step *s = &model->steps[step];
    if (s->serial > serials[s->worker])
        return NULL;
    for (size_t i = step + 1; i < model->step_count; i++)
        if (model->steps[i].serial <= serials[model->steps[i].worker] &&
            strcmp(model->steps[i].key, s->key) == 0)
            return NULL;
    return s->line;
}

void power_model_explain(const struct power_model *model, const uint64_t serials[POWER_WORKERS],
                         char **lines, size_t count, FILE *out)
{
    bool *is_expected = power_memory(NULL, count * sizeof *is_expected);
    memset(is_expected, 0, count * sizeof *is_expected);
    for (size_t i = 0; i < model->step_count; i++) {
        const char *line = line_at(model, i, serials);
        size_t at = 0;
        while (line != NULL && at < count && (is_expected[at] || strcmp(lines[at], line) != 0))
            at++;
        if (line != NULL && at < count)
            is_expected[at] = true;
        else if (line != NULL)
            fprintf(out, "  missing:    %s\n", line);
    }
    for (size_t i = 0; i < count; i++)
        if (!is_expected[i])
            fprintf(out, "  unexpected: %s\n", lines[i]);
    free(is_expected);
}
