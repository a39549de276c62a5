#include "tests/power/power_replay.h"

#include "tests/power/power_check.h"
#include "tests/power/power_shim.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    EMPTIED_EVERY = 16,  /* images, of which one is emptied after it was looked at */
    REPAIRED_EVERY = 16, /* commits; then the power is cut again, while that is repaired */
    REPAIR_SEED = 1
};

static const struct hash_key map_key = {"the power tests"};

struct state {
    const struct power_replay *replay;
    struct power_disk disk;
    struct power_image image; /* in hand */
    struct power_image shown;
    bool is_touched;
    uint64_t next_image;
    unsigned meta_writes;
    uint64_t said[POWER_WORKERS];
    uint64_t confirmed[POWER_WORKERS];
    uint64_t run; /* the last one that was given away */
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What must be there. Records that cancelled out are confirmed, but their serials may
 * not be kept. */
static void expect(const struct state *s, const struct power_found *found,
                   uint64_t ret_serials[POWER_WORKERS])
{
    for (unsigned i = 0; i < POWER_WORKERS; i++) {
        uint64_t known = s->replay->model->serials[i];
        ret_serials[i] = later(found->serials[i], s->confirmed[i]);
        if (ret_serials[i] > known)
            ret_serials[i] = known;
    }
}

static const char *judge(const struct state *s, const struct power_found *found)
{
    uint64_t serials[POWER_WORKERS];
    uint64_t sum = 0;
    if (found->error != NULL)
        return found->error;
    expect(s, found, serials);
    for (unsigned i = 0; i < POWER_WORKERS; i++) {
        if (found->serials[i] > s->said[i])
            return "a serial is kept that nobody said";
        sum += power_model_sum(s->replay->model, i, serials[i]);
    }
    if (sum != found->sum)
        return "the rows are not those of the serials kept and confirmed";
    return found->next_run <= s->run ? "a run number may be given away twice" : NULL;
}

static void report(struct state *s, struct power_found *found, const char *what)
{
    struct power_progress *progress = s->replay->progress;
    uint64_t serials[POWER_WORKERS];
    progress->failed++;
    snprintf(progress->what, sizeof progress->what,
             "%s (%d); kept %" PRIu64 " %" PRIu64 ", confirmed %" PRIu64 " %" PRIu64, what,
             found->code, found->serials[0], found->serials[1], s->confirmed[0], s->confirmed[1]);
    expect(s, found, serials);
    if (s->replay->only != UINT64_MAX)
        power_model_explain(s->replay->model, serials, found->lines, found->line_count, stdout);
}

static void show(struct state *s)
{
    power_shim_stop();
    power_image_show(&s->image, s->replay->folder, &s->shown, s->is_touched);
    power_shim_watch(s->replay->folder);
}

static void look_at(struct state *s, unsigned cut)
{
    struct power_progress *progress = s->replay->progress;
    struct power_random random = {power_random_mix(s->replay->seed) + s->next_image};
    struct power_found found;
    const struct power_reading reading = {
        .key = &map_key,
        .as_successor = s->next_image % 2 == 0,
        .wants_lines = s->replay->only != UINT64_MAX,
        .ends_all = s->next_image % EMPTIED_EVERY == 0,
    };
    progress->image = s->next_image++;
    if (s->replay->only != UINT64_MAX && s->replay->only != progress->image)
        return;
    power_disk_cut(&s->disk, cut, &random, &s->image);
    show(s);
    power_check_read(s->replay->folder, &reading, &found);
    s->is_touched = power_shim_is_touched();
    progress->images++;
    const char *what = judge(s, &found);
    if (what != NULL)
        report(s, &found, what);
    power_found_done(&found);
}

static bool goes_on(const struct state *s)
{
    return s->replay->progress->failed < s->replay->failures_max;
}

static void look_at_all(struct state *s)
{
    unsigned count = power_disk_cut_count(&s->disk);
    for (unsigned cut = 0; cut < count && goes_on(s); cut++)
        look_at(s, cut);
}

/* An event other than a mark: looked at while it is under way, if that differs from
 * what comes before and after, and then. */
static void take_event(struct state *s, struct power_event *event)
{
    power_disk_begin(&s->disk, event);
    if (event->kind == POWER_WRITE && event->is_synced)
        look_at_all(s);
    power_disk_end(&s->disk, event);
    look_at_all(s);
}

/* The meta page that was under way is garbage: the store repairs that when it starts,
 * and the power goes again. */
static void cut_repair(struct state *s)
{
    struct power_random random = {REPAIR_SEED};
    struct power_disk disk = s->disk;
    struct power_log log = {0};
    struct power_found found;
    power_disk_garble(&disk, &random, &s->image);
    show(s);
    power_shim_record(&log, s->replay->folder);
    for (unsigned i = 0; i < POWER_FILES_MAX; i++)
        if (s->image.names[i].name[0] != 0)
            power_shim_know(s->image.names[i].name, s->image.names[i].file);
    power_check_read(s->replay->folder, &(struct power_reading){.key = &map_key}, &found);
    power_found_done(&found);
    power_shim_stop();
    s->is_touched = true;
    s->disk = (struct power_disk){.lie = disk.lie};
    power_image_copy(&s->disk.sure, &s->image);
    for (size_t i = 0; i < log.count && goes_on(s); i++)
        take_event(s, &log.events[i]);
    power_disk_done(&s->disk);
    power_log_done(&log);
    s->disk = disk;
}

/* False for a mark: nothing has happened to the disk. */
static bool take_mark(struct state *s, const struct power_event *event)
{
    bool is_promise = event->kind == POWER_CONFIRMED ||
                      (s->replay->confirms_early && event->kind == POWER_SAID);
    if (is_promise)
        s->confirmed[event->worker] = event->number;
    if (event->kind == POWER_SAID)
        s->said[event->worker] = event->number;
    if (event->kind == POWER_RUN)
        s->run = later(s->run, event->number);
    return is_promise || event->kind == POWER_SAID || event->kind == POWER_RUN;
}

void power_replay_run(const struct power_replay *replay)
{
    struct state s = {.replay = replay, .disk.lie = replay->lie};
    for (size_t i = 0; i < replay->log->count && goes_on(&s); i++) {
        struct power_event *event = &replay->log->events[i];
        bool is_meta = event->kind == POWER_WRITE && event->is_synced;
        if (take_mark(&s, event)) {
            if (event->kind != POWER_SAID || replay->confirms_early)
                look_at_all(&s);
            continue;
        }
        if (is_meta && ++s.meta_writes % REPAIRED_EVERY == 0) {
            power_disk_begin(&s.disk, event);
            cut_repair(&s);
            s.disk.pending_count--;
        }
        take_event(&s, event);
    }
    power_shim_stop();
    power_disk_done(&s.disk);
    power_image_done(&s.image);
    power_image_done(&s.shown);
}

bool power_replay_is_complete(const struct power_log *log, const struct power_image *left)
{
    struct power_disk disk = {0};
    struct power_image image = {0};
    for (size_t i = 0; i < log->count; i++)
        power_disk_begin(&disk, &log->events[i]);
    power_disk_all(&disk, &image);
    bool is_same = power_image_is_same(&image, left);
    power_disk_done(&disk);
    power_image_done(&image);
    return is_same;
}
