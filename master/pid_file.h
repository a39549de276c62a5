#ifndef COURTIER_MASTER_PID_FILE_H
#define COURTIER_MASTER_PID_FILE_H

/* The file that tells scripts our process id. */

/* Writes this process's id into `path`. 0 or -errno. */
int pid_file_open(const char *path);
/* Removes it, if it still holds this process's id. NULL is allowed. */
void pid_file_close(const char *path);

#endif
