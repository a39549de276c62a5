#ifndef COURTIER_MASTER_LIVE_FOLDER_H
#define COURTIER_MASTER_LIVE_FOLDER_H

/*
 * The private folder of the live store, courtier-PID.XXXXXX on a memory file
 * system. Whose master lives is told by a lock on the folder, which the kernel
 * takes away with the process: process ids are reused, and differ between
 * containers that share /dev/shm.
 */

#include <stdint.h>
#include <sys/types.h>

struct live_folder {
    char *path;        /* NULL: none */
    int fd;            /* holds the lock */
    uint64_t size_max; /* for the live store's map: what was asked for, or what there is */
};

/* Removes the folders under `location` that dead brokers left, and makes a new
 * one, mode 0700, for user `uid` and group `gid`. Warns when the file system is
 * smaller than `size_asked` or not in memory. 0 or -errno, logged. */
int live_folder_open(struct live_folder *ret_folder, const char *location, uint64_t size_asked,
                     uid_t uid, gid_t gid);
/* Removes folder and content. Idempotent. */
void live_folder_close(struct live_folder *folder);

#endif
