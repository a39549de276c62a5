#include "master/store/rescue/rescue_file.h"

#include "common/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True when all of it was read. */
static bool read_at(int fd, uint8_t *memory, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t got = pread(fd, memory, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        memory += got;
        size -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

/* The second one lies behind the first, however large that is. */
static void read_metas(struct rescue_file *file)
{
    uint8_t memory[RESCUE_PAGE_SIZE_MIN];
    const struct bytes page = {memory, sizeof memory};
    struct rescue_meta *metas = file->metas;
    file->has_meta[0] = read_at(file->fd, memory, sizeof memory, 0) &&
                        rescue_page_meta(page, 0, &metas[0]);
    size_t size = file->has_meta[0] ? metas[0].page_size : RESCUE_PAGE_SIZE_MIN;
    size_t size_max = file->has_meta[0] ? size : RESCUE_PAGE_SIZE_MAX;
    for (; size <= size_max && !file->has_meta[1]; size *= 2)
        file->has_meta[1] = read_at(file->fd, memory, sizeof memory, size) &&
                            rescue_page_meta(page, 1, &metas[1]) && metas[1].page_size == size;
    if (file->has_meta[0] || file->has_meta[1])
        file->page_size = metas[file->has_meta[0] ? 0 : 1].page_size;
}

int rescue_file_open(struct rescue_file *ret_file, int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    *ret_file = (struct rescue_file){.fd = fd, .size = (uint64_t)stat.st_size};
    read_metas(ret_file);
    if (ret_file->page_size > 0)
        ret_file->page_count = ret_file->size / ret_file->page_size;
    /* All of it will be wanted, in an order that the kernel can't foresee. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    return 0;
}

void rescue_file_close(struct rescue_file *file)
{
    free(file->uses);
    free(file->run);
    file->uses = NULL;
    file->run = NULL;
}

/* -- uses -- */

int rescue_file_start(struct rescue_file *file, uint64_t end)
{
    free(file->uses);
    file->uses = end > SIZE_MAX ? NULL : calloc(1, (size_t)end + 1);
    file->end = end;
    return file->uses == NULL ? -ENOMEM : 0;
}

bool rescue_file_take(struct rescue_file *file, uint64_t page, uint64_t count, enum rescue_use use)
{
    if (page < 2 || page >= file->end || count > file->end - page)
        return false;
    for (uint64_t i = page; i < page + count; i++)
        if (file->uses[i] != RESCUE_UNUSED)
            return false;
    memset(file->uses + page, (int)use, (size_t)count);
    return true;
}

/* -- pages -- */

bool rescue_file_read(const struct rescue_file *file, uint64_t page, uint8_t *memory)
{
    return page < file->page_count &&
           read_at(file->fd, memory, file->page_size, page * file->page_size);
}

static bool make_room(struct rescue_file *file, size_t size)
{
    if (size <= file->run_room)
        return true;
    free(file->run);
    file->run = malloc(size);
    file->run_room = file->run == NULL ? 0 : size;
    return file->run != NULL;
}

bool rescue_file_read_run(struct rescue_file *file, uint64_t page, size_t size,
                          struct bytes *ret_value, int *ret_error)
{
    uint8_t header[RESCUE_PAGE_HEADER];
    const struct bytes begin = {header, sizeof header};
    uint64_t length = rescue_page_run_length(file->page_size, size);
    uint64_t at = page * file->page_size;
    *ret_error = 0;
    if (page >= file->page_count || length > file->page_count - page)
        return false;
    if (!read_at(file->fd, header, sizeof header, at) || rescue_page_run(begin, page) != length ||
        !rescue_file_take(file, page, length, RESCUE_USED))
        return false;
    if (!make_room(file, size)) {
        *ret_error = -ENOMEM;
        return false;
    }
    *ret_value = (struct bytes){file->run, size};
    return read_at(file->fd, file->run, size, at + sizeof header);
}
