#include "common/conf/conf_lexer.h"

#include <string.h>

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct bytes trim(struct bytes b)
{
    while (b.size > 0 && is_blank(b.data[0]))
        b = bytes_from(b, 1);
    while (b.size > 0 && is_blank(b.data[b.size - 1]))
        b.size--;
    return b;
}

struct conf_lexer conf_lexer_of(struct bytes text)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};

    if (text.size >= sizeof(mark) && memcmp(text.data, mark, sizeof(mark)) == 0)
        text = bytes_from(text, sizeof(mark));
    return (struct conf_lexer){.rest = text, .line_number = 0};
}

static struct bytes take_line(struct conf_lexer *lexer)
{
    const uint8_t *end = memchr(lexer->rest.data, '\n', lexer->rest.size);
    struct bytes line = lexer->rest;

    if (end) {
        line.size = (size_t)(end - lexer->rest.data);
        lexer->rest = bytes_from(lexer->rest, line.size + 1);
    } else {
        lexer->rest = bytes_from(lexer->rest, line.size);
    }
    lexer->line_number++;
    return line;
}

static enum conf_line_fault fault_of(struct bytes line)
{
    if (line.size > CONF_LEXER_LINE_SIZE_MAX)
        return CONF_LINE_LONG;
    if (line.size > 0 && memchr(line.data, '\0', line.size))
        return CONF_LINE_NUL;
    return CONF_LINE_OK;
}

bool conf_lexer_next(struct conf_lexer *lexer, struct conf_line *ret_line)
{
    while (lexer->rest.size > 0) {
        struct bytes text = take_line(lexer);
        struct conf_line line = {.number = lexer->line_number, .fault = fault_of(text)};

        text = trim(text);
        if (line.fault == CONF_LINE_OK) {
            if (conf_lexer_is_end(text))
                continue;
            line.keyword = conf_lexer_word(&text);
            line.value = text;
        }
        *ret_line = line;
        return true;
    }
    return false;
}

struct bytes conf_lexer_word(struct bytes *value)
{
    struct bytes rest = trim(*value);
    struct bytes word = {.data = rest.data, .size = 0};

    while (word.size < rest.size && !is_blank(rest.data[word.size]))
        word.size++;
    *value = trim(bytes_from(rest, word.size));
    return word;
}

bool conf_lexer_is_end(struct bytes value)
{
    struct bytes rest = trim(value);

    return rest.size == 0 || rest.data[0] == '#';
}
