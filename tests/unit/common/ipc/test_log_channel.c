#include "common/ipc/log_channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
    int master;
    struct log_channel channel;
    unsigned dropped;
};

static void count(void *context)
{
    ++*(unsigned *)context;
}

static int open_ends(void **state)
{
    static struct ends ends;
    ends = (struct ends){.channel = {.on_dropped = count, .context = &ends.dropped}};
    *state = &ends;
    return log_channel_open_pair(&ends.master, &ends.channel.fd);
}

static int close_ends(void **state)
{
    struct ends *ends = *state;
    close(ends->master);
    close(ends->channel.fd);
    return 0;
}

static void say(struct ends *ends, enum log_level level, const char *text)
{
    log_channel_sink(level, text, strlen(text), &ends->channel);
}

static void test_log_channel_receive_gets_lines_in_order(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    say(ends, LOG_LEVEL_NOTICE, "one");
    say(ends, LOG_LEVEL_ERROR, "two, with 42");
    assert_int_equal(log_channel_receive(ends->master, &line), 0);
    assert_int_equal(line.level, LOG_LEVEL_NOTICE);
    assert_string_equal(line.text, "one");
    assert_int_equal(log_channel_receive(ends->master, &line), 0);
    assert_int_equal(line.level, LOG_LEVEL_ERROR);
    assert_string_equal(line.text, "two, with 42");
    assert_int_equal(log_channel_receive(ends->master, &line), -EAGAIN);
}

static void test_log_channel_sink_drops_and_counts_when_full(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    unsigned arrived = 0;
    for (unsigned i = 0; i < 10000; i++)
        say(ends, LOG_LEVEL_INFO, "a line");
    while (log_channel_receive(ends->master, &line) == 0)
        arrived++;
    assert_true(ends->dropped > 0);
    assert_true(arrived > 50); /* a burst of a busy second goes in */
    assert_int_equal(arrived + ends->dropped, 10000);
}

static void test_log_channel_receive_takes_longest_line(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    char text[LOG_LINE_MAX];
    memset(text, 'x', sizeof text);
    log_channel_sink(LOG_LEVEL_INFO, text, sizeof text, &ends->channel);
    assert_int_equal(log_channel_receive(ends->master, &line), 0);
    assert_int_equal(line.size, LOG_LINE_MAX);
    assert_int_equal(strlen(line.text), LOG_LINE_MAX);
}

static void test_log_channel_receive_removes_control_bytes(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    say(ends, LOG_LEVEL_INFO, "a\nforged\x1b[2J\x7f line");
    assert_int_equal(log_channel_receive(ends->master, &line), 0);
    assert_string_equal(line.text, "a?forged?[2J? line");
}

static void test_log_channel_receive_refuses_malformed(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    uint8_t large[LOG_LINE_MAX + 2] = {LOG_LEVEL_INFO};
    assert_int_equal(send(ends->channel.fd, "\xFFtext", 5, 0), 5);
    assert_int_equal(log_channel_receive(ends->master, &line), -EPROTO);
    assert_int_equal(send(ends->channel.fd, large, sizeof large, 0), sizeof large);
    assert_int_equal(log_channel_receive(ends->master, &line), -EPROTO);
}

static void test_log_channel_receive_gets_last_words_of_closed_end(void **state)
{
    struct ends *ends = *state;
    struct log_channel_line line;
    say(ends, LOG_LEVEL_ERROR, "last");
    close(ends->channel.fd);
    assert_int_equal(log_channel_receive(ends->master, &line), 0);
    assert_string_equal(line.text, "last");
    assert_int_equal(log_channel_receive(ends->master, &line), -EPIPE);
    ends->channel.fd = dup(ends->master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_channel_receive_gets_lines_in_order, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(test_log_channel_sink_drops_and_counts_when_full, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(test_log_channel_receive_takes_longest_line, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(test_log_channel_receive_removes_control_bytes, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(test_log_channel_receive_refuses_malformed, open_ends,
                                        close_ends),
        cmocka_unit_test_setup_teardown(test_log_channel_receive_gets_last_words_of_closed_end,
                                        open_ends, close_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
