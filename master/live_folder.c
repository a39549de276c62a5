#include "master/live_folder.h"

#include "common/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define NAME_START "courtier-"

/* The folder if it is a stale one of ours, locked; or -errno. Others may write
 * into /dev/shm: a link, or another user's folder, is not ours to remove. */
static int open_stale(int location_fd, const char *name, uid_t uid)
{
    struct stat status;
    int fd = openat(location_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    bool owned = fstat(fd, &status) == 0 && (status.st_uid == uid || status.st_uid == geteuid());
    if (owned && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -EBUSY;
}

static void remove_content(int folder_fd)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlinkat(folder_fd, files[i], 0);
}

/* "courtier-PID.XXXXXX", and no other name that begins like it. */
static bool is_ours(const char *name)
{
    if (strncmp(name, NAME_START, strlen(NAME_START)) != 0)
        return false;
    const char *pid = name + strlen(NAME_START);
    size_t digits = strspn(pid, "0123456789");
    return digits > 0 && pid[digits] == '.';
}

static void remove_stale(const char *location, uid_t uid)
{
    DIR *directory = opendir(location);
    if (directory == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!is_ours(entry->d_name))
            continue;
        int fd = open_stale(dirfd(directory), entry->d_name, uid);
        if (fd < 0)
            continue;
        remove_content(fd);
        if (unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR) == 0)
            log_info("Removed %s/%s, left by a broker that died.", location, entry->d_name);
        close(fd);
    }
    closedir(directory);
}

/* Locks a folder that we just made. -EAGAIN when another broker's start took it
 * for a stale one in between. */
static int lock_new(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &status) == 0 && status.st_nlink > 0)
        return fd;
    close(fd);
    return -EAGAIN;
}

static int make_folder(struct live_folder *folder, const char *location)
{
    for (int tries = 0; tries < 8; tries++) {
        if (asprintf(&folder->path, "%s/" NAME_START "%ld.XXXXXX", location, (long)getpid()) < 0) {
            folder->path = NULL;
            return -ENOMEM;
        }
        int r = mkdtemp(folder->path) == NULL ? -errno : lock_new(folder->path);
        if (r >= 0) {
            folder->fd = r;
            return 0;
        }
        free(folder->path);
        folder->path = NULL;
        if (r != -EAGAIN)
            return r;
    }
    return -EAGAIN;
}

/* What the map may take: the rest of the file system can't hold more. */
static uint64_t limit_size(const char *location, uint64_t asked)
{
    struct statfs system;
    if (statfs(location, &system) < 0)
        return asked;
    if (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC)
        log_warning("live_location %s is not a memory file system: subscriptions and retained "
                    "messages will wear the disk; use /dev/shm or /run.",
                    location);
    uint64_t room = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
    if (room >= asked)
        return asked;
    room -= room % 65536; /* whole pages, also of 64 KiB */
    log_warning("Only %" PRIu64 " MiB are free on %s, less than the %" PRIu64 " MiB of "
                "live_size_max: the live store is limited to that.",
                room >> 20, location, asked >> 20);
    return room;
}

int live_folder_open(struct live_folder *ret_folder, const char *location, uint64_t size_asked,
                     uid_t uid, gid_t gid)
{
    *ret_folder = (struct live_folder){.fd = -1};
    remove_stale(location, uid);
    int r = make_folder(ret_folder, location);
    if (r == 0 && geteuid() == 0 && fchown(ret_folder->fd, uid, gid) < 0)
        r = -errno;
    if (r < 0) {
        log_error("Cannot make a folder for the live store under %s (live_location): %s.", location,
                  strerror(-r));
        live_folder_close(ret_folder);
        return r;
    }
    ret_folder->size_max = limit_size(location, size_asked);
    return 0;
}

void live_folder_close(struct live_folder *folder)
{
    if (folder->path == NULL)
        return;
    remove_content(folder->fd);
    rmdir(folder->path);
    close(folder->fd);
    free(folder->path);
    *folder = (struct live_folder){.fd = -1};
}
