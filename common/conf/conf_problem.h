#ifndef COURTIER_COMMON_CONF_CONF_PROBLEM_H
#define COURTIER_COMMON_CONF_CONF_PROBLEM_H

/*
 * Collects problems, each as one line "FILE:LINE: error: cause. cure". Internal
 * to common/conf.
 */

struct conf_parse;
struct conf_place;

enum { CONF_PROBLEM_COUNT_MAX = 100, CONF_PROBLEM_PLACE_SIZE = 512 };

/* At the current place. After CONF_PROBLEM_COUNT_MAX errors, or as many warnings,
 * only one more line, which says so. */
void conf_problem_error(struct conf_parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void conf_problem_warning(struct conf_parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Makes the parse fail; the caller has no more to say. */
void conf_problem_memory(struct conf_parse *parse);
/* "FILE:LINE", "FILE" or "command line", cut to `size`. Returns `text`. */
const char *conf_problem_place(const struct conf_place *place, char *text, unsigned size);

#endif
