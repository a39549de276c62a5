#include "common/base/kill_point.h"

#include "common/base/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct armed {
    int32_t left;
    char name[KILL_POINT_FILE_SIZE - sizeof(int32_t)];
};

_Static_assert(sizeof(struct armed) == KILL_POINT_FILE_SIZE, "as the tests write it");

static struct armed *armed; /* NULL: the test does without */
static bool is_mapped;

static struct armed *map_file(const char *path)
{
    if (path == NULL)
        return NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fatal("KILL_POINT_FILE can't be opened");
    void *memory = mmap(NULL, KILL_POINT_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        fatal("KILL_POINT_FILE can't be mapped");
    close(fd);
    return memory;
}

void kill_point(const char *name)
{
    if (!is_mapped)
        armed = map_file(getenv("KILL_POINT_FILE"));
    is_mapped = true;
    if (armed == NULL || __atomic_load_n(&armed->left, __ATOMIC_ACQUIRE) <= 0 ||
        strcmp(armed->name, name) != 0)
        return;
    if (__atomic_sub_fetch(&armed->left, 1, __ATOMIC_ACQ_REL) == 0)
        kill(getpid(), SIGKILL);
}
