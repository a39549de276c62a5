#ifndef COURTIER_COMMON_CONF_CONF_LEXER_H
#define COURTIER_COMMON_CONF_CONF_LEXER_H

/*
 * Cuts the text of a configuration file into lines of keyword and value. Pure:
 * borrowed bytes in, borrowed bytes and line numbers out. Knows comments, blanks,
 * CRLF and the byte order mark, and nothing of options.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/bytes.h"

enum { CONF_LEXER_LINE_SIZE_MAX = 64 * 1024 };

enum conf_line_fault {
    CONF_LINE_OK,
    CONF_LINE_NUL, /* a NUL byte: not a text file */
    CONF_LINE_LONG /* over CONF_LEXER_LINE_SIZE_MAX */
};

/* With a fault, keyword and value are empty. */
struct conf_line {
    unsigned number;      /* from 1 */
    struct bytes keyword; /* up to the first blank */
    struct bytes value;   /* the rest without blanks at both ends; may be empty */
    enum conf_line_fault fault;
};

struct conf_lexer {
    struct bytes rest;
    unsigned line_number;
};

/* `text` is borrowed; an UTF-8 byte order mark at its start is skipped. */
struct conf_lexer conf_lexer_of(struct bytes text);
/* The next line that is neither empty nor a comment. False at the end. */
bool conf_lexer_next(struct conf_lexer *lexer, struct conf_line *ret_line);
/* Takes the first word off `value` and the blanks behind it; empty at the end. */
struct bytes conf_lexer_word(struct bytes *value);
/* True when nothing is left but perhaps a comment. */
bool conf_lexer_is_end(struct bytes value);

#endif
