#ifndef COURTIER_COMMON_CONF_CONF_LIST_H
#define COURTIER_COMMON_CONF_CONF_LIST_H

/*
 * Every option of the configuration file; one row = one option. conf_option.c
 * makes its table from it. A new option is a new row, and a paragraph in
 * etc/courtier.conf when it has an effect.
 *
 *   VALUE(keyword, type, scope, reload, field, minimum, maximum, standard, help)
 *       is put into `field` of struct conf (GLOBAL) or conf_listener (LISTENER).
 *   ACTION(keyword, type, scope, reload, function, minimum, maximum, standard, help)
 *       is given to `function`; scope EACH: every line counts on its own.
 *   IGNORED(keyword, harmless, group, text)
 *       of Mosquitto, accepted with a warning; `text` says why that is all right.
 *   MISSING(keyword, harmless, group, text)
 *       of Mosquitto, refused because ignoring it would be unsafe; `text` is the cure.
 *
 * `type` is a CONF_TYPE_, `standard` the default as written in a file (NULL: none),
 * `reload` tells whether SIGHUP applies a change. The value `harmless` (NULL: none)
 * asks for what happens anyway and is accepted silently. Of a `group` only the first
 * line is reported. A keyword that ends in "_" stands for all that begin with it.
 */

#include <stdint.h>

#define CONF_KIB INT64_C(1024)
#define CONF_MIB (1024 * CONF_KIB)
#define CONF_GIB (1024 * CONF_MIB)
/* What one process can map at once. */
#define CONF_LIVE_SIZE_MAX (sizeof(void *) > 4 ? 1024 * CONF_GIB : CONF_GIB)
#define CONF_PERSISTENCE_SIZE_MAX (sizeof(void *) > 4 ? 1024 * CONF_GIB : CONF_GIB)
/* Largest fixed header and largest remaining length. */
#define CONF_PACKET_SIZE_MAX INT64_C(268435460)

#define CONF_TEXT_AUTOSAVE \
    "what persistence keeps is on disk before it is acknowledged, or within commit_interval " \
    "with \"durability relaxed\", below persistence_location. The lines about autosave and " \
    "persistence_file may stay"
#define CONF_TEXT_TLS "TLS comes in a later version; remove the line"
#define CONF_TEXT_ACCESS "Access control comes in a later version; remove the line"
#define CONF_TEXT_PLUGIN \
    "Mosquitto's binary plugins cannot be loaded; remove plugins and their options"
#define CONF_TEXT_ENGINE "OpenSSL engines are not supported; use a PEM key"
#define CONF_TEXT_WAIT "Remove the line, or wait for a later version"
#define CONF_TEXT_BRIDGE "Remove every \"connection\" and the options of the bridge below it"

/* clang-format off */
#define CONF_LIST(VALUE, ACTION, IGNORED, MISSING) \
    /* Listeners */ \
    ACTION("listener", TEXT, EACH, false, conf_listener_take_listener, 0, 0, NULL, \
        "a port and perhaps an address, or 0 and the path of a Unix socket") \
    ACTION("port", NUMBER, GLOBAL, false, conf_listener_take_port, 0, 65535, "1883", \
        "port of the default listener") \
    ACTION("bind_address", TEXT, GLOBAL, false, conf_listener_take_address, 0, 0, NULL, \
        "address of the default listener") \
    VALUE("socket_domain", DOMAIN, LISTENER, false, domain, 0, 2, "any", \
        "ipv4, ipv6 or any") \
    VALUE("max_connections", NUMBER, LISTENER, false, connections_max, -1, INT32_MAX, "-1", \
        "clients of this listener, -1 for no limit") \
    VALUE("max_qos", NUMBER, LISTENER, false, qos_max, 0, 2, "2", \
        "highest QoS that this listener's clients may publish at") \
    VALUE("maximum_qos", NUMBER, LISTENER, false, qos_max, 0, 2, NULL, \
        "an older name of max_qos") \
    /* Clients and sessions */ \
    VALUE("allow_anonymous", BOOL, GLOBAL, true, tunable.allow_anonymous, 0, 1, NULL, \
        "true lets clients in without a user name") \
    VALUE("allow_zero_length_clientid", BOOL, GLOBAL, true, \
        tunable.allow_zero_length_clientid, 0, 1, "true", \
        "true makes an id for a client that has none") \
    VALUE("connect_timeout", NUMBER, GLOBAL, true, tunable.connect_timeout_s, 1, 600, "10", \
        "seconds a new connection has to send its CONNECT") \
    VALUE("max_keepalive", NUMBER, GLOBAL, true, tunable.keepalive_max_s, 0, 65535, "0", \
        "longest keepalive in seconds, 0 for no limit") \
    VALUE("global_max_connections", NUMBER, GLOBAL, true, tunable.connections_max, \
        -1, INT32_MAX, "-1", "clients of the whole broker, -1 for no limit") \
    VALUE("max_sessions", NUMBER, GLOBAL, true, tunable.sessions_max, \
        1, 100000000, "1000000", "sessions, connected or stored") \
    VALUE("max_subscriptions_per_session", NUMBER, GLOBAL, true, tunable.subscriptions_max, \
        1, 10000000, "10000", "subscriptions of one session") \
    VALUE("persistent_client_expiration", EXPIRY, GLOBAL, true, tunable.session_expiry_max_s, \
        1, UINT32_MAX - 1, "never", "how long a session outlives its connection") \
    /* Messages */ \
    VALUE("max_packet_size", SIZE, GLOBAL, true, tunable.packet_size_max, \
        0, CONF_PACKET_SIZE_MAX, "10M", "largest packet, 0 for the protocol's maximum") \
    VALUE("max_topic_length", NUMBER, GLOBAL, true, tunable.topic_size_max, 1, 65535, "65535", \
        "longest topic in bytes") \
    VALUE("max_topic_levels", NUMBER, GLOBAL, true, tunable.topic_levels_max, 1, 65535, "200", \
        "most levels of a topic") \
    VALUE("max_topic_alias", NUMBER, GLOBAL, true, tunable.topic_alias_max, 0, 65535, "10", \
        "topic aliases a client may set") \
    VALUE("max_topic_alias_broker", NUMBER, GLOBAL, true, tunable.topic_alias_out_max, \
        0, 65535, "10", "topic aliases the broker sets towards a client") \
    VALUE("max_inflight_messages", NUMBER, GLOBAL, true, tunable.inflight_max, 0, 65535, "20", \
        "unacknowledged messages per client, 0 for the protocol's maximum") \
    VALUE("max_queued_messages", NUMBER, GLOBAL, true, tunable.queued_messages_max, \
        0, INT32_MAX, "1000", "messages waiting per session, 0 for no limit") \
    VALUE("max_queued_bytes", SIZE, GLOBAL, true, tunable.queued_bytes_max, \
        0, 1024 * CONF_GIB, "0", "bytes waiting per session, 0 for no limit") \
    VALUE("queue_full", QUEUE_FULL, GLOBAL, true, tunable.queue_full, 0, 1, "drop", \
        "drop or refuse: what becomes of a message for a session at these limits") \
    VALUE("max_journal_bytes", SIZE, GLOBAL, true, tunable.journal_bytes_max, \
        64 * CONF_KIB, 1024 * CONF_GIB, "16M", "bytes that wait for the disk in each worker") \
    VALUE("max_output_buffer", SIZE, GLOBAL, true, tunable.output_buffer_max, \
        64 * CONF_KIB, CONF_GIB, "4M", "bytes waiting to be sent to one client") \
    VALUE("queue_qos0_messages", BOOL, GLOBAL, true, tunable.queue_qos0_messages, 0, 1, "false", \
        "true queues QoS 0 messages for offline sessions too") \
    VALUE("retain_available", BOOL, GLOBAL, true, tunable.retain_available, 0, 1, "true", \
        "false refuses retained messages") \
    VALUE("max_retained_messages", NUMBER, GLOBAL, true, tunable.retained_messages_max, \
        0, INT32_MAX, "1000000", "retained messages of the whole broker") \
    VALUE("upgrade_outgoing_qos", BOOL, GLOBAL, true, tunable.upgrade_outgoing_qos, \
        0, 1, "false", "true delivers at the subscription's QoS") \
    VALUE("allow_duplicate_messages", BOOL, GLOBAL, true, tunable.allow_duplicate_messages, \
        0, 1, "true", "false sends one copy for all of a client's subscriptions that match") \
    VALUE("set_tcp_nodelay", BOOL, GLOBAL, true, tunable.set_tcp_nodelay, 0, 1, "true", \
        "true switches Nagle's algorithm off") \
    VALUE("sys_interval", NUMBER, GLOBAL, true, tunable.sys_interval_s, 0, 65535, "10", \
        "seconds between updates of $SYS, 0 for none") \
    /* Log */ \
    ACTION("log_dest", TEXT, EACH, false, conf_action_log_dest, 0, 0, "stderr", \
        "none, stdout, stderr, syslog, topic, or file and a path") \
    ACTION("log_type", TEXT, EACH, true, conf_action_log_type, 0, 0, NULL, \
        "error, warning, notice, information, subscribe, unsubscribe, debug, all or none") \
    VALUE("log_timestamp", BOOL, GLOBAL, false, log_timestamp, 0, 1, "true", \
        "true puts the time before each line") \
    VALUE("log_timestamp_format", TEXT, GLOBAL, false, log_timestamp_format, 0, 0, NULL, \
        "a format of strftime") \
    ACTION("log_facility", TEXT, GLOBAL, false, conf_action_log_facility, 0, 0, "daemon", \
        "daemon, or 0 to 7 for local0 to local7") \
    VALUE("connection_messages", BOOL, GLOBAL, true, tunable.connection_messages, \
        0, 1, "true", "true logs connects and disconnects") \
    /* Processes and files */ \
    ACTION("include_dir", TEXT, EACH, true, conf_include_take_dir, 0, 0, NULL, \
        "a folder whose *.conf files are read") \
    VALUE("pid_file", TEXT, GLOBAL, false, pid_file, 0, 0, NULL, "the path of a file") \
    VALUE("user", TEXT, GLOBAL, false, user, 0, 0, NULL, "the account to run as") \
    VALUE("workers", WORKERS, GLOBAL, false, workers, 1, CONF_WORKERS_MAX, "auto", \
        "worker processes, auto for one per CPU") \
    VALUE("event_loop", LOOP, GLOBAL, false, event_loop, 0, 2, "auto", \
        "auto, io_uring or epoll") \
    VALUE("cpu_affinity", BOOL, GLOBAL, false, cpu_affinity, 0, 1, "false", \
        "true binds each worker to one CPU") \
    VALUE("live_location", TEXT, GLOBAL, false, live_location, 0, 0, "/dev/shm", \
        "a folder in memory for what the processes share") \
    VALUE("live_size_max", SIZE, GLOBAL, false, live_size_max, \
        CONF_MIB, CONF_LIVE_SIZE_MAX, "256M", "most bytes of shared topics and retained messages") \
    VALUE("ring_size", SIZE_POWER, GLOBAL, false, ring_size, \
        CONF_MIB, 64 * CONF_MIB, "1M", "bytes of each ring between two processes") \
    /* State on disk */ \
    VALUE("persistence", BOOL, GLOBAL, false, persistence, 0, 1, "false", \
        "true keeps state on disk") \
    VALUE("retained_persistence", BOOL, GLOBAL, false, persistence, 0, 1, NULL, \
        "the older name of persistence") \
    VALUE("persistence_location", TEXT, GLOBAL, false, persistence_location, 0, 0, ".", \
        "the folder for the state on disk") \
    VALUE("persistence_size_max", SIZE, GLOBAL, false, persistence_size_max, \
        CONF_MIB, CONF_PERSISTENCE_SIZE_MAX, "1G", "most bytes of state on disk") \
    VALUE("persistence_copy_interval", NUMBER, GLOBAL, false, persistence_copy_interval_s, 0, \
        604800, "3600", "least seconds between two copies of the state on disk; 0: none") \
    VALUE("durability", DURABILITY, GLOBAL, false, durability, 0, 1, "strict", \
        "strict or relaxed") \
    VALUE("commit_interval", NUMBER, GLOBAL, false, commit_interval_s, 0, 3600, "1", \
        "most seconds between two commits of \"durability relaxed\"") \
    VALUE("commit_delay", NUMBER, GLOBAL, false, commit_delay_ms, 0, 1000, "5", \
        "milliseconds that a delivery has to be acknowledged before it goes to the disk") \
    /* Mosquitto's, without effect here */ \
    IGNORED("persistence_file", NULL, AUTOSAVE, CONF_TEXT_AUTOSAVE) \
    IGNORED("autosave_interval", NULL, AUTOSAVE, CONF_TEXT_AUTOSAVE) \
    IGNORED("autosave_on_changes", NULL, AUTOSAVE, CONF_TEXT_AUTOSAVE) \
    IGNORED("auth_plugin_deny_special_chars", "true", NONE, "no plugin checks topics here") \
    IGNORED("check_retain_source", "true", NONE, "there are no access rules to check again") \
    IGNORED("dhparamfile", NULL, NONE, "the parameters are built in") \
    IGNORED("http_dir", NULL, NONE, "no listener serves files") \
    IGNORED("packet_buffer_size", NULL, NONE, "idle clients have no buffer") \
    IGNORED("websockets_headers_size", NULL, NONE, "idle clients have no buffer") \
    IGNORED("retain_expiry_interval", NULL, NONE, "retained messages expire when they are due") \
    IGNORED("retry_interval", NULL, NONE, "messages are sent again at a reconnect only") \
    IGNORED("websockets_log_level", "0", NONE, "libwebsockets is not used; see log_type") \
    /* Mosquitto's, not here yet */ \
    MISSING("acl_file", NULL, NONE, CONF_TEXT_ACCESS) \
    MISSING("password_file", NULL, NONE, CONF_TEXT_ACCESS) \
    MISSING("psk_file", NULL, NONE, CONF_TEXT_ACCESS) \
    MISSING("clientid_prefixes", NULL, NONE, CONF_TEXT_ACCESS) \
    MISSING("listener_allow_anonymous", NULL, NONE, "Use allow_anonymous, for all listeners") \
    MISSING("per_listener_settings", "false", NONE, \
        "Use the global allow_anonymous and remove the line") \
    MISSING("use_username_as_clientid", "false", NONE, CONF_TEXT_WAIT) \
    MISSING("auto_id_prefix", NULL, NONE, CONF_TEXT_WAIT) \
    MISSING("listener_auto_id_prefix", NULL, NONE, CONF_TEXT_WAIT) \
    MISSING("enable_control_api", "false", NONE, CONF_TEXT_WAIT) \
    MISSING("global_max_clients", "-1", NONE, "Use max_sessions") \
    MISSING("max_inflight_bytes", "0", NONE, "Use max_inflight_messages or max_output_buffer") \
    MISSING("memory_limit", "0", NONE, "Use max_sessions, max_queued_bytes and live_size_max") \
    MISSING("message_size_limit", "0", NONE, "Use max_packet_size") \
    MISSING("bind_interface", NULL, NONE, "Give the interface's address to the listener") \
    MISSING("protocol", "mqtt", NONE, "Only \"protocol mqtt\" is, for now; remove the listener") \
    MISSING("accept_protocol_versions", "3,4,5", NONE, CONF_TEXT_WAIT) \
    MISSING("mount_point", NULL, NONE, CONF_TEXT_WAIT) \
    MISSING("enable_proxy_protocol", NULL, NONE, CONF_TEXT_WAIT) \
    MISSING("proxy_protocol_v2_require_tls", "false", NONE, CONF_TEXT_WAIT) \
    MISSING("websockets_origin", NULL, NONE, CONF_TEXT_WAIT) \
    MISSING("certfile", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("keyfile", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("cafile", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("capath", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("require_certificate", "false", NONE, CONF_TEXT_TLS) \
    MISSING("use_identity_as_username", "false", NONE, CONF_TEXT_TLS) \
    MISSING("use_subject_as_username", "false", NONE, CONF_TEXT_TLS) \
    MISSING("crlfile", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("ciphers", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("ciphers_tls1.3", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("tls_version", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("disable_client_cert_date_checks", "false", NONE, CONF_TEXT_TLS) \
    MISSING("psk_hint", NULL, NONE, CONF_TEXT_TLS) \
    MISSING("tls_engine", NULL, NONE, CONF_TEXT_ENGINE) \
    MISSING("tls_engine_kpass_sha1", NULL, NONE, CONF_TEXT_ENGINE) \
    MISSING("tls_keyform", "pem", NONE, CONF_TEXT_ENGINE) \
    MISSING("plugin", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("global_plugin", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("auth_plugin", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("plugin_load", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("plugin_use", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("plugin_opt_", NULL, PLUGIN, CONF_TEXT_PLUGIN) \
    MISSING("auth_opt_", NULL, PLUGIN, CONF_TEXT_PLUGIN)

/* The options of a bridge: all are MISSING, in group BRIDGE. */
#define CONF_BRIDGE_LIST(BRIDGE) \
    BRIDGE("connection") \
    BRIDGE("address") BRIDGE("addresses") \
    BRIDGE("topic") \
    BRIDGE("remote_clientid") BRIDGE("clientid") \
    BRIDGE("remote_username") BRIDGE("username") \
    BRIDGE("remote_password") BRIDGE("password") \
    BRIDGE("local_clientid") BRIDGE("local_username") BRIDGE("local_password") \
    BRIDGE("cleansession") BRIDGE("local_cleansession") \
    BRIDGE("keepalive_interval") \
    BRIDGE("start_type") BRIDGE("idle_timeout") BRIDGE("threshold") \
    BRIDGE("restart_timeout") \
    BRIDGE("round_robin") \
    BRIDGE("notifications") BRIDGE("notifications_local_only") BRIDGE("notification_topic") \
    BRIDGE("try_private") \
    BRIDGE("bridge_")
/* clang-format on */

#endif
