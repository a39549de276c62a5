#ifndef COURTIER_MASTER_RELOAD_H
#define COURTIER_MASTER_RELOAD_H

/* What differs between the configuration in use and one read anew. */

#include "common/conf/conf.h"

/* Logs each option that a reload changes, with its values, and each that differs
 * but stays until a restart. Takes the tunable part over into `used`. */
void reload_apply(struct conf *used, const struct conf *fresh);

#endif
