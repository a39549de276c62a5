#ifndef COURTIER_COMMON_CONF_CONF_VALUE_H
#define COURTIER_COMMON_CONF_CONF_VALUE_H

/* From the text behind a keyword to a value of the option's type, within the
 * option's bounds. Internal to common/conf. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bytes.h"

struct conf_option;
struct conf_parse;
struct conf_value;

enum conf_number {
    CONF_NUMBER_OK,
    CONF_NUMBER_INVALID, /* not a whole decimal number */
    CONF_NUMBER_RANGE    /* below minimum or above maximum */
};

/* False, and one problem is reported, when the text is not such a value. */
bool conf_value_parse(struct conf_parse *parse, const struct conf_option *option, struct bytes text,
                      struct conf_value *ret_value);
/* A whole decimal number; no blanks, no sign but '-'. */
enum conf_number conf_value_number(struct bytes text, int64_t minimum, int64_t maximum,
                                   int64_t *ret_number);

#endif
