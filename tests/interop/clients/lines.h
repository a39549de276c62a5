#ifndef COURTIER_TESTS_INTEROP_CLIENTS_LINES_H
#define COURTIER_TESTS_INTEROP_CLIENTS_LINES_H

/*
 * The driver's side of drivers.py, for clients in C: a line with a command comes in, lines
 * with answers and events go out. What the driver does not know its client does not offer.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_FIELDS_MAX = 32, LINES_PROPERTIES_MAX = 10, LINES_TIMEOUT_S = 10 };

/* A command: its texts live as long as its function runs. */
struct lines_command {
    char *verb;
    char *keys[LINES_FIELDS_MAX];
    char *values[LINES_FIELDS_MAX];
    size_t count;
};

/* The type of a property's value in a packet. */
enum lines_type {
    LINES_BYTE,
    LINES_INT16,
    LINES_INT32,
    LINES_VARINT,
    LINES_TEXT,
    LINES_BINARY,
    LINES_PAIR
};

/* One property of MQTT 5.0, as a field of commands and messages. */
struct lines_property {
    const char *key;
    int code;
    enum lines_type type;
};

extern const struct lines_property lines_properties[LINES_PROPERTIES_MAX];

/* A command with its function, and the keys that it knows, with a blank after each. */
struct lines_verb {
    const char *name;
    const char *keys;
    void (*run)(void *context, const struct lines_command *command);
};

/* Runs the commands of the standard input, up to its end. `verbs` ends with a name NULL. Each
 * function says one answer. */
void lines_serve(const struct lines_verb *verbs, void *context);

/* What callbacks, in the library's thread, note for the command that waits. */
struct lines_answers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    int code; /* the last one's */
    bool has_failed;
};

#define LINES_ANSWERS_INITIALIZER \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

void lines_note(struct lines_answers *answers, int code, bool has_failed);

/* Waits for so many answers, and forgets them; false if one has failed, or not all came. */
bool lines_await(struct lines_answers *answers, int count);

/* The first value of a field; NULL if it is not there. */
char *lines_text(const struct lines_command *command, const char *key);
int lines_number(const struct lines_command *command, const char *key, int fallback);

/* Turns a text in hex into bytes, in place; their number. */
size_t lines_bytes(char *hex);

/* Cuts "key:value" in two, in place; the value. */
char *lines_pair(char *text);

/* One line of output: begin, any number of fields, end. Other threads wait meanwhile. */
void lines_begin(const char *verb);
void lines_put_text(const char *key, const char *value, size_t size);
void lines_put_number(const char *key, long value);
void lines_put_hex(const char *key, const void *bytes, size_t size);
void lines_put_pair(const char *key, const char *name, size_t name_size, const char *value,
                    size_t value_size);
void lines_end(void);

/* A whole answer without fields, and one that says why not. */
void lines_ok(void);
void lines_failed(const char *why);

#endif
