#ifndef COURTIER_WORKER_NET_URING_SETUP_H
#define COURTIER_WORKER_NET_URING_SETUP_H

/* Opens an io_uring with the best that the kernel allows, and explains why not. */

#include <liburing.h>

/* The ring can do all that the backend relies on. 0 or -errno; -EOPNOTSUPP when
 * the kernel is too old. */
int uring_setup_open(struct io_uring *ret_ring, unsigned sq_entries, unsigned cq_entries);
/* A static text that tells the operator why uring_setup_open() failed. */
const char *uring_setup_reason(int error);

#endif
