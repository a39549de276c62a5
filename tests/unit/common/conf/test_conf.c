#include "common/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/common/conf/conf_outcome.h"

static void test_parse_sets_the_defaults(void **state)
{
    struct conf *conf = conf_outcome_parse_well("");
    const struct conf_tunable *tunable = &conf->tunable;

    (void)state;
    assert_int_equal(tunable->packet_size_max, 10 << 20);
    assert_int_equal(tunable->inflight_max, 20);
    assert_int_equal(tunable->queued_messages_max, 1000);
    assert_int_equal(tunable->queued_bytes_max, 0);
    assert_int_equal(tunable->keepalive_max_s, 0);
    assert_int_equal(tunable->subscriptions_max, 10000);
    assert_int_equal(tunable->output_buffer_max, 4 << 20);
    assert_int_equal(tunable->topic_size_max, 65535);
    assert_int_equal(tunable->topic_levels_max, 200);
    assert_int_equal(tunable->connect_timeout_s, 10);
    assert_int_equal(tunable->session_expiry_max_s, UINT32_MAX);
    assert_int_equal(tunable->sessions_max, 1000000);
    assert_int_equal(tunable->connections_max, -1);
    assert_int_equal(tunable->topic_alias_max, 10);
    assert_int_equal(tunable->topic_alias_out_max, 10);
    assert_int_equal(tunable->retained_messages_max, 1000000);
    assert_int_equal(tunable->sys_interval_s, 10);
    assert_true(tunable->allow_zero_length_clientid);
    assert_false(tunable->queue_qos0_messages);
    assert_true(tunable->retain_available);
    assert_true(tunable->set_tcp_nodelay);
    assert_true(tunable->connection_messages);
    assert_false(tunable->upgrade_outgoing_qos);
    assert_true(tunable->allow_duplicate_messages);
    conf_free(conf);
}

static void test_parse_sets_the_defaults_of_processes_and_log(void **state)
{
    struct conf *conf = conf_outcome_parse_well("");

    (void)state;
    assert_in_range(conf->workers, 1, CONF_WORKERS_MAX);
    assert_int_equal(conf->event_loop, CONF_LOOP_AUTO);
    assert_false(conf->cpu_affinity);
    assert_null(conf->file);
    assert_null(conf->pid_file);
    assert_null(conf->user);
    assert_string_equal(conf->live_location, "/dev/shm");
    assert_int_equal(conf->live_size_max, 256 << 20);
    assert_int_equal(conf->ring_size, 1 << 20);
    assert_int_equal(conf->log_dest, CONF_LOG_STDERR);
    assert_null(conf->log_file);
    assert_string_equal(conf->log_facility, "daemon");
    assert_int_equal(conf->log_timestamp, CONF_STAMP_EPOCH);
    assert_int_equal(conf->tunable.log_mask,
                     LOG_MASK(LOG_LEVEL_ERROR) | LOG_MASK(LOG_LEVEL_WARNING) |
                         LOG_MASK(LOG_LEVEL_NOTICE) | LOG_MASK(LOG_LEVEL_INFO));
    conf_free(conf);
}

static void test_parse_opens_a_local_listener_without_any(void **state)
{
    struct conf *conf = conf_outcome_parse_well("max_connections 7\nsocket_domain ipv4\n");
    const struct conf_listener *listener = conf_outcome_listener(conf, 0);

    (void)state;
    assert_int_equal(conf->listener_count, 1);
    assert_true(listener->local_only);
    assert_int_equal(listener->port, 1883);
    assert_null(listener->address);
    assert_int_equal(listener->connections_max, 7);
    assert_int_equal(listener->domain, CONF_DOMAIN_IPV4);
    assert_true(conf->tunable.allow_anonymous);
    conf_free(conf);
}

static void test_parse_refuses_anonymous_once_a_listener_is_given(void **state)
{
    static const struct {
        const char *text;
        bool is_local;
        bool allow_anonymous;
    } rows[] = {
        {"", true, true},
        {"allow_anonymous false", true, false},
        {"allow_anonymous true", true, true},
        {"listener 1883", false, false},
        {"port 1883", false, false},
        {"bind_address 127.0.0.1", false, false},
        {"allow_anonymous true\nlistener 1883", false, true},
        {"listener 1883\nallow_anonymous 1", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf *conf = conf_outcome_parse_well(rows[i].text);

        assert_int_equal(conf_outcome_listener(conf, 0)->local_only, rows[i].is_local);
        assert_int_equal(conf->tunable.allow_anonymous, rows[i].allow_anonymous);
        conf_free(conf);
    }
}

static void test_parse_takes_listeners_in_order(void **state)
{
    struct conf *conf = conf_outcome_parse_well("port 1883\n"
                                                "bind_address 10.0.0.1\n"
                                                "listener 1884 ::1 # comment\n"
                                                "max_connections 5\n"
                                                "socket_domain ipv6\n"
                                                "listener 0 /run/a b.sock\n"
                                                "max_connections 6\n"
                                                "listener 1885 # comment\n"
                                                "listener 0\n"
                                                "listener 0\n");

    (void)state;
    assert_int_equal(conf->listener_count, 6);
    assert_int_equal(conf_outcome_listener(conf, 0)->port, 1883);
    assert_string_equal(conf_outcome_listener(conf, 0)->address, "10.0.0.1");
    assert_int_equal(conf_outcome_listener(conf, 0)->connections_max, -1);
    assert_string_equal(conf_outcome_listener(conf, 1)->address, "::1");
    assert_int_equal(conf_outcome_listener(conf, 1)->connections_max, 5);
    assert_int_equal(conf_outcome_listener(conf, 1)->domain, CONF_DOMAIN_IPV6);
    assert_string_equal(conf_outcome_listener(conf, 2)->unix_path, "/run/a b.sock");
    assert_int_equal(conf_outcome_listener(conf, 2)->connections_max, 6);
    assert_null(conf_outcome_listener(conf, 3)->address);
    assert_int_equal(conf_outcome_listener(conf, 5)->port, 0);
    conf_free(conf);
}

static void test_parse_takes_max_qos_by_either_name(void **state)
{
    struct conf *conf = conf_outcome_parse_well("listener 1883\nlistener 1884\nmax_qos 0\n"
                                                "listener 1885\nmaximum_qos 1\n");

    (void)state;
    assert_int_equal(conf_listener_at(conf, 0)->qos_max, 2);
    assert_int_equal(conf_listener_at(conf, 1)->qos_max, 0);
    assert_int_equal(conf_listener_at(conf, 2)->qos_max, 1);
    conf_free(conf);
    conf = conf_outcome_parse_well("max_qos 1\n");
    assert_int_equal(conf_listener_at(conf, 0)->qos_max, 1);
    conf_free(conf);
}

static void test_parse_goes_on_with_a_repeated_listener(void **state)
{
    struct conf *conf = conf_outcome_parse_well("listener 1883\nlistener 1884\nlistener 1883\n"
                                                "max_connections 3\n");

    (void)state;
    assert_int_equal(conf->listener_count, 2);
    assert_int_equal(conf_outcome_listener(conf, 0)->connections_max, 3);
    assert_int_equal(conf_outcome_listener(conf, 1)->connections_max, -1);
    conf_free(conf);
}

static void test_parse_takes_numbers_and_sizes(void **state)
{
    struct conf *conf = conf_outcome_parse_well("max_packet_size 1M # comment\n"
                                                "max_queued_bytes 3g\n"
                                                "max_journal_bytes 5M\n"
                                                "max_inflight_messages 0\n"
                                                "global_max_connections -1\n"
                                                "ring_size 2M\n"
                                                "live_size_max 1048576\n"
                                                "max_keepalive 0065535 #x\n");

    (void)state;
    assert_int_equal(conf->tunable.packet_size_max, 1 << 20);
    assert_int_equal(conf->tunable.queued_bytes_max, INT64_C(3) << 30);
    assert_int_equal(conf->tunable.journal_bytes_max, 5 << 20);
    assert_int_equal(conf->tunable.inflight_max, 65535);
    assert_int_equal(conf->tunable.connections_max, -1);
    assert_int_equal(conf->ring_size, 2 << 20);
    assert_int_equal(conf->live_size_max, 1048576);
    conf_free(conf);
}

static void test_parse_takes_zero_as_the_largest_packet(void **state)
{
    struct conf *conf = conf_outcome_parse_well("max_packet_size 0");

    (void)state;
    assert_int_equal(conf->tunable.packet_size_max, 268435460);
    conf_free(conf);
}

static void test_parse_takes_expirations(void **state)
{
    static const struct {
        const char *text;
        uint32_t seconds;
    } rows[] = {
        {"persistent_client_expiration 5s", 5},
        {"persistent_client_expiration 1h", 3600},
        {"persistent_client_expiration 1d", 86400},
        {"persistent_client_expiration 2w", 14 * 86400},
        {"persistent_client_expiration 1m", 30 * 86400},
        {"persistent_client_expiration 1y", 365 * 86400},
        {"persistent_client_expiration never", UINT32_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf *conf = conf_outcome_parse_well(rows[i].text);

        assert_int_equal(conf->tunable.session_expiry_max_s, rows[i].seconds);
        conf_free(conf);
    }
}

static void test_parse_takes_log_options(void **state)
{
    struct conf *conf = conf_outcome_parse_well("log_dest file /var/log/a b.log\n"
                                                "log_dest syslog\n"
                                                "log_dest topic # comment\n"
                                                "log_type error\n"
                                                "log_type debug # comment\n"
                                                "log_type websockets\n"
                                                "log_timestamp_format %H # %M\n"
                                                "log_facility 3\n");

    (void)state;
    assert_int_equal(conf->log_dest, CONF_LOG_FILE | CONF_LOG_SYSLOG | CONF_LOG_TOPIC);
    assert_string_equal(conf->log_file, "/var/log/a b.log");
    assert_int_equal(conf->tunable.log_mask, LOG_MASK(LOG_LEVEL_ERROR) | LOG_MASK(LOG_LEVEL_DEBUG));
    assert_int_equal(conf->log_timestamp, CONF_STAMP_FORMAT);
    assert_string_equal(conf->log_timestamp_format, "%H # %M");
    assert_string_equal(conf->log_facility, "local3");
    conf_free(conf);
}

static void test_parse_takes_log_to_nowhere(void **state)
{
    struct conf *conf = conf_outcome_parse_well("log_dest none\nlog_type all\nlog_type none\n"
                                                "log_timestamp false\nlog_timestamp_format %H\n");

    (void)state;
    assert_int_equal(conf->log_dest, 0);
    assert_int_equal(conf->tunable.log_mask, 0);
    assert_int_equal(conf->log_timestamp, CONF_STAMP_NONE);
    conf_free(conf);
}

static void test_parse_takes_state_on_disk(void **state)
{
    struct conf_outcome outcome;
    struct conf *conf = NULL;

    (void)state;
    conf = conf_outcome_parse_well("persistence false\n");
    assert_false(conf->persistence);
    assert_string_equal(conf->persistence_location, ".");
    assert_true(conf->persistence_size_max == UINT64_C(1) << 30);
    assert_int_equal(conf->durability, CONF_DURABILITY_STRICT);
    assert_int_equal(conf->commit_interval_s, 1);
    assert_int_equal(conf->persistence_copy_interval_s, 3600);
    assert_int_equal(conf->commit_delay_ms, 5);
    conf_free(conf);
    conf_outcome_parse(&outcome, "retained_persistence 1\npersistence_location /var/lib/a\n"
                                 "persistence_size_max 64M\ndurability relaxed\n"
                                 "commit_interval 30\ncommit_delay 0\n"
                                 "persistence_copy_interval 0\n");
    conf = outcome.conf;
    assert_non_null(conf);
    assert_true(conf->persistence);
    assert_string_equal(conf->persistence_location, "/var/lib/a");
    assert_true(conf->persistence_size_max == UINT64_C(64) << 20);
    assert_int_equal(conf->durability, CONF_DURABILITY_RELAXED);
    assert_int_equal(conf->commit_interval_s, 30);
    assert_int_equal(conf->persistence_copy_interval_s, 0);
    assert_int_equal(conf->commit_delay_ms, 0);
    conf_free(conf);
}

static void test_parse_takes_processes_and_files(void **state)
{
    struct conf *conf =
        conf_outcome_parse_well("workers 60\nevent_loop epoll\ncpu_affinity true\n"
                                "pid_file /run/a.pid\nuser eva\nlive_location /tmp\n");

    (void)state;
    assert_int_equal(conf->workers, 60);
    assert_int_equal(conf->event_loop, CONF_LOOP_EPOLL);
    assert_true(conf->cpu_affinity);
    assert_string_equal(conf->pid_file, "/run/a.pid");
    assert_string_equal(conf->user, "eva");
    assert_string_equal(conf->live_location, "/tmp");
    conf_free(conf);
}

static void test_parse_accepts_what_asks_for_the_usual(void **state)
{
    (void)state;
    conf_free(
        conf_outcome_parse_well("per_listener_settings false\nprotocol mqtt\nprotocol mqtt # all\n"
                                "require_certificate false\npersistence false\n"
                                "memory_limit 0\nauth_plugin_deny_special_chars true\n"));
}

static void test_parse_ignores_a_repeated_value(void **state)
{
    (void)state;
    conf_free(conf_outcome_parse_well("max_keepalive 5\nmax_keepalive 5 # again\n"
                                      "max_packet_size 1M\nmax_packet_size 1024K\n"
                                      "pid_file /a\npid_file /a\nport 1884\nport 1884\n"
                                      "log_dest file /b\nlog_dest file /b\n"
                                      "allow_anonymous true\nallow_anonymous 1\n"));
}

static void test_parse_adds_ports_of_the_command_line(void **state)
{
    static const struct {
        const char *text;
        unsigned listener_count;
        bool is_local;
        bool allow_anonymous;
    } rows[] = {
        {"", 2, true, true},
        {"max_keepalive 5\nmax_connections 4", 2, true, true},
        {"listener 1884", 2, false, false}, /* one of -p is there already */
        {"port 1884", 2, false, false},
        {"listener 1886", 3, false, false},
        {"listener 1886\nallow_anonymous true", 3, false, true},
    };
    const struct conf_arguments arguments = {.ports = {"1884", "1885", "1884"}, .port_count = 3};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_outcome outcome;

        conf_outcome_parse_with(&outcome, bytes_of(rows[i].text), &arguments);
        assert_string_equal(outcome.problems, "");
        assert_int_equal(outcome.conf->listener_count, rows[i].listener_count);
        assert_int_equal(conf_outcome_listener(outcome.conf, 1)->local_only, rows[i].is_local);
        assert_int_equal(outcome.conf->tunable.allow_anonymous, rows[i].allow_anonymous);
        conf_free(outcome.conf);
    }
}

static void test_parse_takes_the_other_arguments(void **state)
{
    const struct conf_arguments arguments = {.verbose = true, .daemonize = true};
    struct conf_outcome outcome;

    (void)state;
    conf_outcome_parse_with(&outcome, bytes_of("log_type none"), &arguments);
    assert_string_equal(outcome.problems, "");
    assert_true(outcome.conf->verbose);
    assert_true(outcome.conf->daemonize);
    assert_int_equal(outcome.conf->tunable.log_mask, LOG_MASK(LOG_LEVEL_COUNT) - 1);
    conf_free(outcome.conf);
}

static void test_free_accepts_null(void **state)
{
    (void)state;
    conf_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_sets_the_defaults),
        cmocka_unit_test(test_parse_sets_the_defaults_of_processes_and_log),
        cmocka_unit_test(test_parse_opens_a_local_listener_without_any),
        cmocka_unit_test(test_parse_refuses_anonymous_once_a_listener_is_given),
        cmocka_unit_test(test_parse_takes_listeners_in_order),
        cmocka_unit_test(test_parse_takes_max_qos_by_either_name),
        cmocka_unit_test(test_parse_goes_on_with_a_repeated_listener),
        cmocka_unit_test(test_parse_takes_numbers_and_sizes),
        cmocka_unit_test(test_parse_takes_zero_as_the_largest_packet),
        cmocka_unit_test(test_parse_takes_expirations),
        cmocka_unit_test(test_parse_takes_log_options),
        cmocka_unit_test(test_parse_takes_log_to_nowhere),
        cmocka_unit_test(test_parse_takes_state_on_disk),
        cmocka_unit_test(test_parse_takes_processes_and_files),
        cmocka_unit_test(test_parse_accepts_what_asks_for_the_usual),
        cmocka_unit_test(test_parse_ignores_a_repeated_value),
        cmocka_unit_test(test_parse_adds_ports_of_the_command_line),
        cmocka_unit_test(test_parse_takes_the_other_arguments),
        cmocka_unit_test(test_free_accepts_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
