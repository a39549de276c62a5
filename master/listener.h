#ifndef COURTIER_MASTER_LISTENER_H
#define COURTIER_MASTER_LISTENER_H

/*
 * All listening sockets of the broker, bound once at start and kept open by the
 * master, so that connections wait in the kernel while a worker is replaced. TCP:
 * for each address of each listener one SO_REUSEPORT socket per worker, among
 * which the kernel spreads connections. Unix: one socket that all workers share.
 */

#include "common/conf/conf.h"
#include "shm/inherit.h"

/* One address of one listener. */
struct listener_address {
    const struct conf_listener *conf;
    char *unix_path; /* owned; not NULL: removed at the end */
    int *fds;        /* one per worker; the same one for all when Unix */
};

struct listener_set {
    struct listener_address *addresses;
    unsigned address_count;
    unsigned worker_count;
};

/* Binds all listeners of `conf`, which must live as long as the set. Logs what it
 * opens, and each failure with address, port and cause. 0, or -errno when any
 * listener could not be opened (nothing stays open then). */
int listener_open_all(struct listener_set *ret_set, const struct conf *conf, unsigned worker_count);
void listener_close_all(struct listener_set *set);

/* The sockets of one worker into `ret_listeners`, which has room for
 * set->address_count. */
void listener_of_worker(const struct listener_set *set, unsigned worker,
                        struct inherit_listener *ret_listeners);

#endif
