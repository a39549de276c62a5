#include "shm/region.h"

#include "common/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A memfd and not an anonymous mapping, for two reasons: fallocate() takes the
 * memory now and reports a shortage as an error code, and seals keep the size.
 */

enum {
    REGION_VERSION = 1,
    WORKERS_MAX = 60,
    RING_SIZE_MIN = 64 * 1024,
    RING_SIZE_MAX = 64 * 1024 * 1024
};

/* Where the parts lie, as bytes from the start. */
struct plan {
    uint64_t slots;
    uint64_t generations;
    uint64_t rings;
    uint64_t ring_stride;
    uint64_t size;
    unsigned slot_count;
};

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Rings between workers and store, and those to and from the committer. */
static uint64_t count_rings(unsigned worker_count, bool has_committer)
{
    uint64_t peers = worker_count + 1U;

    return peers * (peers - 1) + (has_committer ? 2U * worker_count : 0);
}

static struct plan plan_of(unsigned worker_count, uint32_t ring_size, bool has_committer)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct plan plan;

    plan.slot_count = worker_count + (has_committer ? 3 : 2);
    plan.slots = sizeof(struct layout_header);
    plan.generations = plan.slots + plan.slot_count * sizeof(struct layout_slot);
    plan.rings = round_up(plan.generations + sizeof(struct layout_generations), page);
    plan.ring_stride = round_up(sizeof(struct layout_ring) + ring_size, page);
    plan.size = plan.rings + count_rings(worker_count, has_committer) * plan.ring_stride;
    return plan;
}

/* FNV-1a over all that two builds could disagree about. */
static uint64_t layout_hash(void)
{
    const uint64_t facts[] = {
        REGION_VERSION,
        STATS_COUNT,
        LAYOUT_LINE,
        LAYOUT_GENERATIONS,
        LAYOUT_LISTENERS,
        LAYOUT_TIMES,
        sizeof(struct layout_header),
        sizeof(struct layout_generations),
        sizeof(struct layout_slot),
        sizeof(struct layout_ring),
        offsetof(struct layout_header, key),
        offsetof(struct layout_generations, level),
        offsetof(struct layout_slot, heartbeat),
        offsetof(struct layout_slot, words),
        offsetof(struct layout_slot, stats),
        offsetof(struct layout_slot, listener_connections),
        offsetof(struct layout_ring, tail),
        offsetof(struct layout_ring, suspect),
    };
    uint64_t hash = 0xCBF29CE484222325U;

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        hash = (hash ^ facts[i]) * 0x100000001B3U;
    return hash;
}

/* A sealed memfd of `size` bytes that are all there. Descriptor or -errno. */
static int make_memory(size_t size)
{
    int fd = memfd_create("courtier", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0)
        goto fail;
    if (fallocate(fd, 0, 0, (off_t)size) < 0)
        goto fail;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        goto fail;
    return fd;
fail:
    error = -errno;
    close(fd);
    return error;
}

/* Maps `size` bytes of shared memory; the mapping alone keeps them. */
static int map_memory(size_t size, unsigned char **ret_memory)
{
    int fd = make_memory(size);
    int error = 0;
    void *memory;

    if (fd < 0)
        return fd;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        error = -errno;
    else
        *ret_memory = memory;
    close(fd);
    return error;
}

/* The kernel takes the pages of a memfd one by one and promises nothing before:
 * a size that is too large would not fail, but call the OOM killer. */
static bool is_too_much(uint64_t size)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    return size > memory / 2 || size > PTRDIFF_MAX;
}

static void fill_header(struct layout_header *header, unsigned worker_count, uint32_t ring_size)
{
    header->magic = LAYOUT_MAGIC;
    header->version = REGION_VERSION;
    header->hash = layout_hash();
    header->worker_count = worker_count;
    header->ring_size = ring_size;
    hash_make_key(&header->key);
}

int region_open(struct region *ret_region, unsigned worker_count, uint32_t ring_size,
                bool has_committer)
{
    unsigned char *memory = NULL;
    struct plan plan;
    int error;

    check(worker_count >= 1 && worker_count <= WORKERS_MAX);
    check(ring_size >= RING_SIZE_MIN && ring_size <= RING_SIZE_MAX);
    check((ring_size & (ring_size - 1)) == 0);
    plan = plan_of(worker_count, ring_size, has_committer);
    if (is_too_much(plan.size))
        return -ENOMEM;
    error = map_memory((size_t)plan.size, &memory);
    if (error < 0)
        return error;
    *ret_region = (struct region){
        .header = (struct layout_header *)(void *)memory,
        .slots = (struct layout_slot *)(void *)(memory + plan.slots),
        .generations = (struct layout_generations *)(void *)(memory + plan.generations),
        .rings = memory + plan.rings,
        .ring_stride = (size_t)plan.ring_stride,
        .size = (size_t)plan.size,
        .worker_count = worker_count,
        .slot_count = plan.slot_count,
    };
    fill_header(ret_region->header, worker_count, ring_size);
    return 0;
}

void region_close(struct region *region)
{
    if (region->header != NULL)
        munmap(region->header, region->size);
    *region = (struct region){0};
}

unsigned region_store_slot(const struct region *region)
{
    return region->worker_count;
}

unsigned region_committer_slot(const struct region *region)
{
    check(region_has_committer(region));
    return region->worker_count + 1;
}

unsigned region_master_slot(const struct region *region)
{
    return region->slot_count - 1;
}

bool region_has_committer(const struct region *region)
{
    return region->slot_count == region->worker_count + 3;
}

unsigned region_peer_count(const struct region *region)
{
    return region->slot_count - 1;
}

bool region_has_ring(const struct region *region, unsigned from, unsigned to)
{
    unsigned peers = region_peer_count(region);

    if (from >= peers || to >= peers || from == to)
        return false;
    return from < region->worker_count || to < region->worker_count;
}

/* A row per producer among workers and store, without a place for itself; behind
 * them a pair per worker: to the committer, and from it. */
static size_t ring_index(const struct region *region, unsigned from, unsigned to)
{
    size_t others = region->worker_count;
    size_t committer_rings = (others + 1) * others;

    if (to == others + 1)
        return committer_rings + 2 * (size_t)from;
    if (from == others + 1)
        return committer_rings + 2 * (size_t)to + 1;
    return from * others + (to < from ? to : to - 1);
}

struct layout_ring *region_ring(const struct region *region, unsigned from, unsigned to)
{
    check(region->header->magic == LAYOUT_MAGIC);
    check(region->header->hash == layout_hash());
    check(region_has_ring(region, from, to));
    return (struct layout_ring *)(void *)(region->rings +
                                          ring_index(region, from, to) * region->ring_stride);
}

const struct hash_key *region_key(const struct region *region)
{
    return &region->header->key;
}
