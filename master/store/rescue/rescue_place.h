#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_PLACE_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_PLACE_H

/* Names in the folder of the durable store, and which file has which: see rescue.h. */

#define RESCUE_PLACE_DATA "data.mdb"
#define RESCUE_PLACE_SALVAGE "salvage"

/* Opens and locks the folder. Its descriptor, or -errno (-EBUSY). */
int rescue_place_lock(const char *folder);
/* An empty folder for the new database; what an attempt before left goes. 0 or -errno. */
int rescue_place_prepare(int folder_fd);
/* Puts the new database in the place of the old one, which is kept aside as number
 * *ret_bad (0: it is not, because there was none or the file system can't). 0 or -errno. */
int rescue_place_change(int folder_fd, unsigned *ret_bad);
/* Takes the new one away. */
void rescue_place_clean(int folder_fd);
/* Only the last `count` of the damaged ones stay. */
void rescue_place_prune(int folder_fd, unsigned count);

#endif
