#ifndef COURTIER_TESTS_UNIT_COMMON_CONF_CONF_OUTCOME_H
#define COURTIER_TESTS_UNIT_COMMON_CONF_CONF_OUTCOME_H

/* Helpers of the tests of common/conf: from a text to a configuration and what was
 * said about it. They fail the test that calls them. */

#include "common/base/bytes.h"
#include "common/base/list.h"
#include "common/conf/conf.h"

enum { CONF_OUTCOME_PROBLEMS_SIZE = 32 * 1024 };

struct conf_outcome {
    struct conf *conf;                         /* NULL after an error; the caller's */
    char problems[CONF_OUTCOME_PROBLEMS_SIZE]; /* one per line */
};

/* Fills in and frees the problems; outcome->conf is set already. */
void conf_outcome_collect(struct conf_outcome *outcome, struct list_node *problems);
/* As the main file "f". */
void conf_outcome_parse_with(struct conf_outcome *outcome, struct bytes text,
                             const struct conf_arguments *arguments);
void conf_outcome_parse(struct conf_outcome *outcome, const char *text);
/* The conf of a text without any problem; the caller's. */
struct conf *conf_outcome_parse_well(const char *text);
/* The listener with this index. */
const struct conf_listener *conf_outcome_listener(const struct conf *conf, unsigned index);

#endif
