#include "tests/interop/clients/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct lines_property lines_properties[LINES_PROPERTIES_MAX] = {
    {"format", 1, LINES_BYTE},
    {"expiry", 2, LINES_INT32},
    {"content-type", 3, LINES_TEXT},
    {"response", 8, LINES_TEXT},
    {"correlation", 9, LINES_BINARY},
    {"subscription", 11, LINES_VARINT},
    {"session-expiry", 17, LINES_INT32},
    {"alias", 35, LINES_INT16},
    {"user", 38, LINES_PAIR},
    {"will-user", 38, LINES_PAIR},
};

static bool is_known(const char *keys, const char *key)
{
    size_t size = strlen(key);
    for (const char *at = keys; (at = strstr(at, key)) != NULL; at += size)
        if ((at == keys || at[-1] == ' ') && at[size] == ' ')
            return true;
    return false;
}

/* Cuts the line up in place. */
static void split(struct lines_command *command, char *line)
{
    char *rest = line;
    line[strcspn(line, "\n")] = '\0';
    command->verb = strsep(&rest, " ");
    command->count = 0;
    for (char *word; (word = strsep(&rest, " ")) != NULL && command->count < LINES_FIELDS_MAX;) {
        command->keys[command->count] = strsep(&word, "=");
        command->values[command->count++] = word;
    }
}

static const char *unknown_key(const struct lines_command *command, const char *keys)
{
    for (size_t i = 0; i < command->count; i++)
        if (!is_known(keys, command->keys[i]))
            return command->keys[i];
    return NULL;
}

static void run(const struct lines_verb *verbs, void *context, const struct lines_command *command)
{
    const struct lines_verb *verb = verbs;
    while (strcmp(verb->name, command->verb) != 0)
        verb++;
    const char *unknown = unknown_key(command, verb->keys);
    if (unknown == NULL) {
        verb->run(context, command);
        return;
    }
    lines_begin("n/a");
    lines_put_text("what", unknown, strlen(unknown));
    lines_end();
}

void lines_serve(const struct lines_verb *verbs, void *context)
{
    char *line = NULL;
    size_t size = 0;
    struct lines_command command;
    while (getline(&line, &size, stdin) > 0) {
        split(&command, line);
        run(verbs, context, &command);
    }
    free(line);
}

void lines_note(struct lines_answers *answers, int code, bool has_failed)
{
    pthread_mutex_lock(&answers->lock);
    answers->count++;
    answers->code = code;
    answers->has_failed |= has_failed;
    pthread_cond_signal(&answers->changed);
    pthread_mutex_unlock(&answers->lock);
}

bool lines_await(struct lines_answers *answers, int count)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LINES_TIMEOUT_S;
    pthread_mutex_lock(&answers->lock);
    int result = 0;
    while (answers->count < count && result == 0)
        result = pthread_cond_timedwait(&answers->changed, &answers->lock, &end);
    bool is_good = answers->count >= count && !answers->has_failed;
    answers->count = 0;
    answers->has_failed = false;
    pthread_mutex_unlock(&answers->lock);
    return is_good;
}

char *lines_text(const struct lines_command *command, const char *key)
{
    for (size_t i = 0; i < command->count; i++)
        if (strcmp(command->keys[i], key) == 0)
            return command->values[i];
    return NULL;
}

int lines_number(const struct lines_command *command, const char *key, int fallback)
{
    const char *text = lines_text(command, key);
    return text == NULL ? fallback : (int)strtol(text, NULL, 10);
}

size_t lines_bytes(char *hex)
{
    char *byte = hex;
    for (const char *at = hex; at[0] != '\0' && at[1] != '\0'; at += 2) {
        const char digits[] = {at[0], at[1], '\0'};
        *byte++ = (char)strtoul(digits, NULL, 16);
    }
    return (size_t)(byte - hex);
}

char *lines_pair(char *text)
{
    char *colon = strchr(text, ':');
    *colon = '\0';
    return colon + 1;
}

void lines_begin(const char *verb)
{
    flockfile(stdout);
    fputs(verb, stdout);
}

void lines_put_text(const char *key, const char *value, size_t size)
{
    printf(" %s=", key);
    fwrite(value, 1, size, stdout);
}

void lines_put_number(const char *key, long value)
{
    printf(" %s=%ld", key, value);
}

void lines_put_hex(const char *key, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    printf(" %s=", key);
    for (size_t i = 0; i < size; i++) {
        putchar("0123456789abcdef"[byte[i] >> 4]);
        putchar("0123456789abcdef"[byte[i] & 15]);
    }
}

void lines_put_pair(const char *key, const char *name, size_t name_size, const char *value,
                    size_t value_size)
{
    lines_put_text(key, name, name_size);
    putchar(':');
    fwrite(value, 1, value_size, stdout);
}

void lines_end(void)
{
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

void lines_ok(void)
{
    lines_begin("ok");
    lines_end();
}

void lines_failed(const char *why)
{
    lines_begin("failed why=");
    for (; *why != '\0'; why++)
        putchar(*why == ' ' ? '_' : *why);
    lines_end();
}
