#ifndef COURTIER_COMMON_BASE_KILL_POINT_H
#define COURTIER_COMMON_BASE_KILL_POINT_H

/*
 * Places where a death would hurt most, by name, for tests that let each of them be the
 * last that a process passes. Only builds with -DCOURTIER_KILL_POINTS have them; there
 * the environment's KILL_POINT_FILE names a file of KILL_POINT_FILE_SIZE bytes: the
 * number of passes left (int32_t in the machine's order) and the name, NUL-terminated.
 * The process whose pass takes the number to 0 is killed.
 */

enum { KILL_POINT_FILE_SIZE = 64 };

#ifdef COURTIER_KILL_POINTS
void kill_point(const char *name);
#else
static inline void kill_point(const char *name)
{
    (void)name;
}
#endif

#endif
