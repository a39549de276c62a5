#include "common/conf/conf_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/common/conf/conf_outcome.h"

struct problem_row {
    const char *text;
    const char *problems;
};

static void assert_rows(const struct problem_row *rows, size_t count, bool is_error)
{
    for (size_t i = 0; i < count; i++) {
        struct conf_outcome outcome;

        conf_outcome_parse(&outcome, rows[i].text);
        assert_string_equal(outcome.problems, rows[i].problems);
        assert_int_equal(outcome.conf == NULL, is_error);
        conf_free(outcome.conf);
    }
}

static void test_parse_reports_a_wrong_value(void **state)
{
    static const struct problem_row rows[] = {
        {"max_keepalive abc",
         "f:1: error: max_keepalive: \"abc\" is not a whole number. Give a number from 0 to 65535"},
        {"\nmax_keepalive 65536",
         "f:2: error: max_keepalive: \"65536\" is out of range. Give a number from 0 to 65535"},
        {"max_keepalive -1",
         "f:1: error: max_keepalive: \"-1\" is out of range. Give a number from 0 to 65535"},
        {"max_keepalive 99999999999999999999",
         "f:1: error: max_keepalive: \"99999999999999999999\" is out of range. Give a number "
         "from 0 to 65535"},
        {"max_keepalive 5 6",
         "f:1: error: max_keepalive: \"6\" is one word too many. Write \"max_keepalive 5\""},
        {"max_keepalive",
         "f:1: error: max_keepalive has no value. Write behind it: longest keepalive in seconds, "
         "0 for no limit"},
        {"max_keepalive # 5",
         "f:1: error: max_keepalive has no value. Write behind it: longest keepalive in seconds, "
         "0 for no limit"},
        {"global_max_connections -2",
         "f:1: error: global_max_connections: \"-2\" is out of range. Give a number from -1 to "
         "2147483647"},
        {"max_qos 3", "f:1: error: max_qos: \"3\" is out of range. Give a number from 0 to 2"},
        {"max_output_buffer 1K",
         "f:1: error: max_output_buffer: \"1K\" is out of range. Give a number from 64K to 1G"},
        {"max_output_buffer 9999999999999999999G",
         "f:1: error: max_output_buffer: \"9999999999999999999G\" is out of range. Give a number "
         "from 64K to 1G"},
        {"max_output_buffer 9223372036854775807G",
         "f:1: error: max_output_buffer: \"9223372036854775807G\" is out of range. Give a number "
         "from 64K to 1G"},
        {"max_output_buffer M",
         "f:1: error: max_output_buffer: \"M\" is not a whole number. Give a number from 64K to "
         "1G"},
        {"ring_size 3M",
         "f:1: error: ring_size: \"3M\" is not a power of two. Write for example \"ring_size "
         "1M\""},
        {"workers 0",
         "f:1: error: workers: \"0\" is out of range. Give a number from 1 to 60, or \"auto\""},
        {"event_loop poll",
         "f:1: error: event_loop: \"poll\" is not known. Write auto, io_uring or epoll"},
        {"socket_domain ipv5",
         "f:1: error: socket_domain: \"ipv5\" is not known. Write ipv4, ipv6 or any"},
        {"persistent_client_expiration 5",
         "f:1: error: persistent_client_expiration: \"5\" has no unit. Write s, h, d, w, m or y "
         "behind the number, for example \"persistent_client_expiration 2w\""},
        {"persistent_client_expiration 200y",
         "f:1: error: persistent_client_expiration: \"200y\" is out of range. Give a number from "
         "1s to 4294967294s, or \"never\""},
        {"max_keepalive \x1B[2J",
         "f:1: error: max_keepalive: \"\\x1b[2J\" is not a whole number. Give a number from 0 to "
         "65535"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_reports_a_wrong_boolean(void **state)
{
    static const struct problem_row rows[] = {
        {"allow_anonymous yes", "f:1: error: allow_anonymous: \"yes\" is not understood here. "
                                "Write \"allow_anonymous true\""},
        {"allow_anonymous on", "f:1: error: allow_anonymous: \"on\" is not understood here. "
                               "Write \"allow_anonymous true\""},
        {"allow_anonymous True", "f:1: error: allow_anonymous: \"True\" is not understood here. "
                                 "Write \"allow_anonymous true\""},
        {"allow_anonymous NO", "f:1: error: allow_anonymous: \"NO\" is not understood here. "
                               "Write \"allow_anonymous false\""},
        {"allow_anonymous off", "f:1: error: allow_anonymous: \"off\" is not understood here. "
                                "Write \"allow_anonymous false\""},
        {"allow_anonymous maybe",
         "f:1: error: allow_anonymous: \"maybe\" is neither true nor false. Write "
         "\"allow_anonymous true\" or \"allow_anonymous false\""},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_reports_an_unknown_option(void **state)
{
    static const struct problem_row rows[] = {
        {"lisetner 1883", "f:1: error: unknown option \"lisetner\". Did you mean \"listener\"?"},
        {"Listener 1883", "f:1: error: unknown option \"Listener\". Did you mean \"listener\"?"},
        {"allow_anonymus true",
         "f:1: error: unknown option \"allow_anonymus\". Did you mean \"allow_anonymous\"?"},
        {"xyzzy 1", "f:1: error: unknown option \"xyzzy\". Remove the line"},
        {"port=1883", "f:1: error: \"=\" does not belong here. Write \"port VALUE\", with a blank"},
        {"port = 1883",
         "f:1: error: \"=\" does not belong here. Write \"port VALUE\", with a blank"},
        {"pid_file =/x",
         "f:1: error: \"=\" does not belong here. Write \"pid_file VALUE\", with a blank"},
        {"prot=1883", "f:1: error: unknown option \"prot\". Did you mean \"port\"?"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_reports_a_wrong_listener(void **state)
{
    static const struct problem_row rows[] = {
        {"listener localhost",
         "f:1: error: listener: the port is missing before \"localhost\". Write the port and then "
         "the address, for example \"listener 1883 localhost\""},
        {"listener @IP",
         "f:1: error: listener: the port is missing before \"@IP\". Write the port and then the "
         "address, for example \"listener 1883 192.168.1.10\""},
        {"listener 70000",
         "f:1: error: listener: \"70000\" is not a port. Give a number from 0 to 65535, for "
         "example \"listener 1883\""},
        {"listener 1883 a b",
         "f:1: error: \"b\" is one word too many behind the address. Write one \"listener\" line "
         "for each address"},
        {"listener 1883 /run/x",
         "f:1: error: listener: a Unix socket has no port. Write \"listener 0 /run/x\""},
        {"port 1883\nlistener 1883",
         "f:1: error: \"listener 1883\" at f:2 opens the same port. Remove one of the two"},
        {"listener 1884\nport 70000\n",
         "f:2: error: port: \"70000\" is out of range. Give a number from 0 to 65535"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_reports_too_long_a_socket_path(void **state)
{
    char text[200] = "listener 0 /";
    struct conf_outcome outcome;

    (void)state;
    memset(text + strlen(text), 'x', 107);
    conf_outcome_parse(&outcome, text);
    assert_null(outcome.conf);
    assert_string_equal(outcome.problems,
                        "f:1: error: listener: the path of a Unix socket has at most 107 bytes. "
                        "Choose a shorter one");
}

static void test_parse_reports_too_many_listeners(void **state)
{
    char text[65 * 16];
    size_t size = 0;
    struct conf_outcome outcome;

    (void)state;
    for (int i = 1; i <= 65; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "listener %d\n", i);
    conf_outcome_parse(&outcome, text);
    assert_null(outcome.conf);
    assert_string_equal(outcome.problems, "f:65: error: more than 64 listeners. Remove some");
}

static void test_parse_reports_a_wrong_log_option(void **state)
{
    static const struct problem_row rows[] = {
        {"log_dest file",
         "f:1: error: log_dest file: the path is missing. Write for example \"log_dest file "
         "/var/log/courtier/courtier.log\""},
        {"log_dest dlt", "f:1: error: log_dest: \"dlt\" is not available. Write none, stdout, "
                         "stderr, syslog, topic, or file and a path"},
        {"log_dest stderr x",
         "f:1: error: log_dest: \"stderr x\" is not available. Write none, stdout, stderr, syslog, "
         "topic, or file and a path"},
        {"log_dest file /a\nlog_dest file /b",
         "f:2: error: log_dest file has another path at f:1 already. Remove one of the two lines"},
        {"log_type loud",
         "f:1: error: log_type: \"loud\" is not known. Write one per line of error, warning, "
         "notice, information, subscribe, unsubscribe, debug, all, none"},
        {"log_facility 8", "f:1: error: log_facility: \"8\" is not known. Write daemon, or 0 to 7 "
                           "for local0 to local7"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_reports_both_places_of_different_values(void **state)
{
    static const struct problem_row rows[] = {
        {"max_keepalive 5\n\nmax_keepalive 6",
         "f:3: error: max_keepalive has another value at f:1 already. Remove one of the two lines"},
        {"pid_file /a\npid_file /b",
         "f:2: error: pid_file has another value at f:1 already. Remove one of the two lines"},
        {"listener 1883\nmax_connections 5\nlistener 1884\nmax_connections 6\nmax_connections 7",
         "f:5: error: max_connections has another value at f:4 already. Remove one of the two "
         "lines"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_refuses_what_is_not_available(void **state)
{
    static const struct problem_row rows[] = {
        {"password_file /p", "f:1: error: password_file is not available yet in this version. "
                             "Access control comes in a later version; remove the line"},
        {"certfile /c", "f:1: error: certfile is not available yet in this version. TLS comes in "
                        "a later version; remove the line"},
        {"require_certificate true",
         "f:1: error: \"require_certificate true\" is not available yet in this version. TLS "
         "comes in a later version; remove the line"},
        {"listener 9001\nprotocol websockets",
         "f:2: error: \"protocol websockets\" is not available yet in this version. Only "
         "\"protocol mqtt\" is, for now; remove the listener"},
        {"plugin /x.so\nplugin_opt_a b\nauth_opt_c d",
         "f:1: error: plugin is not available yet in this version. Mosquitto's binary plugins "
         "cannot be loaded; remove plugins and their options"},
        {"connection a\naddress b\ntopic # out\nbridge_cafile /c\nconnection d",
         "f:1: error: connection is not available yet in this version. Remove every "
         "\"connection\" and the options of the bridge below it"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_warns_of_what_has_no_effect(void **state)
{
    static const struct problem_row rows[] = {
        {"persistence true\npersistence_location /var/lib\nautosave_interval 60",
         "f:3: warning: autosave_interval has no effect: what persistence keeps is on disk before "
         "it is acknowledged, or within commit_interval with \"durability relaxed\", below "
         "persistence_location. The lines about autosave and persistence_file may stay"},
        {"retry_interval 20\nretry_interval 30",
         "f:1: warning: retry_interval has no effect: messages are sent again at a reconnect "
         "only\n"
         "f:2: warning: retry_interval has no effect: messages are sent again at a reconnect "
         "only"},
        {"max_connections 5\nlistener 1883",
         "f:1: warning: max_connections stands before the first listener of the file and has no "
         "effect. Move it below its listener"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_parse_reports_all_problems_at_once(void **state)
{
    static const struct problem_row rows[] = {
        {"lisetner 1\nretry_interval 20\nallow_anonymous yes\nport 1883\nmax_keepalive x",
         "f:1: error: unknown option \"lisetner\". Did you mean \"listener\"?\n"
         "f:2: warning: retry_interval has no effect: messages are sent again at a reconnect "
         "only\n"
         "f:3: error: allow_anonymous: \"yes\" is not understood here. Write \"allow_anonymous "
         "true\"\n"
         "f:5: error: max_keepalive: \"x\" is not a whole number. Give a number from 0 to 65535"},
    };

    (void)state;
    assert_rows(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void test_parse_bounds_the_number_of_problems(void **state)
{
    char text[300 * 2 + 1];
    struct conf_outcome outcome;
    const char *last = NULL;

    (void)state;
    for (size_t i = 0; i < 300; i++)
        memcpy(text + 2 * i, "x\n", 3);
    conf_outcome_parse(&outcome, text);
    assert_null(outcome.conf);
    last = strrchr(outcome.problems, '\n');
    assert_non_null(last);
    assert_string_equal(last + 1, "f:101: error: there are more problems. Mend those above first");
}

static void test_parse_stops_at_a_nul_byte(void **state)
{
    static const uint8_t text[] = "max_keepalive 5\nuser a\0b\nunknown 1\n";
    const struct conf_arguments arguments = {.port_count = 0};
    struct conf_outcome outcome;

    (void)state;
    conf_outcome_parse_with(&outcome, (struct bytes){text, sizeof(text) - 1}, &arguments);
    assert_null(outcome.conf);
    assert_string_equal(outcome.problems,
                        "f:2: error: a NUL byte: this is not a text file. Save it as UTF-8 text");
}

static void test_parse_reports_a_long_line(void **state)
{
    size_t size = 70 * 1024;
    char *text = malloc(size + 1);
    struct conf_outcome outcome;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    conf_outcome_parse(&outcome, text);
    free(text);
    assert_null(outcome.conf);
    assert_string_equal(outcome.problems,
                        "f:1: error: the line is over 65536 bytes long. Shorten it");
}

static void test_parse_reports_a_wrong_port_of_the_command_line(void **state)
{
    const struct conf_arguments arguments = {.ports = {"http"}, .port_count = 1};
    struct conf_outcome outcome;

    (void)state;
    conf_outcome_parse_with(&outcome, bytes_of(""), &arguments);
    assert_null(outcome.conf);
    assert_string_equal(outcome.problems, "command line: error: -p: \"http\" is not a port. Give a "
                                          "number from 0 to 65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_reports_a_wrong_value),
        cmocka_unit_test(test_parse_reports_a_wrong_boolean),
        cmocka_unit_test(test_parse_reports_an_unknown_option),
        cmocka_unit_test(test_parse_reports_a_wrong_listener),
        cmocka_unit_test(test_parse_reports_too_long_a_socket_path),
        cmocka_unit_test(test_parse_reports_too_many_listeners),
        cmocka_unit_test(test_parse_reports_a_wrong_log_option),
        cmocka_unit_test(test_parse_reports_both_places_of_different_values),
        cmocka_unit_test(test_parse_refuses_what_is_not_available),
        cmocka_unit_test(test_parse_warns_of_what_has_no_effect),
        cmocka_unit_test(test_parse_reports_all_problems_at_once),
        cmocka_unit_test(test_parse_bounds_the_number_of_problems),
        cmocka_unit_test(test_parse_stops_at_a_nul_byte),
        cmocka_unit_test(test_parse_reports_a_long_line),
        cmocka_unit_test(test_parse_reports_a_wrong_port_of_the_command_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
