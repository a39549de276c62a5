#ifndef COURTIER_MASTER_PRIVS_H
#define COURTIER_MASTER_PRIVS_H

/*
 * Giving up power. Started as root, the master keeps root with the few
 * capabilities that binding, reloading and signalling its children need; the
 * children become an ordinary user for good. Started as an ordinary user, there
 * is little to give up, and the same steps do no harm.
 */

#include <stdbool.h>
#include <sys/types.h>

struct privs {
    bool drop; /* children change to this user */
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* Decides who the children are: `user`, or without one the first account there is
 * of courtier, mosquitto and nobody; nobody changes when we are not root, or when
 * `user` is root. 0, or -ENOENT when `user` is no account. */
int privs_find(struct privs *ret_privs, const char *user);

/* As many descriptors as the system allows; returns the limit. */
unsigned long privs_raise_files(void);
/* As much locked memory as the system allows, which root is free to set: the
 * buffers of io_uring are charged to the account of all our processes together. */
void privs_raise_locked_memory(void);

/* Master: keeps only the capabilities that it needs. 0 or -errno. */
int privs_limit_master(void);

/* Child, before it does anything else: user, capabilities, no way back. What the
 * kernel clears at a change of user (parent death signal) comes after. A process
 * stays dumpable only where the operator allowed core files. 0 or -errno. */
int privs_drop(const struct privs *privs);

#endif
