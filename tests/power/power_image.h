#ifndef COURTIER_TESTS_POWER_POWER_IMAGE_H
#define COURTIER_TESTS_POWER_POWER_IMAGE_H

/* What is in the folder after a power cut: files with their content. */

#include "tests/power/power_log.h"

struct power_content {
    uint8_t *data; /* owned */
    size_t size;
    size_t filled; /* what is beyond is 0 */
    size_t room;
};

/* Two names may lead to one content. */
struct power_image {
    struct power_content files[POWER_FILES_MAX];
    struct {
        char name[POWER_NAME_MAX]; /* empty: free */
        unsigned file;
    } names[POWER_FILES_MAX];
};

void power_content_resize(struct power_content *content, size_t size);
void power_content_copy(struct power_content *content, const struct power_content *from);
void power_content_write(struct power_content *content, uint64_t offset, const uint8_t *data,
                         size_t size);

void power_image_copy(struct power_image *image, const struct power_image *from);
/* Index in names, or of a free one. */
unsigned power_image_place(const struct power_image *image, const char *name);
/* Same names, and same content of each? */
bool power_image_is_same(const struct power_image *a, const struct power_image *b);
/* Reads what a folder holds into an empty image. */
void power_image_read(const char *folder, struct power_image *ret_image);
/* Makes the folder hold this. `shown` is what it holds (all 0 at first), or not: then
 * `is_touched`. */
void power_image_show(const struct power_image *image, const char *folder,
                      struct power_image *shown, bool is_touched);
void power_image_done(struct power_image *image);

#endif
