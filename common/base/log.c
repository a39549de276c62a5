#include "common/base/log.h"

#include "common/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TEXT_SOURCE_MAX = 64,  /* bytes of a client's text that are shown */
    ESCAPED_BYTE_SIZE = 4, /* \xNN */
    RATE_WINDOW_MS = 10000,
    MASK_AT_START = LOG_MASK(LOG_LEVEL_INFO) | LOG_MASK(LOG_LEVEL_NOTICE) |
                    LOG_MASK(LOG_LEVEL_WARNING) | LOG_MASK(LOG_LEVEL_ERROR)
};

_Static_assert(LOG_TEXT_MAX >= TEXT_SOURCE_MAX * ESCAPED_BYTE_SIZE + sizeof "...",
               "an escaped text fits");

static void write_to_stderr(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)context;
    dprintf(STDERR_FILENO, "%.*s\n", (int)size, line);
}

static struct {
    log_sink_fn sink;
    void *context;
    uint32_t mask;
} state = {.sink = write_to_stderr, .mask = MASK_AT_START};

void log_set_sink(log_sink_fn sink, void *context)
{
    state.sink = sink;
    state.context = context;
}

void log_set_mask(uint32_t mask)
{
    state.mask = mask;
}

bool log_is_on(enum log_level level)
{
    return (state.mask & LOG_MASK(level)) != 0;
}

static bool is_utf8_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Ends a line that was too long with dots, without half a character. */
static size_t cut_line(char *line)
{
    size_t size = LOG_LINE_MAX - strlen("...");

    while (size > 0 && is_utf8_tail((uint8_t)line[size]))
        size--;
    memcpy(line + size, "...", sizeof "...");
    return size + strlen("...");
}

/* One event is one line, whatever a reason or a file name brought in. */
static void blank_controls(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)line[i];
        if (byte < 0x20 || byte == 0x7F)
            line[i] = ' ';
    }
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX + 1];
    va_list arguments;

    if (!log_is_on(level))
        return;
    va_start(arguments, format);
    int wanted = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (wanted < 0)
        return; /* no form for these arguments; there is nobody to tell */

    size_t size = wanted > LOG_LINE_MAX ? cut_line(line) : (size_t)wanted;
    blank_controls(line, size);
    state.sink(level, line, size, state.context);
}

bool log_rate_allows(struct log_rate *rate, unsigned burst, unsigned *ret_suppressed)
{
    uint64_t now_ms = clock_now_ms();

    if (now_ms - rate->window_start_ms >= RATE_WINDOW_MS) {
        rate->window_start_ms = now_ms;
        rate->count = 0;
    }
    if (rate->count >= burst) {
        rate->suppressed++;
        return false;
    }
    rate->count++;
    *ret_suppressed = rate->suppressed;
    rate->suppressed = 0;
    return true;
}

/* Bytes of the character that starts at `b`, or 0 when it is not valid UTF-8.
 * `b` is not empty. */
static size_t decode_character(struct bytes b, uint32_t *ret_code)
{
    /* By the upper four bits of the first byte; 8 to 11 never begin one. */
    static const uint8_t size_of[] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4};
    static const uint32_t code_min[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = b.data[0];
    size_t size = size_of[lead >> 4];

    if (size == 0 || lead > 0xF4 || size > b.size)
        return 0;
    uint32_t code = size == 1 ? lead : lead & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        if (!is_utf8_tail(b.data[i]))
            return 0;
        code = code << 6 | (b.data[i] & 0x3F);
    }
    if (code < code_min[size] || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
        return 0;
    *ret_code = code;
    return size;
}

/* Would it move the cursor, break the line or turn the order of what follows? */
static bool is_harmful(uint32_t code)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } harmful[] = {
        {0x00, 0x1F},     /* C0 */
        {0x7F, 0x9F},     /* DEL, C1 */
        {0x061C, 0x061C}, /* Arabic letter mark */
        {0x200E, 0x200F}, /* direction marks */
        {0x2028, 0x202E}, /* line and paragraph separator, embeddings, overrides */
        {0x2066, 0x2069}, /* isolates */
    };

    for (size_t i = 0; i < sizeof harmful / sizeof harmful[0]; i++) {
        if (code >= harmful[i].first && code <= harmful[i].last)
            return true;
    }
    return false;
}

static char *put_escaped(char *out, struct bytes b)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < b.size; i++) {
        *out++ = '\\';
        *out++ = 'x';
        *out++ = digits[b.data[i] >> 4];
        *out++ = digits[b.data[i] & 0x0F];
    }
    return out;
}

static char *put_character(char *out, struct bytes character, bool is_escaped)
{
    if (is_escaped)
        return put_escaped(out, character);
    if (character.data[0] == '\\')
        *out++ = '\\';
    memcpy(out, character.data, character.size);
    return out + character.size;
}

struct log_text log_text(struct bytes b)
{
    struct log_text result;
    char *out = result.text;
    size_t done_size = 0;

    while (done_size < b.size) {
        struct bytes rest = bytes_from(b, done_size);
        uint32_t code = 0;
        size_t size = decode_character(rest, &code);
        bool is_escaped = size == 0 || is_harmful(code);
        rest.size = size == 0 ? 1 : size;
        if (done_size + rest.size > TEXT_SOURCE_MAX)
            break;
        out = put_character(out, rest, is_escaped);
        done_size += rest.size;
    }
    strcpy(out, done_size < b.size ? "..." : "");
    return result;
}
