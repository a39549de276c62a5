#ifndef COURTIER_MASTER_DURABLE_FOLDER_H
#define COURTIER_MASTER_DURABLE_FOLDER_H

/*
 * The folder of the durable store, "courtier.db" under persistence_location: made by
 * the master, which may be allowed to where the store process is not. Nobody else may
 * look into it.
 */

#include <sys/types.h>

/* Its path under `location`, to be freed. */
char *durable_folder_path(const char *location);
/* Makes the folder, if it is not there, for this user. `*ret_path` is the caller's, to
 * be freed. 0 or -errno, which has been logged. */
int durable_folder_open(char **ret_path, const char *location, uid_t uid, gid_t gid);

#endif
