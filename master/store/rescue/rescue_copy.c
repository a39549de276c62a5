#include "master/store/rescue/rescue_copy.h"

#include "common/base/clock.h"
#include "master/store/durable/durable_sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MARK = 0xC5,
    ROW_HEADER = 6,
    END_KIND = 0,  /* of the last row; no row of the database has it */
    END_SIZE = 16, /* its content: when, and how long the file is */
    LAST_ROW = ROW_HEADER + 1 + END_SIZE + DURABLE_SUM_SIZE,
    BUFFER_SIZE = 256 << 10,
    GARBAGE_MAX = 4 << 20 /* bytes looked through for the next sound row */
};

#define NEW_NAME RESCUE_COPY_NAME ".new"

/* -- write -- */

static int write_all(struct rescue_copy *copy, const uint8_t *memory, size_t size)
{
    while (size > 0) {
        ssize_t put = write(copy->fd, memory, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        memory += put;
        size -= (size_t)put;
        copy->size += (uint64_t)put;
    }
    return 0;
}

/* Rows on their way to the file. */
struct slice {
    uint8_t *memory;
    size_t room;
    size_t size;
};

static int add_row(struct slice *slice, struct bytes key, struct bytes content)
{
    size_t value_size = content.size + DURABLE_SUM_SIZE;
    size_t size = ROW_HEADER + key.size + value_size;
    if (size > slice->room - slice->size) {
        size_t room = slice->size + size;
        uint8_t *memory = realloc(slice->memory, room);
        if (memory == NULL)
            return -ENOMEM;
        slice->memory = memory;
        slice->room = room;
    }
    struct writer w = writer_of(slice->memory + slice->size, size);
    writer_u8(&w, MARK);
    writer_u8(&w, (uint8_t)key.size);
    writer_u32(&w, (uint32_t)value_size);
    writer_bytes(&w, key);
    uint8_t *value = w.next;
    writer_bytes(&w, content);
    durable_sum_seal(key, value, content.size);
    slice->size += size;
    return 0;
}

static int add_end(struct slice *slice, uint64_t at_ms, uint64_t size)
{
    const uint8_t key = END_KIND;
    uint8_t memory[END_SIZE];
    struct writer w = writer_of(memory, sizeof memory);
    writer_u64(&w, at_ms);
    writer_u64(&w, size + slice->size + LAST_ROW);
    return add_row(slice, (struct bytes){&key, 1}, (struct bytes){memory, sizeof memory});
}

/* Damaged rows are left out. 0 or -errno (-ENOENT: there are no more). */
static int add_rows(struct rescue_copy *copy, struct durable_env *env, struct slice *slice,
                    size_t size)
{
    int r = durable_env_begin_read(env);
    if (r < 0)
        return r;
    while (r == 0 && slice->size < size) {
        struct bytes content;
        r = durable_env_next(env, &copy->at, 0, &content);
        if (r == 0)
            r = add_row(slice, durable_key_bytes(&copy->at), content);
        else if (r == -EBADMSG)
            r = 0;
    }
    durable_env_abort(env);
    return r;
}

static int take_place(struct rescue_copy *copy)
{
    if (fsync(copy->fd) < 0 ||
        renameat(copy->folder_fd, NEW_NAME, copy->folder_fd, RESCUE_COPY_NAME) < 0 ||
        fsync(copy->folder_fd) < 0)
        return -errno;
    close(copy->fd);
    copy->fd = -1;
    return 1;
}

static int step(struct rescue_copy *copy, struct durable_env *env,
                const struct durable_clock *clock, struct slice *slice, size_t size)
{
    int r = add_rows(copy, env, slice, size);
    bool is_end = r == -ENOENT;
    if (is_end)
        r = add_end(slice, durable_clock_to_disk(clock, clock_now_ms()), copy->size);
    uint64_t at = copy->size;
    if (r == 0)
        r = write_all(copy, slice->memory, slice->size);
    if (r < 0)
        return r;
    /* Bit by bit, so that the sync at the end does not keep a commit waiting. */
    (void)sync_file_range(copy->fd, (off_t)at, (off_t)(copy->size - at),
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                              SYNC_FILE_RANGE_WAIT_AFTER);
    return is_end ? take_place(copy) : 0;
}

int rescue_copy_begin(struct rescue_copy *ret_copy, int folder_fd)
{
    int fd = openat(folder_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    *ret_copy = (struct rescue_copy){
        .folder_fd = folder_fd, .fd = fd, .at = durable_key_of(DURABLE_FORMAT)};
    return fd < 0 ? -errno : 0;
}

int rescue_copy_step(struct rescue_copy *copy, struct durable_env *env,
                     const struct durable_clock *clock, size_t size)
{
    struct slice slice = {.memory = malloc(size), .room = size};
    int r = slice.memory == NULL ? -ENOMEM : step(copy, env, clock, &slice, size);
    free(slice.memory);
    if (r < 0)
        rescue_copy_abort(copy);
    return r;
}

void rescue_copy_abort(struct rescue_copy *copy)
{
    if (copy->fd < 0)
        return;
    close(copy->fd);
    copy->fd = -1;
    (void)unlinkat(copy->folder_fd, NEW_NAME, 0);
}

/* -- read -- */

struct source {
    FILE *file;
    uint64_t size;
    uint64_t at; /* of the next row */
    uint8_t *memory;
    size_t room;
};

static bool read_bytes(struct source *source, size_t size)
{
    if (size > source->room) {
        uint8_t *memory = realloc(source->memory, size);
        if (memory == NULL)
            return false;
        source->memory = memory;
        source->room = size;
    }
    return fread(source->memory, 1, size, source->file) == size;
}

/* True if a sound row begins where the source stands; it is borrowed. */
static bool read_row(struct source *source, struct bytes *ret_key, struct bytes *ret_value)
{
    uint8_t header[ROW_HEADER];
    struct bytes content;
    if (fread(header, 1, sizeof header, source->file) != sizeof header)
        return false;
    struct reader r = reader_of((struct bytes){header, sizeof header});
    uint8_t mark = reader_u8(&r);
    uint8_t key_size = reader_u8(&r);
    uint32_t value_size = reader_u32(&r);
    if (mark != MARK || key_size == 0 || key_size > DURABLE_KEY_MAX ||
        value_size > source->size - source->at ||
        !read_bytes(source, key_size + (size_t)value_size))
        return false;
    *ret_key = (struct bytes){source->memory, key_size};
    *ret_value = (struct bytes){source->memory + key_size, value_size};
    return durable_sum_open(*ret_key, *ret_value, &content) == 0;
}

static int read_rows(struct source *source, rescue_copy_fn on_row, void *context)
{
    struct bytes key;
    struct bytes value;
    unsigned garbage = 0;
    int r = 0;
    while (r == 0 && source->at < source->size && garbage < GARBAGE_MAX) {
        if (read_row(source, &key, &value)) {
            source->at += ROW_HEADER + key.size + value.size;
            if (key.data[0] != END_KIND)
                r = on_row(context, key, value);
        } else {
            source->at++;
            garbage++;
            if (fseeko(source->file, (off_t)source->at, SEEK_SET) < 0)
                r = -errno;
        }
    }
    return r;
}

int rescue_copy_read(int fd, rescue_copy_fn on_row, void *context)
{
    struct stat stat;
    int own_fd = dup(fd);
    struct source source = {.file = own_fd < 0 ? NULL : fdopen(own_fd, "r")};
    if (source.file == NULL || fstat(fd, &stat) < 0) {
        int r = -errno;
        if (source.file != NULL)
            fclose(source.file);
        else if (own_fd >= 0)
            close(own_fd);
        return r;
    }
    source.size = (uint64_t)stat.st_size;
    (void)setvbuf(source.file, NULL, _IOFBF, BUFFER_SIZE);
    int r = fseeko(source.file, 0, SEEK_SET) < 0 ? -errno : read_rows(&source, on_row, context);
    fclose(source.file);
    free(source.memory);
    return r;
}

static bool read_end(int fd, struct rescue_copy_age *ret_age)
{
    uint8_t memory[LAST_ROW];
    struct stat stat;
    struct bytes content;
    if (fstat(fd, &stat) < 0 || stat.st_size < (off_t)sizeof memory ||
        pread(fd, memory, sizeof memory, stat.st_size - (off_t)sizeof memory) !=
            (ssize_t)sizeof memory)
        return false;
    const struct bytes row = {memory, sizeof memory};
    const struct bytes key = {memory + ROW_HEADER, 1};
    if (key.data[0] != END_KIND ||
        durable_sum_open(key, bytes_from(row, ROW_HEADER + 1), &content) < 0)
        return false;
    struct reader r = reader_of(content);
    ret_age->made_ms = reader_u64(&r);
    ret_age->size = reader_u64(&r);
    return !r.bad;
}

bool rescue_copy_read_age(int folder_fd, struct rescue_copy_age *ret_age)
{
    int fd = openat(folder_fd, RESCUE_COPY_NAME, O_RDONLY | O_CLOEXEC);
    bool is_told = fd >= 0 && read_end(fd, ret_age);
    if (fd >= 0)
        close(fd);
    return is_told;
}
