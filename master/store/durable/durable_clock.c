#include "master/store/durable/durable_clock.h"

#include "common/base/clock.h"
#include "common/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { NOTE_SIZE = 4 * 8 };

/* 2026-01-01: no wall clock that runs is before it. */
#define WALL_MIN_US UINT64_C(1767225600000000)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)
#define AWAY_MAX_MS (3650 * DAY_MS)

static uint64_t read_boot_id(void)
{
    static const struct hash_key key = {"courtier boot id"};
    uint8_t text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof text);
    close(fd);
    return size <= 0 ? 0 : hash_short(&key, (struct bytes){text, (size_t)size});
}

struct note {
    uint64_t at_ms;
    uint64_t wall_us;
    uint64_t boot_ms;
    uint64_t boot_id;
};

/* How long ago the note was written. */
static uint64_t away_ms(const struct note *note, uint64_t boot_id)
{
    uint64_t boot_ms = clock_now_ms();
    uint64_t wall_us = clock_wall_us();
    if (boot_id != 0 && boot_id == note->boot_id && boot_ms >= note->boot_ms)
        return boot_ms - note->boot_ms;
    if (wall_us < WALL_MIN_US || note->wall_us < WALL_MIN_US || wall_us < note->wall_us)
        return 0;
    uint64_t away = (wall_us - note->wall_us) / 1000;
    return away > AWAY_MAX_MS ? 0 : away;
}

int durable_clock_load(struct durable_clock *ret_clock, struct durable_env *env)
{
    struct durable_key key = durable_key_of(DURABLE_CLOCK);
    struct bytes content;
    struct note note;
    *ret_clock = (struct durable_clock){.boot_id = read_boot_id()};
    int r = durable_env_get(env, &key, &content);
    if (r == -ENOENT || r == -EBADMSG)
        return 0; /* the disk's time is the boot clock, for a start */
    if (r < 0)
        return r;
    struct reader reader = reader_of(content);
    note.at_ms = reader_u64(&reader);
    note.wall_us = reader_u64(&reader);
    note.boot_ms = reader_u64(&reader);
    note.boot_id = reader_u64(&reader);
    if (!reader.bad)
        ret_clock->ahead_ms = note.at_ms + away_ms(&note, ret_clock->boot_id) - clock_now_ms();
    return 0;
}

int durable_clock_note(const struct durable_clock *clock, struct durable_env *env)
{
    struct durable_key key = durable_key_of(DURABLE_CLOCK);
    uint8_t memory[NOTE_SIZE];
    struct writer w = writer_of(memory, sizeof memory);
    uint64_t boot_ms = clock_now_ms();
    writer_u64(&w, boot_ms + clock->ahead_ms);
    writer_u64(&w, clock_wall_us());
    writer_u64(&w, boot_ms);
    writer_u64(&w, clock->boot_id);
    return durable_env_put(env, &key, (struct bytes){memory, sizeof memory});
}

uint64_t durable_clock_to_disk(const struct durable_clock *clock, uint64_t at_ms)
{
    return at_ms == 0 ? 0 : at_ms + clock->ahead_ms;
}

uint64_t durable_clock_from_disk(const struct durable_clock *clock, uint64_t at_ms)
{
    uint64_t boot_ms = at_ms - clock->ahead_ms;
    if (at_ms == 0)
        return 0;
    /* Not later than the end of time, so it wrapped: it lies before the boot. */
    return boot_ms == 0 || boot_ms > INT64_MAX ? 1 : boot_ms;
}
