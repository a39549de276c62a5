#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_CHECK_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_CHECK_H

/* courtier --check-store: tells on the standard output what is in a folder of a durable
 * store, and in what state, and changes nothing. */

enum rescue_check_exit {
    RESCUE_CHECK_SOUND = 0,
    RESCUE_CHECK_DAMAGED = 1,
    RESCUE_CHECK_IMPOSSIBLE = 2 /* it can't be read, is in use, or another version's */
};

enum rescue_check_exit rescue_check(const char *folder);

#endif
