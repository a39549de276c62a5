#ifndef COURTIER_TESTS_DAMAGE_DAMAGE_PATHS_H
#define COURTIER_TESTS_DAMAGE_DAMAGE_PATHS_H

/* On which pages of a sound file each row depends: what may be lost with a page. */

#include "master/store/durable/durable_key.h"

#include <stdbool.h>
#include <stdint.h>

struct damage_paths;

struct damage_paths *damage_paths_read(int fd);
void damage_paths_free(struct damage_paths *paths);
/* Pages of the file. */
uint64_t damage_paths_pages(const struct damage_paths *paths);
size_t damage_paths_page_size(const struct damage_paths *paths);
/* Does the row need one of the pages that are set? */
bool damage_paths_needs(const struct damage_paths *paths, struct durable_key key,
                        const bool *pages);

#endif
