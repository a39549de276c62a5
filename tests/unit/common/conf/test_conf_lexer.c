#include "common/conf/conf_lexer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *text;
    unsigned number; /* 0: no line at all */
    const char *keyword;
    const char *value;
};

static void assert_bytes(struct bytes b, const char *text)
{
    assert_int_equal(b.size, strlen(text));
    assert_memory_equal(b.data, text, b.size);
}

static void test_next_cuts_keyword_and_value(void **state)
{
    static const struct row rows[] = {
        {"", 0, NULL, NULL},
        {"\n\n", 0, NULL, NULL},
        {"# comment", 0, NULL, NULL},
        {" \t# comment\r\n\r\n", 0, NULL, NULL},
        {"port 1883", 1, "port", "1883"},
        {"port 1883\n", 1, "port", "1883"},
        {"port 1883\r\n", 1, "port", "1883"},
        {"port\t1883", 1, "port", "1883"},
        {"  port   1883  \n", 1, "port", "1883"},
        {"port", 1, "port", ""},
        {"port \r\n", 1, "port", ""},
        {"\n#x\n\nlog_dest file /a b\n", 4, "log_dest", "file /a b"},
        {"\xEF\xBB\xBFport 1", 1, "port", "1"},
        {"\xEF\xBB\xBF# x\nport 1", 2, "port", "1"},
        {"port 1 # x", 1, "port", "1 # x"},
        {"port=1", 1, "port=1", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_lexer lexer = conf_lexer_of(bytes_of(rows[i].text));
        struct conf_line line;

        assert_int_equal(conf_lexer_next(&lexer, &line), rows[i].number != 0);
        if (rows[i].number == 0)
            continue;
        assert_int_equal(line.number, rows[i].number);
        assert_int_equal(line.fault, CONF_LINE_OK);
        assert_bytes(line.keyword, rows[i].keyword);
        assert_bytes(line.value, rows[i].value);
        assert_false(conf_lexer_next(&lexer, &line));
    }
}

static void test_next_walks_all_lines(void **state)
{
    struct conf_lexer lexer = conf_lexer_of(bytes_of("a 1\r\n\n# x\nb 2\nc"));
    struct conf_line line;

    (void)state;
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.number, 1);
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.number, 4);
    assert_bytes(line.value, "2");
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.number, 5);
    assert_bytes(line.keyword, "c");
    assert_false(conf_lexer_next(&lexer, &line));
}

static void test_next_reports_a_nul_byte(void **state)
{
    static const uint8_t text[] = "a 1\nb\0 2\nc 3";
    struct conf_lexer lexer = conf_lexer_of((struct bytes){text, sizeof(text) - 1});
    struct conf_line line;

    (void)state;
    assert_true(conf_lexer_next(&lexer, &line));
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.fault, CONF_LINE_NUL);
    assert_int_equal(line.number, 2);
    assert_int_equal(line.keyword.size, 0);
    assert_true(conf_lexer_next(&lexer, &line));
    assert_bytes(line.keyword, "c");
}

static void test_next_bounds_the_length_of_a_line(void **state)
{
    size_t size = CONF_LEXER_LINE_SIZE_MAX;
    uint8_t *text = malloc(size + 3);
    struct conf_lexer lexer;
    struct conf_line line;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size + 1);
    memcpy(text + size + 1, "\ny", 2);
    lexer = conf_lexer_of((struct bytes){text, size + 3});
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.fault, CONF_LINE_LONG);
    assert_true(conf_lexer_next(&lexer, &line));
    assert_bytes(line.keyword, "y");

    text[size] = '\n';
    lexer = conf_lexer_of((struct bytes){text, size + 1});
    assert_true(conf_lexer_next(&lexer, &line));
    assert_int_equal(line.fault, CONF_LINE_OK);
    assert_int_equal(line.keyword.size, size);
    free(text);
}

static void test_word_takes_one_after_the_other(void **state)
{
    struct bytes value = bytes_of("  file \t/a  b ");

    (void)state;
    assert_bytes(conf_lexer_word(&value), "file");
    assert_bytes(value, "/a  b");
    assert_bytes(conf_lexer_word(&value), "/a");
    assert_bytes(conf_lexer_word(&value), "b");
    assert_bytes(conf_lexer_word(&value), "");
    assert_int_equal(value.size, 0);
}

static void test_is_end_allows_a_comment(void **state)
{
    (void)state;
    assert_true(conf_lexer_is_end(bytes_of("")));
    assert_true(conf_lexer_is_end(bytes_of(" \t")));
    assert_true(conf_lexer_is_end(bytes_of(" # x")));
    assert_false(conf_lexer_is_end(bytes_of("x # x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_cuts_keyword_and_value),
        cmocka_unit_test(test_next_walks_all_lines),
        cmocka_unit_test(test_next_reports_a_nul_byte),
        cmocka_unit_test(test_next_bounds_the_length_of_a_line),
        cmocka_unit_test(test_word_takes_one_after_the_other),
        cmocka_unit_test(test_is_end_allows_a_comment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
