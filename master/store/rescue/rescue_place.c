#include "master/store/rescue/rescue_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAD_NAME RESCUE_PLACE_DATA ".bad-%u"
#define NEW_NAME RESCUE_PLACE_SALVAGE "/" RESCUE_PLACE_DATA

enum { NAME_SIZE = 64, NUMBER_MAX = 1000000 };

int rescue_place_lock(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    close(fd);
    return r;
}

/* The number of a damaged file's name; 0: it is no such name. */
static unsigned number_of(const char *name)
{
    unsigned number;
    char same[NAME_SIZE];
    if (sscanf(name, BAD_NAME, &number) != 1 || number > NUMBER_MAX)
        return 0;
    snprintf(same, sizeof same, BAD_NAME, number);
    for (unsigned i = 0; same[i] == name[i]; i++)
        if (name[i] == '\0')
            return number;
    return 0;
}

/* The first and the last number in use, 0: none. */
static void find_bad(int folder_fd, unsigned *ret_first, unsigned *ret_last, unsigned *ret_count)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    *ret_first = 0;
    *ret_last = 0;
    *ret_count = 0;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        unsigned number = number_of(entry->d_name);
        if (number == 0)
            continue;
        (*ret_count)++;
        if (*ret_first == 0 || number < *ret_first)
            *ret_first = number;
        if (number > *ret_last)
            *ret_last = number;
    }
    if (folder != NULL)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
}

void rescue_place_prune(int folder_fd, unsigned count)
{
    unsigned first;
    unsigned last;
    unsigned found;
    find_bad(folder_fd, &first, &last, &found);
    while (found > count) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, BAD_NAME, first);
        if (unlinkat(folder_fd, name, 0) < 0)
            break;
        find_bad(folder_fd, &first, &last, &found);
    }
}

void rescue_place_clean(int folder_fd)
{
    (void)unlinkat(folder_fd, NEW_NAME, 0);
    (void)unlinkat(folder_fd, RESCUE_PLACE_SALVAGE, AT_REMOVEDIR);
}

int rescue_place_prepare(int folder_fd)
{
    rescue_place_clean(folder_fd);
    return mkdirat(folder_fd, RESCUE_PLACE_SALVAGE, 0700) < 0 ? -errno : 0;
}

/* Under a second name, so that there is a database at any time. False where there is
 * none, and where the file system has no second names. */
static bool keep_old(int folder_fd, const char *name)
{
    return linkat(folder_fd, RESCUE_PLACE_DATA, folder_fd, name, 0) == 0;
}

int rescue_place_change(int folder_fd, unsigned *ret_bad)
{
    char name[NAME_SIZE];
    unsigned first;
    unsigned last;
    unsigned found;
    find_bad(folder_fd, &first, &last, &found);
    snprintf(name, sizeof name, BAD_NAME, last + 1);
    *ret_bad = keep_old(folder_fd, name) ? last + 1 : 0;
    if (renameat(folder_fd, NEW_NAME, folder_fd, RESCUE_PLACE_DATA) < 0 || fsync(folder_fd) < 0)
        return -errno;
    rescue_place_clean(folder_fd);
    return 0;
}
