#include "master/durable_folder.h"

#include "common/base/check.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its name in the folder above is on disk when this returns 0. */
static int sync_location(const char *location)
{
    int fd = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
    close(fd);
    return r;
}

static int make(const char *path, const char *location, uid_t uid, gid_t gid)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = geteuid() == 0 && fchown(fd, uid, gid) < 0 ? -errno : 0;
    close(fd);
    return r < 0 ? r : sync_location(location);
}

char *durable_folder_path(const char *location)
{
    const char *slash = location[strlen(location) - 1] == '/' ? "" : "/";
    char *path;
    if (asprintf(&path, "%s%scourtier.db", location, slash) < 0)
        fatal("no memory at start");
    return path;
}

int durable_folder_open(char **ret_path, const char *location, uid_t uid, gid_t gid)
{
    *ret_path = durable_folder_path(location);
    int r = make(*ret_path, location, uid, gid);
    if (r < 0) {
        log_error("Cannot make the folder courtier.db under %s (persistence_location): %s; make "
                  "the folder above it, or name one that can be written.",
                  location, strerror(-r));
        free(*ret_path);
        *ret_path = NULL;
    }
    return r;
}
