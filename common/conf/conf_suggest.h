#ifndef COURTIER_COMMON_CONF_CONF_SUGGEST_H
#define COURTIER_COMMON_CONF_CONF_SUGGEST_H

/* Guesses which option was meant by an unknown keyword. */

#include "common/base/bytes.h"

/* The keyword nearest to `word`, or NULL when none is near. */
const char *conf_suggest_keyword(struct bytes word);

#endif
