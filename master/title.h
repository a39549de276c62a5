#ifndef COURTIER_MASTER_TITLE_H
#define COURTIER_MASTER_TITLE_H

/* What `ps` and `top` show for a process: written over the arguments that it was
 * started with. */

#include <stddef.h>

struct title {
    char *area; /* arguments, then environment, as the kernel laid them out */
    size_t size;
};

struct title title_of(int argc, char **argv);
/* Copies the environment away first, so getenv() goes on working; cuts the text
 * to the room there is. For children, once: it leaks that copy on purpose. */
void title_set(const struct title *title, const char *text);

#endif
