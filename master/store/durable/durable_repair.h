#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_REPAIR_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_REPAIR_H

/*
 * LMDB keeps the root of its tree in two meta pages, which take turns, and opens no
 * file in which either is damaged. An SD card may garble the very sector that is
 * being written when the power goes; the other page then still leads to the commit
 * before. This makes a file that has the good one twice.
 */

/* In the folder: copies data.mdb with its meta page `good` (0 or 1) in both places, and
 * puts the copy in its place; the old file becomes data.mdb.damaged. 0 or -errno
 * (-ENOENT: that page is not good, the other one not bad, or there is no file), and
 * then nothing has changed. */
int durable_repair(int folder_fd, unsigned good);

/* A file that is too small for a first commit of rows was cut off while it was made:
 * LMDB writes both meta pages without a sync, and one may be missing, or both. Renames
 * it likewise. 0 or -errno (-ENOENT: it is larger). */
int durable_repair_unborn(int folder_fd);

#endif
