#include "tests/power/power_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, PATH_ROOM = 512 };

void power_content_resize(struct power_content *content, size_t size)
{
    if (size > content->room) {
        size_t room = size * 2;
        content->data = power_memory(content->data, room);
        memset(content->data + content->room, 0, room - content->room);
        content->room = room;
    }
    if (size < content->filled) {
        memset(content->data + size, 0, content->filled - size);
        content->filled = size;
    }
    content->size = size;
}

void power_content_copy(struct power_content *content, const struct power_content *from)
{
    power_content_resize(content, from->filled);
    power_content_resize(content, from->size);
    content->filled = from->filled;
    if (from->filled > 0)
        memcpy(content->data, from->data, from->filled);
}

void power_content_write(struct power_content *content, uint64_t offset, const uint8_t *data,
                         size_t size)
{
    size_t end = (size_t)offset + size;
    if (end > content->size)
        power_content_resize(content, end);
    if (end > content->filled)
        content->filled = end;
    memcpy(content->data + offset, data, size);
}

static void must(bool is_done, const char *what)
{
    if (is_done)
        return;
    perror(what);
    abort();
}

static void empty_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    must(directory != NULL, folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            must(unlinkat(dirfd(directory), entry->d_name, 0) == 0, entry->d_name);
    closedir(directory);
}

/* Writes the blocks that differ. */
static void show_file(const char *path, const struct power_content *content,
                      struct power_content *shown)
{
    size_t filled = content->filled > shown->filled ? content->filled : shown->filled;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    if (content->size != shown->size) {
        must(ftruncate(fd, (off_t)content->size) == 0, path);
        power_content_resize(shown, content->size);
    }
    if (filled > content->size)
        filled = content->size;
    for (size_t at = 0; at < filled; at += BLOCK) {
        size_t size = content->size - at < BLOCK ? content->size - at : BLOCK;
        if (memcmp(content->data + at, shown->data + at, size) == 0)
            continue;
        must(pwrite(fd, content->data + at, size, (off_t)at) == (ssize_t)size, path);
        power_content_write(shown, at, content->data + at, size);
    }
    close(fd);
}

static bool has_same_names(const struct power_image *a, const struct power_image *b)
{
    for (unsigned i = 0; i < POWER_FILES_MAX; i++)
        if (strcmp(a->names[i].name, b->names[i].name) != 0)
            return false;
    return true;
}

/* Keeps the memory. */
static void forget(struct power_image *image)
{
    memset(image->names, 0, sizeof image->names);
    for (unsigned i = 0; i < POWER_FILES_MAX; i++)
        power_content_resize(&image->files[i], 0);
}

void power_image_show(const struct power_image *image, const char *folder,
                      struct power_image *shown, bool is_touched)
{
    if (is_touched || !has_same_names(image, shown)) {
        empty_folder(folder);
        forget(shown);
    }
    for (unsigned i = 0; i < POWER_FILES_MAX; i++) {
        char path[PATH_ROOM];
        if (image->names[i].name[0] == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, image->names[i].name);
        strcpy(shown->names[i].name, image->names[i].name);
        shown->names[i].file = i;
        show_file(path, &image->files[image->names[i].file], &shown->files[i]);
    }
}

static void read_file(int folder_fd, const char *name, struct power_content *content)
{
    uint8_t memory[BLOCK];
    ssize_t size;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, name);
    while ((size = read(fd, memory, sizeof memory)) > 0)
        power_content_write(content, content->size, memory, (size_t)size);
    close(fd);
}

void power_image_read(const char *folder, struct power_image *ret_image)
{
    unsigned count = 0;
    DIR *directory = opendir(folder);
    must(directory != NULL, folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        must(count < POWER_FILES_MAX && strlen(entry->d_name) < POWER_NAME_MAX, entry->d_name);
        strcpy(ret_image->names[count].name, entry->d_name);
        ret_image->names[count].file = count;
        read_file(dirfd(directory), entry->d_name, &ret_image->files[count++]);
    }
    closedir(directory);
}

void power_image_copy(struct power_image *image, const struct power_image *from)
{
    memcpy(image->names, from->names, sizeof image->names);
    for (unsigned i = 0; i < POWER_FILES_MAX; i++)
        power_content_copy(&image->files[i], &from->files[i]);
}

unsigned power_image_place(const struct power_image *image, const char *name)
{
    unsigned free_place = POWER_FILES_MAX;
    for (unsigned i = 0; i < POWER_FILES_MAX; i++) {
        if (strcmp(image->names[i].name, name) == 0)
            return i;
        if (image->names[i].name[0] == 0)
            free_place = i;
    }
    must(free_place < POWER_FILES_MAX, "so many files");
    return free_place;
}

static bool has_all(const struct power_image *a, const struct power_image *of)
{
    for (unsigned i = 0; i < POWER_FILES_MAX; i++) {
        const char *name = of->names[i].name;
        const struct power_content *content = &of->files[of->names[i].file];
        if (name[0] == 0)
            continue;
        unsigned place = power_image_place(a, name);
        const struct power_content *other = &a->files[a->names[place].file];
        if (a->names[place].name[0] == 0 || other->size != content->size ||
            (other->size > 0 && memcmp(other->data, content->data, other->size) != 0))
            return false;
    }
    return true;
}

bool power_image_is_same(const struct power_image *a, const struct power_image *b)
{
    return has_all(a, b) && has_all(b, a);
}

void power_image_done(struct power_image *image)
{
    for (unsigned i = 0; i < POWER_FILES_MAX; i++)
        free(image->files[i].data);
    *image = (struct power_image){0};
}
