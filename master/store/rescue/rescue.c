#include "master/store/rescue/rescue.h"

#include "common/base/log.h"
#include "master/store/rescue/rescue_copy.h"
#include "master/store/rescue/rescue_mend.h"
#include "master/store/rescue/rescue_place.h"
#include "master/store/rescue/rescue_salvage.h"
#include "master/store/rescue/rescue_tell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FINDINGS_LOGGED = 5 };

/* One rescue. */
struct rescue {
    const char *folder;
    int folder_fd;
    int data_fd; /* -1: there is none */
    uint64_t size_max;
    struct rescue_file file;
    struct rescue_findings findings;
    unsigned finding_count;
    struct rescue_salvage salvage;
    struct rescue_mend mend;
};

static void on_finding(void *context, const char *text)
{
    struct rescue *rescue = context;
    if (rescue->finding_count++ < FINDINGS_LOGGED)
        log_error("The database in %s is damaged: %s.", rescue->folder, text);
}

/* 0: it is sound, or there never was one. 1: a new one has to be made. */
static int examine(struct rescue *rescue)
{
    struct rescue_copy_age age;
    int r = 0;
    rescue->data_fd = openat(rescue->folder_fd, RESCUE_PLACE_DATA, O_RDONLY | O_CLOEXEC);
    if (rescue->data_fd >= 0)
        r = rescue_file_open(&rescue->file, rescue->data_fd);
    else if (errno != ENOENT)
        return -errno;
    if (r < 0)
        return r;
    if (rescue->data_fd < 0 || rescue->file.size == 0) {
        if (!rescue_copy_read_age(rescue->folder_fd, &age))
            return 0;
        log_error("There is no database in %s, but a copy of it.", rescue->folder);
        rescue->findings = (struct rescue_findings){.verdict = RESCUE_DAMAGED};
        return 1;
    }
    r = rescue_examine(&rescue->file, false, on_finding, rescue, &rescue->findings);
    if (r < 0)
        return r;
    if (rescue->findings.verdict == RESCUE_NEWER)
        return -EPROTO;
    return rescue->findings.verdict == RESCUE_DAMAGED;
}

/* -- the new one -- */

static int take_copy(struct rescue *rescue)
{
    int fd = openat(rescue->folder_fd, RESCUE_COPY_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = rescue_salvage_copy(&rescue->salvage, fd);
    close(fd);
    return r;
}

static int fill(struct rescue *rescue)
{
    struct rescue_salvage *salvage = &rescue->salvage;
    int r = rescue_salvage_file(salvage, &rescue->file, &rescue->findings);
    if (r == 0)
        r = take_copy(rescue);
    if (r == 0)
        r = rescue_salvage_commit(salvage);
    return r == 0 ? rescue_mend(&rescue->mend, salvage->env, salvage->run_max) : r;
}

static int make_new(struct rescue *rescue)
{
    char path[PATH_MAX];
    /* The old one may have been allowed to be larger. */
    uint64_t size_max = rescue->size_max + rescue->file.size;
    if (snprintf(path, sizeof path, "%s/%s", rescue->folder, RESCUE_PLACE_SALVAGE) >=
        (int)sizeof path)
        return -ENAMETOOLONG;
    int r = rescue_place_prepare(rescue->folder_fd);
    if (r < 0)
        return r;
    r = rescue_salvage_begin(&rescue->salvage, path, size_max);
    if (r == 0)
        r = fill(rescue);
    if (r == 0)
        rescue_tell_sessions(rescue->salvage.env, &rescue->salvage.lost);
    rescue_salvage_done(&rescue->salvage);
    if (r < 0)
        rescue_place_clean(rescue->folder_fd);
    return r;
}

static int replace(struct rescue *rescue)
{
    unsigned bad;
    int r = make_new(rescue);
    if (r == -ENOSPC) {
        rescue_place_prune(rescue->folder_fd, 0);
        r = make_new(rescue);
    }
    if (r == 0)
        r = rescue_place_change(rescue->folder_fd, &bad);
    if (r < 0) {
        log_error("What is left of the database in %s can't be saved: %s.", rescue->folder,
                  strerror(-r));
        return r;
    }
    rescue_place_prune(rescue->folder_fd, RESCUE_BAD_MAX);
    if (bad != 0)
        log_error("The damaged database was kept as %s/" RESCUE_PLACE_DATA ".bad-%u.",
                  rescue->folder, bad);
    return 0;
}

/* -- all -- */

static uint64_t count_lost(const struct rescue *rescue)
{
    const struct rescue_meta *meta = rescue->findings.meta;
    const struct rescue_salvage *salvage = &rescue->salvage;
    uint64_t told = meta == NULL ? 0 : meta->rows.rows;
    uint64_t kept = salvage->taken + salvage->filled + 1; /* the row FORMAT is not counted */
    return told > kept ? told - kept : 0;
}

static int run(struct rescue *rescue, bool is_careful, struct rescue_outcome *ret_outcome)
{
    int r = examine(rescue);
    if (r < 0 || (r == 0 && (!is_careful || rescue->data_fd < 0)))
        return r;
    if (rescue->finding_count > FINDINGS_LOGGED)
        log_error("... and %u more findings like these.", rescue->finding_count - FINDINGS_LOGGED);
    if (r == 0)
        log_error("The database in %s is made anew: the store ended again and again.",
                  rescue->folder);
    ret_outcome->was_damaged = r != 0;
    r = replace(rescue);
    if (r < 0)
        return r;
    ret_outcome->rows_lost = count_lost(rescue);
    ret_outcome->rows_copied = rescue->salvage.copied;
    rescue_tell_outcome(&rescue->salvage, &rescue->mend, ret_outcome->rows_lost);
    return 0;
}

int rescue_folder(const char *folder, uint64_t size_max, bool is_careful,
                  struct rescue_outcome *ret_outcome)
{
    struct rescue rescue = {.folder = folder, .data_fd = -1, .size_max = size_max};
    *ret_outcome = (struct rescue_outcome){.was_damaged = false};
    rescue.folder_fd = rescue_place_lock(folder);
    if (rescue.folder_fd < 0)
        return rescue.folder_fd;
    int r = run(&rescue, is_careful, ret_outcome);
    if (rescue.data_fd >= 0) {
        rescue_file_close(&rescue.file);
        close(rescue.data_fd);
    }
    close(rescue.folder_fd);
    return r;
}
