#ifndef COURTIER_COMMON_BASE_CHECK_H
#define COURTIER_COMMON_BASE_CHECK_H

/*
 * Checks that stay on in every build. A failed check is a bug of ours, never
 * the fault of a peer: it records the last words of the process through the
 * hook and aborts; the master logs the words and starts a successor.
 */

#include <stdint.h>

/* Called once with the last words (a NUL-terminated line) before abort().
 * It must be async-signal-safe and must not allocate. */
typedef void (*check_hook_fn)(const char *words);

/* Sets the hook of this process; NULL takes it away. */
void check_set_hook(check_hook_fn hook);

/* Records "file:line: text" and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *text);

/* The world makes it impossible to go on (memory at start, a missing kernel
 * feature): records the formatted words and aborts. */
_Noreturn void check_fatal(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define check(expr) ((expr) ? (void)0 : check_failed(__FILE__, __LINE__, #expr))
#define unreachable() check_failed(__FILE__, __LINE__, "unreachable")
#define fatal(...) check_fatal(__FILE__, __LINE__, __VA_ARGS__)

#endif
