#include "common/base/log.h"

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct heard {
    unsigned count;
    enum log_level level;
    size_t size;
    char line[LOG_LINE_MAX + 1];
};

static void hear(enum log_level level, const char *line, size_t size, void *context)
{
    struct heard *heard = context;

    assert_true(size <= LOG_LINE_MAX);
    heard->count++;
    heard->level = level;
    heard->size = size;
    memcpy(heard->line, line, size);
    heard->line[size] = '\0';
}

static void test_log_line_goes_to_the_sink(void **state)
{
    struct heard heard = {.count = 0};

    (void)state;
    log_set_sink(hear, &heard);
    log_warning("queue of %s is %d%% full", "a", 80);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, LOG_LEVEL_WARNING);
    assert_string_equal(heard.line, "queue of a is 80% full");
}

/* Runs first, because it looks at the mask that log starts with. */
static void test_log_mask_at_start_lets_nothing_chatty_through(void **state)
{
    struct heard heard = {.count = 0};

    (void)state;
    log_set_sink(hear, &heard);
    for (int level = 0; level < LOG_LEVEL_COUNT; level++)
        assert_int_equal(log_is_on((enum log_level)level), level >= LOG_LEVEL_INFO);
    log_debug("no");
    log_line(LOG_LEVEL_SUBSCRIBE, "no");
    assert_int_equal(heard.count, 0);
}

static void test_log_set_mask_picks_the_levels(void **state)
{
    struct heard heard = {.count = 0};

    (void)state;
    log_set_sink(hear, &heard);
    log_set_mask(LOG_MASK(LOG_LEVEL_DEBUG) | LOG_MASK(LOG_LEVEL_ERROR));
    log_debug("yes");
    log_notice("no");
    log_error("yes");
    assert_int_equal(heard.count, 2);
    log_set_mask(LOG_MASK(LOG_LEVEL_COUNT) - 1);
}

static void test_log_line_is_one_line(void **state)
{
    struct heard heard = {.count = 0};

    (void)state;
    log_set_sink(hear, &heard);
    log_info("%s", "one\r\ntwo\ttail\x1b[1m\x7f\xc3\xa9");
    assert_string_equal(heard.line, "one  two tail [1m \xc3\xa9");
}

static void test_log_line_cuts_only_what_is_too_long(void **state)
{
    struct heard heard = {.count = 0};
    char text[2 * LOG_LINE_MAX];

    (void)state;
    log_set_sink(hear, &heard);
    memset(text, 'x', sizeof text);
    log_info("%.*s", LOG_LINE_MAX, text);
    assert_int_equal(heard.size, LOG_LINE_MAX);
    assert_int_equal(heard.line[LOG_LINE_MAX - 1], 'x');
    log_info("%.*s", LOG_LINE_MAX + 1, text);
    assert_int_equal(heard.size, LOG_LINE_MAX);
    assert_string_equal(heard.line + LOG_LINE_MAX - 4, "x...");
}

static void test_log_line_never_cuts_a_character_in_two(void **state)
{
    struct heard heard = {.count = 0};
    char text[2 * LOG_LINE_MAX + 1];

    (void)state;
    log_set_sink(hear, &heard);
    for (size_t i = 0; i < sizeof text - 1; i += 4)
        memcpy(text + i, "\xf0\x9f\x90\xa6", 4);
    text[sizeof text - 1] = '\0';
    for (int shift = 0; shift < 4; shift++) {
        log_info("%.*s%s", shift, "abc", text);
        size_t characters_size = heard.size - (size_t)shift - 3;
        assert_int_equal(characters_size % 4, 0);
        assert_true(characters_size > LOG_LINE_MAX - 12);
        assert_string_equal(heard.line + heard.size - 3, "...");
    }
}

static void test_log_rate_counts_what_it_holds_back(void **state)
{
    struct log_rate rate = {.count = 0};
    unsigned suppressed = 99;

    (void)state;
    assert_true(log_rate_allows(&rate, 2, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_rate_allows(&rate, 2, &suppressed));
    assert_false(log_rate_allows(&rate, 2, &suppressed));
    assert_false(log_rate_allows(&rate, 2, &suppressed));
    clock_skew_ms(10000);
    assert_true(log_rate_allows(&rate, 2, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_rate_allows(&rate, 2, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_rate_allows(&rate, 2, &suppressed));
}

static void test_log_text_escapes_what_could_harm(void **state)
{
    static const struct {
        const char *source;
        const char *wanted;
    } rows[] = {
        {"", ""},
        {"plain id-1 \"x\" ~", "plain id-1 \"x\" ~"},
        {"a\\b", "a\\\\b"},
        {"\x01\n\x1b[2J\x7f", "\\x01\\x0a\\x1b[2J\\x7f"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6"},
        /* C1, and the first character behind it */
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
        /* U+200D stands, U+200E and U+200F turn the order */
        {"\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f", "\xe2\x80\x8d\\xe2\\x80\\x8e\\xe2\\x80\\x8f"},
        {"\xe2\x80\xa7\xe2\x80\xaa\xe2\x80\xae", "\xe2\x80\xa7\\xe2\\x80\\xaa\\xe2\\x80\\xae"},
        {"\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa"},
        /* overlong, surrogate, too large, cut off, no tail */
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80\xf5\xff", "\\xf4\\x90\\x80\\x80\\xf5\\xff"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xc3(\xa9", "\\xc3(\\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct log_text text = log_text(bytes_of(rows[i].source));
        assert_string_equal(text.text, rows[i].wanted);
    }
}

static void test_log_text_takes_nul_and_nothing(void **state)
{
    struct log_text nothing = log_text((struct bytes){.size = 0});
    struct log_text nul = log_text((struct bytes){(const uint8_t *)"a\0b", 3});

    (void)state;
    assert_string_equal(nothing.text, "");
    assert_string_equal(nul.text, "a\\x00b");
}

static void test_log_text_cuts_at_64_source_bytes(void **state)
{
    uint8_t source[80];

    (void)state;
    memset(source, 0x80, sizeof source);
    struct log_text whole = log_text((struct bytes){source, 64});
    assert_int_equal(strlen(whole.text), 256);
    struct log_text cut = log_text((struct bytes){source, 65});
    assert_int_equal(strlen(cut.text), 259);
    assert_string_equal(cut.text + 252, "\\x80...");
}

static void test_log_text_cuts_before_a_character_that_does_not_fit(void **state)
{
    uint8_t source[80];

    (void)state;
    memset(source, 'x', sizeof source);
    memcpy(source + 62, "\xe2\x82\xac", 3);
    struct log_text text = log_text((struct bytes){source, sizeof source});
    assert_string_equal(text.text + 61, "x...");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_mask_at_start_lets_nothing_chatty_through),
        cmocka_unit_test(test_log_set_mask_picks_the_levels),
        cmocka_unit_test(test_log_line_goes_to_the_sink),
        cmocka_unit_test(test_log_line_is_one_line),
        cmocka_unit_test(test_log_line_cuts_only_what_is_too_long),
        cmocka_unit_test(test_log_line_never_cuts_a_character_in_two),
        cmocka_unit_test(test_log_rate_counts_what_it_holds_back),
        cmocka_unit_test(test_log_text_escapes_what_could_harm),
        cmocka_unit_test(test_log_text_takes_nul_and_nothing),
        cmocka_unit_test(test_log_text_cuts_at_64_source_bytes),
        cmocka_unit_test(test_log_text_cuts_before_a_character_that_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
