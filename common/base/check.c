#include "common/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 510 };

/* One line under construction; what does not fit is left out. */
struct words {
    size_t used;
    char text[WORDS_MAX + 2]; /* room for a newline and the NUL */
};

static check_hook_fn current_hook;

void check_set_hook(check_hook_fn hook)
{
    current_hook = hook;
}

static void add_text(struct words *words, const char *text)
{
    while (*text != '\0' && words->used < WORDS_MAX)
        words->text[words->used++] = *text++;
    words->text[words->used] = '\0';
}

static void add_number(struct words *words, unsigned number)
{
    char digits[sizeof number * 3 + 1];
    char *first = digits + sizeof digits - 1;

    *first = '\0';
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    add_text(words, first);
}

/* By hand, because a check may fail in a signal handler or on a broken heap,
 * where stdio is out of bounds. */
static void add_place(struct words *words, const char *file, int line)
{
    add_text(words, file);
    add_text(words, ":");
    add_number(words, (unsigned)line);
    add_text(words, ": ");
}

_Noreturn static void die(struct words *words)
{
    check_hook_fn hook = current_hook;

    /* A check that fails inside the hook must not come back to it. */
    current_hook = NULL;
    if (hook != NULL) {
        hook(words->text);
    } else {
        words->text[words->used++] = '\n';
        ssize_t written = write(STDERR_FILENO, words->text, words->used);
        (void)written; /* nowhere left to complain */
    }
    abort();
}

void check_failed(const char *file, int line, const char *text)
{
    struct words words = {.used = 0};

    add_place(&words, file, line);
    add_text(&words, text);
    die(&words);
}

void check_fatal(const char *file, int line, const char *format, ...)
{
    struct words words = {.used = 0};
    va_list arguments;

    add_place(&words, file, line);
    va_start(arguments, format);
    vsnprintf(words.text + words.used, WORDS_MAX + 1 - words.used, format, arguments);
    va_end(arguments);
    words.used = strlen(words.text);
    die(&words);
}
