/*
 * A library to be preloaded into a broker: a disk that fails when a test wants it to.
 * It meets only what is done to files below one folder, and to the folder. The test
 * writes to the file that the variable DISK_FAULTS names, which is mapped here; all
 * processes of a broker share it (tests/faults/disk.py is the other side).
 */
#undef _FILE_OFFSET_BITS /* both forms of pwrite() have a symbol of their own */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    CALL_WRITE = 1,
    CALL_SYNC = 2,
    CALL_TRUNCATE = 4,
    CALL_ALLOCATE = 8,
    CALL_STATVFS = 16,
    CALL_HEAD = 32
};
enum { FOLDER_MAX = 256, FD_PATH_MAX = 32, HEAD_SIZE = 2 * 4096 };

struct faults {
    _Atomic uint32_t calls;    /* which ones are met; 0: none */
    _Atomic uint32_t error;    /* errno of theirs; 0: they are made */
    _Atomic uint32_t is_short; /* a write writes half of it */
    _Atomic uint32_t stall_ms; /* before anything else */
    _Atomic uint32_t skip;     /* so many pass first */
    _Atomic uint32_t limit;    /* so many are met then; 0: all */
    _Atomic uint32_t free_kib; /* what statvfs() says */
    _Atomic uint32_t seen;
    _Atomic uint32_t met;
    char folder[FOLDER_MAX]; /* without a slash at its end */
};

static struct faults *faults;

#define NEXT(name) ((__typeof__(&(name)))(uintptr_t)dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void map_faults(void)
{
    const char *path = getenv("DISK_FAULTS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *memory = MAP_FAILED;
    if (fd >= 0)
        memory = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        fputs("DISK_FAULTS names no file of faults.\n", stderr);
        _exit(EXIT_FAILURE);
    }
    close(fd);
    faults = memory;
}

static bool is_below(const char *path)
{
    size_t size = strnlen(faults->folder, FOLDER_MAX);
    return strncmp(path, faults->folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static bool is_ours(int fd)
{
    char link[FD_PATH_MAX];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return is_below(path);
}

static bool has_turn(void)
{
    uint32_t seen = atomic_fetch_add(&faults->seen, 1);
    uint32_t skip = faults->skip;
    return seen >= skip && (faults->limit == 0 || seen - skip < faults->limit);
}

static void stall(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += faults->stall_ms / 1000;
    until.tv_nsec += faults->stall_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* Is this call to be met? Waits, if it should. */
static bool meets(uint32_t calls, int fd)
{
    if (faults == NULL || (faults->calls & calls) == 0)
        return false;
    int error = errno;
    bool is_met = is_ours(fd) && has_turn();
    if (is_met) {
        faults->met++;
        stall();
    }
    errno = error;
    return is_met;
}

static bool fails(uint32_t call, int fd)
{
    uint32_t error = meets(call, fd) ? faults->error : 0;
    if (error != 0)
        errno = (int)error;
    return error != 0;
}

/* How much of a write is done; 0: it fails. */
static size_t allowed(uint32_t calls, int fd, size_t size)
{
    if (!meets(calls, fd))
        return size;
    if (faults->error != 0)
        errno = (int)faults->error;
    return faults->error != 0 ? 0 : faults->is_short ? size / 2 : size;
}

/* -- writes -- */

ssize_t write(int fd, const void *data, size_t size)
{
    size_t part = size == 0 ? 0 : allowed(CALL_WRITE, fd, size);
    return part == 0 && size > 0 ? -1 : NEXT(write)(fd, data, part);
}

/* A database begins with what makes a commit valid. */
static uint32_t calls_at(off64_t at)
{
    return at < HEAD_SIZE ? CALL_WRITE | CALL_HEAD : CALL_WRITE;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    size_t part = allowed(calls_at(at), fd, size);
    return part == 0 ? -1 : NEXT(pwrite)(fd, data, part, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    size_t part = allowed(calls_at(at), fd, size);
    return part == 0 ? -1 : NEXT(pwrite64)(fd, data, part, at);
}

/* A short one leaves out its second half of parts. */
static int allowed_parts(int fd, int count)
{
    size_t part = allowed(CALL_WRITE, fd, (size_t)count * 2);
    return part == 0 ? 0 : part == (size_t)count ? (count + 1) / 2 : count;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    int allowed_count = allowed_parts(fd, count);
    return allowed_count == 0 ? -1 : NEXT(writev)(fd, parts, allowed_count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    int allowed_count = allowed_parts(fd, count);
    return allowed_count == 0 ? -1 : NEXT(pwritev)(fd, parts, allowed_count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    int allowed_count = allowed_parts(fd, count);
    return allowed_count == 0 ? -1 : NEXT(pwritev64)(fd, parts, allowed_count, at);
}

/* -- the others -- */

int fdatasync(int fd)
{
    return fails(CALL_SYNC, fd) ? -1 : NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails(CALL_SYNC, fd) ? -1 : NEXT(fsync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(CALL_TRUNCATE, fd) ? -1 : NEXT(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return fails(CALL_TRUNCATE, fd) ? -1 : NEXT(ftruncate64)(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return fails(CALL_ALLOCATE, fd) ? -1 : NEXT(fallocate)(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    return fails(CALL_ALLOCATE, fd) ? -1 : NEXT(fallocate64)(fd, mode, at, size);
}

int fstatvfs(int fd, struct statvfs *ret_fs)
{
    int r = NEXT(fstatvfs)(fd, ret_fs);
    if (r == 0 && meets(CALL_STATVFS, fd))
        ret_fs->f_bavail = ret_fs->f_bfree = (fsblkcnt_t)faults->free_kib * 1024 / ret_fs->f_frsize;
    return r;
}

int fstatvfs64(int fd, struct statvfs64 *ret_fs)
{
    int r = NEXT(fstatvfs64)(fd, ret_fs);
    if (r == 0 && meets(CALL_STATVFS, fd))
        ret_fs->f_bavail = ret_fs->f_bfree = (fsblkcnt64_t)faults->free_kib * 1024 /
                                             ret_fs->f_frsize;
    return r;
}
