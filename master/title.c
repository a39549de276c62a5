#include "master/title.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct title title_of(int argc, char **argv)
{
    if (argc < 1)
        return (struct title){0};
    char *end = argv[0];
    for (int i = 0; i < argc; i++)
        if (argv[i] == end)
            end = argv[i] + strlen(argv[i]) + 1;
    for (char **entry = environ; *entry != NULL; entry++)
        if (*entry == end)
            end = *entry + strlen(*entry) + 1;
    return (struct title){argv[0], (size_t)(end - argv[0])};
}

/* Moves what lies in the area to the heap. False without memory. */
static bool save_environment(const struct title *title)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        if (*entry < title->area || *entry >= title->area + title->size)
            continue;
        char *copy = strdup(*entry);
        if (copy == NULL)
            return false;
        *entry = copy;
    }
    return true;
}

/* "courtier: worker 0" as the kernel's 15 characters: "worker 0". */
static const char *short_name(const char *text)
{
    const char *colon = strstr(text, ": ");
    return colon == NULL ? text : colon + 2;
}

void title_set(const struct title *title, const char *text)
{
    prctl(PR_SET_NAME, short_name(text), 0, 0, 0);
    if (title->size == 0 || !save_environment(title))
        return;
    size_t size = strlen(text);
    if (size >= title->size)
        size = title->size - 1;
    memset(title->area, 0, title->size);
    memcpy(title->area, text, size);
}
