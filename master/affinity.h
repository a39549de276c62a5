#ifndef COURTIER_MASTER_AFFINITY_H
#define COURTIER_MASTER_AFFINITY_H

/*
 * Binds the calling process to one CPU: the `index`-th of those that it may run
 * on, counted round. 0 or -errno.
 */
int affinity_pin(unsigned index);

#endif
