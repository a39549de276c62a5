#include "shm/obituary.h"

#include "common/base/check.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A signal handler and the hook of check() get no context, so the slot of this
 * process stands in a file-scope variable, written once. The first words count:
 * a failed check is followed by SIGABRT, which says less.
 *
 * No order is needed between writer and reader: the master reads when it has
 * waited for the process. Unused bytes are 0, so words that a kill cut short
 * are a shorter text.
 */

enum { STACK_SIZE_MIN = 64 * 1024 };

static struct layout_slot *own_slot;

/* A line that is put together without stdio, which a handler may not use. */
struct line {
    char text[LAYOUT_WORDS_MAX];
    size_t size;
};

static void put_text(struct line *line, const char *text)
{
    for (; *text != '\0' && line->size < sizeof line->text - 1; text++)
        line->text[line->size++] = *text;
    line->text[line->size] = '\0';
}

static void put_number(struct line *line, uintptr_t value, unsigned base)
{
    char digits[3 * sizeof value + 1];
    size_t i = sizeof digits;

    digits[--i] = '\0';
    do {
        digits[--i] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_text(line, digits + i);
}

static void say(const char *words)
{
    char *place = own_slot->words;

    if (place[0] != '\0')
        return;
    for (size_t i = 0; i < LAYOUT_WORDS_MAX - 1 && words[i] != '\0'; i++)
        place[i] = words[i];
}

static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
    struct line line = {.size = 0};

    (void)context;
    put_text(&line, "signal ");
    put_number(&line, (uintptr_t)number, 10);
    if (info->si_code > 0) { /* from the kernel */
        put_text(&line, " at 0x");
        put_number(&line, (uintptr_t)info->si_addr, 16);
    } else {
        put_text(&line, " from process ");
        put_number(&line, (uintptr_t)info->si_pid, 10);
    }
    say(line.text);
    /* The default action is back (SA_RESETHAND) and comes when we return. A
     * fault would repeat itself, a signal that was sent would not. */
    raise(number);
}

/* A stack of its own for the handler: the usual one may be what overflowed. */
static void make_stack(void)
{
    long least = sysconf(_SC_MINSIGSTKSZ);
    stack_t stack = {.ss_size = STACK_SIZE_MIN};

    if (least > STACK_SIZE_MIN / 2)
        stack.ss_size = (size_t)least * 2;
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
        fatal("no stack for signals: %s", strerror(errno));
}

void obituary_start(const struct region *region, unsigned slot)
{
    const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_fatal_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};

    obituary_clear(region, slot);
    own_slot = &region->slots[slot];
    make_stack();
    check_set_hook(say);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        check(sigaction(numbers[i], &action, NULL) == 0);
}

void obituary_read(const struct region *region, unsigned slot, char *text, size_t size)
{
    const char *words;
    size_t length;

    check(slot < region->slot_count && size > 0);
    words = region->slots[slot].words;
    length = strnlen(words, LAYOUT_WORDS_MAX);
    if (length > size - 1)
        length = size - 1;
    memcpy(text, words, length);
    text[length] = '\0';
}

void obituary_clear(const struct region *region, unsigned slot)
{
    check(slot < region->slot_count);
    memset(region->slots[slot].words, 0, LAYOUT_WORDS_MAX);
}
