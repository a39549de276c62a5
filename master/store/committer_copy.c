#include "master/store/committer_copy.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SLICE = 256 << 10,
    SLICE_MS = 100, /* between two slices */
    FIRST_MS = 60 * 1000,
    DAY_MS = 24 * 3600 * 1000,
    PART = 8, /* a copy is worth it when commits have written so many times its size */
    SPACE_SPARE = 4 << 20
};

static void set_stats(const struct committer_copy *c)
{
    stats_set(c->stats, STAT_durable_copy_bytes, c->size);
    stats_set(c->stats, STAT_durable_copy_made, c->made_ms / 1000);
}

/* One that was made before the boot counts as made at the boot. */
static void find_copy(struct committer_copy *c, const struct durable *durable)
{
    struct rescue_copy_age age;
    if (!rescue_copy_read_age(c->folder_fd, &age))
        return;
    c->size = age.size;
    c->made_ms = durable_clock_from_disk(&durable->clock, age.made_ms);
    uint64_t now_ms = clock_now_ms();
    if (c->made_ms == 0 || c->made_ms > now_ms)
        c->made_ms = c->made_ms == 0 ? 1 : now_ms;
}

void committer_copy_open(struct committer_copy *ret_copy, const char *folder, uint32_t interval_s,
                         struct stats stats, const struct durable *durable)
{
    struct committer_copy *c = ret_copy;
    *c = (struct committer_copy){.copy = {.fd = -1},
                                 .stats = stats,
                                 .folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                 .interval_ms = (uint64_t)interval_s * 1000,
                                 .at_ms = UINT64_MAX};
    if (c->folder_fd < 0)
        return;
    find_copy(c, durable);
    set_stats(c);
    uint64_t first_ms = c->interval_ms < FIRST_MS ? c->interval_ms : FIRST_MS;
    if (c->interval_ms > 0)
        c->at_ms = clock_now_ms() + first_ms;
}

void committer_copy_close(struct committer_copy *copy)
{
    rescue_copy_abort(&copy->copy);
    if (copy->folder_fd >= 0)
        close(copy->folder_fd);
    copy->folder_fd = -1;
}

/* Is a new one worth its cost? */
static bool is_due(const struct committer_copy *c, uint64_t written, uint64_t now_ms)
{
    uint64_t age_ms = now_ms - c->made_ms;
    if (c->made_ms == 0)
        return true;
    if (written == c->written || age_ms < c->interval_ms)
        return false;
    return age_ms >= DAY_MS || (written - c->written) / PART >= c->size;
}

/* The old one and the new one are there together, for a while. */
static bool has_space(const struct committer_copy *c)
{
    struct statvfs fs;
    return fstatvfs(c->folder_fd, &fs) < 0 ||
           (uint64_t)fs.f_bavail * fs.f_frsize > 2 * c->size + SPACE_SPARE;
}

static void give_up(struct committer_copy *c, int error, uint64_t now_ms)
{
    if (error == -EUCLEAN)
        fatal("LMDB found the database damaged"); /* our successor looks through it */
    log_warning("The copy of the persistent data could not be renewed: %s. The old one stays.",
                strerror(-error));
    c->at_ms = now_ms + c->interval_ms;
}

static void begin(struct committer_copy *c, const struct durable *durable, uint64_t now_ms)
{
    uint64_t written = durable_env_written(durable->env);
    c->at_ms = now_ms + (c->interval_ms < FIRST_MS ? c->interval_ms : FIRST_MS);
    if (!is_due(c, written, now_ms))
        return;
    int r = has_space(c) ? rescue_copy_begin(&c->copy, c->folder_fd) : -ENOSPC;
    if (r < 0) {
        give_up(c, r, now_ms);
        return;
    }
    c->written = written;
    c->at_ms = now_ms;
}

static void finish(struct committer_copy *c, uint64_t now_ms)
{
    c->made_ms = now_ms;
    c->size = c->copy.size;
    c->at_ms = now_ms + c->interval_ms;
    set_stats(c);
    stats_add(c->stats, STAT_durable_bytes, c->size);
    log_debug("The copy of the persistent data was renewed.");
}

void committer_copy_turn(struct committer_copy *copy, struct durable *durable)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms < copy->at_ms)
        return;
    if (copy->copy.fd < 0) {
        begin(copy, durable, now_ms);
        return;
    }
    int r = rescue_copy_step(&copy->copy, durable->env, &durable->clock, SLICE);
    copy->at_ms = now_ms + SLICE_MS;
    if (r < 0)
        give_up(copy, r, now_ms);
    else if (r == 1)
        finish(copy, now_ms);
}
