#include "master/store/durable/durable_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "data.mdb"
#define COPY_NAME "data.mdb.repaired"
#define OLD_NAME "data.mdb.damaged"

enum {
    PAGE_MIN = 4096,
    PAGE_MAX = 65536,
    VERSION = 1,
    UNBORN_PAGES = 3,                /* both meta pages, and the one with the row FORMAT */
    PAGE_HEADER = sizeof(size_t) + 8 /* number of the page, then flags */
};

#define MAGIC 0xBEEFC0DEU

/* How a meta page begins behind its header, in LMDB 0.9. */
struct meta {
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    uint32_t page_size;
};

/* Does this page, if pages are of this size, look like a meta page? */
static bool is_meta(int fd, unsigned page, size_t page_size)
{
    struct meta meta;
    off_t at = (off_t)(page * page_size + PAGE_HEADER);
    return pread(fd, &meta, sizeof meta, at) == (ssize_t)sizeof meta && meta.magic == MAGIC &&
           (meta.version & 0xFF) == VERSION && meta.page_size == page_size;
}

static int copy_all(int from, int to)
{
    uint8_t memory[PAGE_MAX];
    off_t at = 0;
    ssize_t size;
    while ((size = pread(from, memory, sizeof memory, at)) > 0) {
        if (pwrite(to, memory, (size_t)size, at) != size)
            return errno == 0 ? -EIO : -errno;
        at += size;
    }
    return size < 0 ? -errno : 0;
}

/* Puts the good page in the place of the other. */
static int double_meta(int from, int to, unsigned good, size_t page_size)
{
    uint8_t memory[PAGE_MAX];
    size_t number = 1 - good;
    if (pread(from, memory, page_size, (off_t)(good * page_size)) != (ssize_t)page_size)
        return -EIO;
    memcpy(memory, &number, sizeof number);
    if (pwrite(to, memory, page_size, (off_t)(number * page_size)) != (ssize_t)page_size)
        return -EIO;
    return fsync(to) < 0 ? -errno : 0;
}

static int make_copy(int folder_fd, int from, unsigned good)
{
    size_t page_size = PAGE_MIN;
    while (page_size <= PAGE_MAX && !is_meta(from, good, page_size))
        page_size *= 2;
    /* A file that can't be opened for another reason must not lose a commit. */
    if (page_size > PAGE_MAX || is_meta(from, 1 - good, page_size))
        return -ENOENT;
    int to = openat(folder_fd, COPY_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    int r = copy_all(from, to);
    if (r == 0)
        r = double_meta(from, to, good, page_size);
    close(to);
    if (r < 0)
        unlinkat(folder_fd, COPY_NAME, 0);
    return r;
}

int durable_repair(int folder_fd, unsigned good)
{
    int from = openat(folder_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return -errno;
    int r = make_copy(folder_fd, from, good);
    close(from);
    if (r < 0)
        return r;
    /* The name always leads to one of the two: were it gone for a moment, a power cut
     * could make us begin anew. Where a file can't have two names, the old one goes. */
    if (unlinkat(folder_fd, OLD_NAME, 0) < 0 && errno != ENOENT)
        return -errno;
    if (linkat(folder_fd, FILE_NAME, folder_fd, OLD_NAME, 0) < 0 && errno != EPERM)
        return -errno;
    if (renameat(folder_fd, COPY_NAME, folder_fd, FILE_NAME) < 0 || fsync(folder_fd) < 0)
        return -errno;
    return 0;
}

int durable_repair_unborn(int folder_fd)
{
    struct stat stat;
    if (fstatat(folder_fd, FILE_NAME, &stat, 0) < 0)
        return -errno;
    if (stat.st_size > UNBORN_PAGES * sysconf(_SC_PAGESIZE))
        return -ENOENT;
    return renameat(folder_fd, FILE_NAME, folder_fd, OLD_NAME) < 0 ? -errno : 0;
}
