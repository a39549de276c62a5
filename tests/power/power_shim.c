/* Both the calls with a 32-bit offset and those with a 64-bit one are defined here,
 * and no header may rename them or put its own in their place. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE

#include "tests/power/power_shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 1024, PATH_ROOM = 512, NONE = 0, FILE_FD, FOLDER_FD };

/* What an interposed call finds: there is no other way to hand it over. */
static struct {
    struct power_log *log; /* NULL: only is_touched */
    char prefix[PATH_ROOM];
    bool is_on;
    bool is_touched;
    struct {
        int what;
        unsigned file;
        bool is_synced;
    } fds[FDS_MAX];
    struct {
        char name[POWER_NAME_MAX]; /* empty: free */
        unsigned file;
    } names[POWER_FILES_MAX];
    unsigned file_count;
    uint64_t slept_ms;
} shim;

/* The libc function of this name, into *ret_function. */
static void find(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    memcpy(ret_function, &found, sizeof found);
}

#define REAL(type, name, ...) \
    type (*real)(__VA_ARGS__); \
    find(name, (void *)&real)

static void refuse(const char *what)
{
    dprintf(STDERR_FILENO, "the recorder has no model for %s\n", what);
    abort();
}

void power_shim_record(struct power_log *log, const char *prefix)
{
    memset(shim.fds, 0, sizeof shim.fds);
    memset(shim.names, 0, sizeof shim.names);
    shim.file_count = 0;
    power_shim_watch(prefix);
    shim.log = log;
}

void power_shim_watch(const char *prefix)
{
    snprintf(shim.prefix, sizeof shim.prefix, "%s", prefix);
    shim.is_on = true;
    shim.is_touched = false;
    shim.log = NULL;
}

bool power_shim_is_touched(void)
{
    return shim.is_touched;
}

void power_shim_stop(void)
{
    shim.is_on = false;
}

void power_shim_sleep(unsigned ms)
{
    shim.slept_ms += ms;
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    uint64_t start_s = clock == CLOCK_REALTIME ? 1800000000 : 1000;
    ret_time->tv_sec = (time_t)(start_s + shim.slept_ms / 1000);
    ret_time->tv_nsec = (long)(shim.slept_ms % 1000) * 1000000;
    return 0;
}

/* -- what it is about -- */

static struct power_event *note(enum power_kind kind)
{
    static struct power_event nowhere;
    shim.is_touched = true;
    return shim.log == NULL ? &nowhere : power_log_add(shim.log, kind);
}

static int what_is(int fd)
{
    return shim.is_on && fd >= 0 && fd < FDS_MAX ? shim.fds[fd].what : NONE;
}

/* Name within the watched folder, "" for the folder itself, or NULL. */
static const char *name_of(int folder_fd, const char *path)
{
    size_t size = strlen(shim.prefix);
    if (!shim.is_on)
        return NULL;
    if (path[0] != '/' && what_is(folder_fd) == FOLDER_FD)
        return path;
    if (strncmp(path, shim.prefix, size) != 0)
        return NULL;
    const char *slash = strchr(path + size, '/');
    const char *name = slash == NULL ? "" : slash + 1;
    if (strchr(name, '/') != NULL || strlen(name) >= POWER_NAME_MAX)
        refuse(path);
    return name;
}

/* Index in names, or of a free one. */
static unsigned place_of(const char *name)
{
    unsigned free_place = POWER_FILES_MAX;
    for (unsigned i = 0; i < POWER_FILES_MAX; i++) {
        if (strcmp(shim.names[i].name, name) == 0)
            return i;
        if (shim.names[i].name[0] == 0)
            free_place = i;
    }
    if (free_place == POWER_FILES_MAX)
        refuse("so many files");
    return free_place;
}

static bool has_name(const char *name)
{
    return shim.names[place_of(name)].name[0] != 0;
}

static void set_name(const char *name, unsigned file)
{
    unsigned place = place_of(name);
    strcpy(shim.names[place].name, name);
    shim.names[place].file = file;
}

void power_shim_know(const char *name, unsigned file)
{
    set_name(name, file);
    if (shim.file_count <= file)
        shim.file_count = file + 1;
}

static void clear_name(const char *name)
{
    shim.names[place_of(name)].name[0] = 0;
}

/* -- open and close -- */

static int note_open(int fd, const char *name, int flags)
{
    if (fd < 0 || name == NULL)
        return fd;
    if (fd >= FDS_MAX)
        refuse("so many descriptors");
    shim.fds[fd].what = name[0] == 0 ? FOLDER_FD : FILE_FD;
    shim.fds[fd].is_synced = (flags & O_DSYNC) != 0;
    if (name[0] == 0 || shim.log == NULL)
        return fd;
    if (!has_name(name)) {
        struct power_event *event = note(POWER_CREATE);
        event->file = shim.file_count;
        strcpy(event->name, name);
        set_name(name, shim.file_count++);
    }
    shim.fds[fd].file = shim.names[place_of(name)].file;
    if ((flags & O_TRUNC) != 0)
        note(POWER_RESIZE)->file = shim.fds[fd].file;
    return fd;
}

static int open_real(int folder_fd, const char *path, int flags, mode_t mode)
{
    REAL(int, "openat64", int, const char *, int, mode_t);
    const char *name = name_of(folder_fd, path);
    bool is_new = (flags & O_CREAT) != 0 && faccessat(folder_fd, path, F_OK, 0) != 0;
    if (name != NULL && (is_new || (flags & O_TRUNC) != 0))
        shim.is_touched = true;
    return note_open(real(folder_fd, path, flags | O_LARGEFILE, mode), name, flags);
}

#define MODE_OF(flags, mode) \
    mode_t mode = 0; \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

#define DEFINE_OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        MODE_OF(flags, mode) \
        return open_real(AT_FDCWD, path, flags, mode); \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name) \
    int name(int folder_fd, const char *path, int flags, ...) \
    { \
        MODE_OF(flags, mode) \
        return open_real(folder_fd, path, flags, mode); \
    }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

/* What fortified callers use. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder_fd, const char *path, int flags);
int __openat64_2(int folder_fd, const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_real(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags)
{
    return open_real(AT_FDCWD, path, flags, 0);
}
int __openat_2(int folder_fd, const char *path, int flags)
{
    return open_real(folder_fd, path, flags, 0);
}
int __openat64_2(int folder_fd, const char *path, int flags)
{
    return open_real(folder_fd, path, flags, 0);
}

int close(int fd)
{
    REAL(int, "close", int);
    if (fd >= 0 && fd < FDS_MAX)
        shim.fds[fd].what = NONE;
    return real(fd);
}

/* -- write -- */

static ssize_t note_write(int fd, uint64_t offset, const void *data, ssize_t size)
{
    if (size <= 0 || what_is(fd) != FILE_FD)
        return size;
    struct power_event *event = note(POWER_WRITE);
    if (shim.log == NULL)
        return size;
    event->file = shim.fds[fd].file;
    event->is_synced = shim.fds[fd].is_synced;
    event->offset = offset;
    event->size = (size_t)size;
    event->data = power_memory(NULL, (size_t)size);
    memcpy(event->data, data, (size_t)size);
    return size;
}

static ssize_t note_vector(int fd, uint64_t offset, const struct iovec *pieces, int count,
                           ssize_t size)
{
    ssize_t left = size;
    if (what_is(fd) != FILE_FD)
        return size;
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t part = (ssize_t)pieces[i].iov_len < left ? (ssize_t)pieces[i].iov_len : left;
        note_write(fd, offset, pieces[i].iov_base, part);
        offset += (uint64_t)part;
        left -= part;
    }
    return size;
}

static uint64_t position_of(int fd)
{
    return what_is(fd) == FILE_FD ? (uint64_t)lseek64(fd, 0, SEEK_CUR) : 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    uint64_t offset = position_of(fd);
    return note_write(fd, offset, data, real(fd, data, size));
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    uint64_t offset = position_of(fd);
    return note_vector(fd, offset, pieces, count, real(fd, pieces, count));
}

#define DEFINE_PWRITE(name, type) \
    ssize_t name(int fd, const void *data, size_t size, type offset) \
    { \
        REAL(ssize_t, #name, int, const void *, size_t, type); \
        return note_write(fd, (uint64_t)offset, data, real(fd, data, size, offset)); \
    }
DEFINE_PWRITE(pwrite, off_t)
DEFINE_PWRITE(pwrite64, off64_t)

#define DEFINE_PWRITEV(name, type) \
    ssize_t name(int fd, const struct iovec *pieces, int count, type offset) \
    { \
        REAL(ssize_t, #name, int, const struct iovec *, int, type); \
        return note_vector(fd, (uint64_t)offset, pieces, count, real(fd, pieces, count, offset)); \
    }
DEFINE_PWRITEV(pwritev, off_t)
DEFINE_PWRITEV(pwritev64, off64_t)

static void note_size(int fd, enum power_kind kind, uint64_t size)
{
    if (what_is(fd) != FILE_FD)
        return;
    struct power_event *event = note(kind);
    event->file = shim.fds[fd].file;
    event->size = (size_t)size;
}

#define DEFINE_FTRUNCATE(name, type) \
    int name(int fd, type size) \
    { \
        REAL(int, #name, int, type); \
        int r = real(fd, size); \
        if (r == 0) \
            note_size(fd, POWER_RESIZE, (uint64_t)size); \
        return r; \
    }
DEFINE_FTRUNCATE(ftruncate, off_t)
DEFINE_FTRUNCATE(ftruncate64, off64_t)

#define DEFINE_FALLOCATE(name, type) \
    int name(int fd, int mode, type offset, type size) \
    { \
        REAL(int, #name, int, int, type, type); \
        int r = real(fd, mode, offset, size); \
        if (what_is(fd) == FILE_FD && mode != 0) \
            refuse("fallocate() of this kind"); \
        if (r == 0) \
            note_size(fd, POWER_GROW, (uint64_t)offset + (uint64_t)size); \
        return r; \
    }
DEFINE_FALLOCATE(fallocate, off_t)
DEFINE_FALLOCATE(fallocate64, off64_t)

/* -- sync -- */

static int note_sync(int fd, int r)
{
    if (r == 0 && what_is(fd) == FILE_FD && shim.log != NULL)
        note(POWER_SYNC)->file = shim.fds[fd].file;
    if (r == 0 && what_is(fd) == FOLDER_FD && shim.log != NULL)
        note(POWER_SYNC_FOLDER);
    return r;
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    return note_sync(fd, real(fd));
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    return note_sync(fd, real(fd));
}

/* -- names -- */

static void note_names(enum power_kind kind, const char *name, const char *to)
{
    struct power_event *event = note(kind);
    snprintf(event->name, sizeof event->name, "%s", name);
    snprintf(event->to, sizeof event->to, "%s", to);
    if (shim.log == NULL)
        return;
    if (kind != POWER_UNLINK)
        set_name(to, shim.names[place_of(name)].file);
    if (kind != POWER_LINK)
        clear_name(name);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    REAL(int, "renameat", int, const char *, int, const char *);
    const char *name = name_of(from_fd, from);
    const char *to_name = name_of(to_fd, to);
    int r = real(from_fd, from, to_fd, to);
    if (r == 0 && name != NULL && to_name != NULL)
        note_names(POWER_RENAME, name, to_name);
    return r;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    REAL(int, "linkat", int, const char *, int, const char *, int);
    const char *name = name_of(from_fd, from);
    const char *to_name = name_of(to_fd, to);
    int r = real(from_fd, from, to_fd, to, flags);
    if (r == 0 && name != NULL && to_name != NULL)
        note_names(POWER_LINK, name, to_name);
    return r;
}

int unlinkat(int folder_fd, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int);
    const char *name = name_of(folder_fd, path);
    int r = real(folder_fd, path, flags);
    if (r == 0 && name != NULL && name[0] != 0)
        note_names(POWER_UNLINK, name, "");
    return r;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
