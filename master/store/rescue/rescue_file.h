#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_FILE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_FILE_H

/*
 * An LMDB file, read page by page without LMDB, and what is known of the use of each
 * page: none has two. Nothing is mapped: a page that the disk can't give is an answer
 * here and no signal.
 */

#include "master/store/rescue/rescue_page.h"

#include <stdbool.h>
#include <stdint.h>

enum rescue_use { RESCUE_UNUSED, RESCUE_USED, RESCUE_FREE };

struct rescue_file {
    int fd;
    uint64_t size;
    bool has_meta[2];
    struct rescue_meta metas[2];
    size_t page_size;    /* of the metas; 0: there is none */
    uint64_t page_count; /* in the file */
    uint64_t end;        /* pages that have an enum rescue_use */
    uint8_t *uses;
    uint8_t *run; /* memory for a run */
    size_t run_room;
};

/* `fd` is borrowed. 0 or -errno; an unreadable file is one without metas. */
int rescue_file_open(struct rescue_file *ret_file, int fd);
void rescue_file_close(struct rescue_file *file);

/* Forgets all uses; from now on pages before `end` count. 0 or -ENOMEM. */
int rescue_file_start(struct rescue_file *file, uint64_t end);
/* Notes the use of `count` pages from `page` on. False if one of them has one already,
 * or is none of the file's; then nothing is noted. */
bool rescue_file_take(struct rescue_file *file, uint64_t page, uint64_t count, enum rescue_use use);

/* Reads one page into `memory`. False if the disk does not have it. */
bool rescue_file_read(const struct rescue_file *file, uint64_t page, uint8_t *memory);
/* Reads the value in a run of pages, and notes their use; borrowed until the next run.
 * False if it is not whole. *ret_error: 0 or -ENOMEM. */
bool rescue_file_read_run(struct rescue_file *file, uint64_t page, size_t size,
                          struct bytes *ret_value, int *ret_error);

#endif
