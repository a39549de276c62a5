#ifndef COURTIER_TESTS_UNIT_COMMON_MQTT_HEX_H
#define COURTIER_TESTS_UNIT_COMMON_MQTT_HEX_H

/*
 * Packets as the tables of the codec tests write them: hex digits, blanks
 * between, and 'text' for itself. The bytes lie in memory of their exact size,
 * so that the address sanitizer sees a read behind their end.
 */

#include "common/base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_SIZE_MAX = 512 };

/* A copy of the first `size` bytes; free with hex_free(). */
static inline struct bytes hex_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size);

    if (size > 0)
        memcpy(copy, data, size);
    return (struct bytes){copy, size};
}

/* Free with hex_free(). */
static inline struct bytes hex_bytes(const char *text)
{
    uint8_t out[HEX_SIZE_MAX];
    size_t size = 0;
    bool is_quoted = false;

    for (; *text != '\0' && size < sizeof(out); text++) {
        unsigned value = 0;
        if (*text == '\'') {
            is_quoted = !is_quoted;
        } else if (is_quoted) {
            out[size++] = (uint8_t)*text;
        } else if (*text != ' ' && sscanf(text, "%2x", &value) == 1) {
            out[size++] = (uint8_t)value;
            text++;
        }
    }
    return hex_copy(out, size);
}

static inline void hex_free(struct bytes b)
{
    free((void *)(uintptr_t)b.data);
}

/* Does `b` hold just what the hex text says? */
static inline bool hex_equals(struct bytes b, const char *text)
{
    struct bytes wanted = hex_bytes(text);
    bool equal = bytes_equal(b, wanted);

    hex_free(wanted);
    return equal;
}

#endif
