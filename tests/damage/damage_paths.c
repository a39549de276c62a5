#include "tests/damage/damage_paths.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "master/store/rescue/rescue_file.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_PAGES = 8 };

struct path {
    struct durable_key key;
    uint64_t pages[PATH_MAX_PAGES]; /* from the root down, then the first of its run */
    unsigned page_count;
    uint64_t run_length;
};

struct damage_paths {
    struct rescue_file file;
    struct map by_key;
};

static const struct hash_key map_key = {"paths"};

static struct bytes key_of_path(const void *item)
{
    const struct path *path = item;
    return durable_key_bytes(&path->key);
}

static void add_row(struct damage_paths *paths, const struct path *above,
                    const struct rescue_node *node)
{
    struct path *path = malloc(sizeof *path);
    check(path != NULL && node->key.size <= DURABLE_KEY_MAX);
    *path = *above;
    path->key.size = (uint8_t)node->key.size;
    memcpy(path->key.bytes, node->key.data, node->key.size);
    if (node->is_run) {
        path->pages[path->page_count] = node->page;
        path->run_length = rescue_page_run_length(paths->file.page_size, node->data_size);
    }
    check(map_put(&paths->by_key, path) == 0);
}

static void read_page(struct damage_paths *paths, uint64_t number, struct path above)
{
    uint8_t memory[RESCUE_PAGE_SIZE_MAX];
    const struct bytes page = {memory, paths->file.page_size};
    check(rescue_file_read(&paths->file, number, memory));
    enum rescue_page_kind kind = rescue_page_kind(page, number);
    check(kind != RESCUE_PAGE_BAD && above.page_count + 1 < PATH_MAX_PAGES);
    above.pages[above.page_count++] = number;
    for (unsigned i = 0; i < rescue_page_count(page); i++) {
        struct rescue_node node;
        check(rescue_page_node(page, i, &node));
        if (kind == RESCUE_PAGE_LEAF)
            add_row(paths, &above, &node);
        else
            read_page(paths, node.page, above);
    }
}

struct damage_paths *damage_paths_read(int fd)
{
    struct damage_paths *paths = calloc(1, sizeof *paths);
    check(paths != NULL && rescue_file_open(&paths->file, fd) == 0);
    check(paths->file.has_meta[0] && paths->file.has_meta[1]);
    unsigned newest = paths->file.metas[1].commit > paths->file.metas[0].commit;
    map_init(&paths->by_key, key_of_path, &map_key);
    read_page(paths, paths->file.metas[newest].rows.root, (struct path){.page_count = 0});
    return paths;
}

void damage_paths_free(struct damage_paths *paths)
{
    size_t cursor = 0;
    void *path;
    while ((path = map_next(&paths->by_key, &cursor)) != NULL)
        free(path);
    map_done(&paths->by_key);
    rescue_file_close(&paths->file);
    free(paths);
}

uint64_t damage_paths_pages(const struct damage_paths *paths)
{
    return paths->file.page_count;
}

size_t damage_paths_page_size(const struct damage_paths *paths)
{
    return paths->file.page_size;
}

bool damage_paths_needs(const struct damage_paths *paths, struct durable_key key, const bool *pages)
{
    const struct path *path = map_get(&paths->by_key, durable_key_bytes(&key));
    check(path != NULL);
    for (unsigned i = 0; i < path->page_count; i++)
        if (pages[path->pages[i]])
            return true;
    for (uint64_t i = 0; i < path->run_length; i++)
        if (pages[path->pages[path->page_count] + i])
            return true;
    return false;
}
