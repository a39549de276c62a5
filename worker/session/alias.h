#ifndef COURTIER_WORKER_SESSION_ALIAS_H
#define COURTIER_WORKER_SESSION_ALIAS_H

/*
 * Topic aliases of one connection, one table per direction. Both live as long as
 * the network connection and no longer [MQTT-3.3.2-7].
 */

#include "common/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Aliases that the client sets. */
struct alias_in;
/* `max` is the Topic Alias Maximum that we announced, at least 1. NULL without memory. */
struct alias_in *alias_in_new(uint16_t max);
void alias_in_free(struct alias_in *aliases);
/* The largest alias that it takes. */
uint16_t alias_in_max(const struct alias_in *aliases);
/* Sets, or replaces, an alias of 1 to max. False without memory. */
bool alias_in_set(struct alias_in *aliases, uint16_t alias, struct bytes topic);
/* The topic; empty when the alias was never set. Borrowed until the next set. */
struct bytes alias_in_get(const struct alias_in *aliases, uint16_t alias);

/* Aliases that we set towards the client: first come, first served. */
struct alias_out;
struct alias_out *alias_out_new(uint16_t max);
void alias_out_free(struct alias_out *aliases);
/* The alias to send with this topic, or 0 for none; *ret_known says that the
 * client has it already, so that the topic may be left out. */
uint16_t alias_out_use(struct alias_out *aliases, struct bytes topic, bool *ret_known);

#endif
