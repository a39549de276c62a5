#ifndef COURTIER_COMMON_CONF_CONF_H
#define COURTIER_COMMON_CONF_CONF_H

/*
 * The configuration: a file in mosquitto.conf's syntax, parsed by the table in
 * conf_list.h (one row = one option) into one struct conf that does not change
 * any more. The master parses it before it forks, so all processes have it; a
 * reload builds a new one beside the old and sends the children its `tunable`
 * part, which is plain values.
 *
 * Problems are collected, all of a file in one go, each with file, line, cause
 * and cure; the caller prints them.
 */

#include "common/base/bytes.h"
#include "common/base/list.h"
#include "common/base/log.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CONF_WORKERS_AUTO = 0,
    CONF_WORKERS_MAX = 60, /* with store, committer and master they fit a 64-bit mask */
    CONF_PORTS_MAX = 16,   /* -p */
    CONF_LISTENERS_MAX = 96
};

enum conf_event_loop { CONF_LOOP_AUTO, CONF_LOOP_URING, CONF_LOOP_EPOLL };

enum conf_socket_domain { CONF_DOMAIN_ANY, CONF_DOMAIN_IPV4, CONF_DOMAIN_IPV6 };

enum conf_durability {
    CONF_DURABILITY_STRICT, /* acknowledge what is on disk */
    CONF_DURABILITY_RELAXED /* acknowledge what outlives any process */
};

enum conf_queue_full {
    CONF_QUEUE_DROP,  /* the message, for that session */
    CONF_QUEUE_REFUSE /* and tell its publisher */
};

enum conf_timestamp {
    CONF_STAMP_NONE,
    CONF_STAMP_EPOCH,
    CONF_STAMP_FORMAT /* log_timestamp_format */
};

enum conf_log_dest {
    CONF_LOG_STDERR = 1,
    CONF_LOG_STDOUT = 2,
    CONF_LOG_SYSLOG = 4,
    CONF_LOG_FILE = 8,
    CONF_LOG_TOPIC = 16
};

/* One listener, in the order of the file. Strings are owned by the conf. */
struct conf_listener {
    struct list_node node;
    const char *address;   /* host or address; NULL: all, or loopback when local_only */
    const char *unix_path; /* not NULL: a Unix socket */
    enum conf_socket_domain domain;
    int64_t connections_max; /* -1: no limit; over all workers */
    uint16_t port;           /* 0 with -p 0 or in tests: the kernel picks one */
    uint16_t index;          /* position, from 0 */
    uint8_t qos_max;         /* max_qos: what its clients may publish at */
    bool local_only;         /* no listener in the file: 127.0.0.1 and ::1 only */
};

/* What a reload may change: plain values, no pointers. Sizes in bytes, counts
 * as counts; 0 means "no limit" only where the comment says so. */
struct conf_tunable {
    uint32_t log_mask;            /* of LOG_MASK() bits */
    uint32_t sys_interval_s;      /* 0: no $SYS */
    uint32_t packet_size_max;     /* max_packet_size; 1 to 268435460, default 10 MiB */
    uint16_t inflight_max;        /* max_inflight_messages; 0: 65535 */
    uint16_t keepalive_max_s;     /* max_keepalive; 0: no limit */
    uint32_t queued_messages_max; /* max_queued_messages, per session; 0: no limit */
    uint64_t queued_bytes_max;    /* max_queued_bytes, per session; 0: no limit */
    enum conf_queue_full queue_full;
    uint64_t journal_bytes_max;     /* max_journal_bytes, per worker */
    uint32_t subscriptions_max;     /* max_subscriptions_per_session */
    uint32_t output_buffer_max;     /* max_output_buffer, per client */
    uint32_t topic_size_max;        /* max_topic_length, 1 to 65535 */
    uint32_t topic_levels_max;      /* max_topic_levels */
    uint32_t connect_timeout_s;     /* connect_timeout, 1 to 600 */
    uint32_t session_expiry_max_s;  /* persistent_client_expiration; 0xFFFFFFFF: never */
    uint32_t sessions_max;          /* max_sessions, over all workers */
    int64_t connections_max;        /* global_max_connections; -1: no limit */
    uint16_t topic_alias_max;       /* max_topic_alias, from clients */
    uint16_t topic_alias_out_max;   /* max_topic_alias_broker, towards clients */
    uint32_t retained_messages_max; /* max_retained_messages */
    bool allow_anonymous;
    bool allow_zero_length_clientid;
    bool queue_qos0_messages;
    bool retain_available;
    bool set_tcp_nodelay;
    bool connection_messages;
    bool upgrade_outgoing_qos;
    bool allow_duplicate_messages; /* false: overlapping subscriptions give one copy */
};

struct conf {
    struct conf_tunable tunable;
    struct list_node listeners; /* of struct conf_listener; never empty after conf_load */
    unsigned listener_count;
    unsigned workers; /* 1 to CONF_WORKERS_MAX; auto is resolved by conf_load */
    enum conf_event_loop event_loop;
    bool cpu_affinity; /* pin worker i to CPU i */
    bool daemonize;    /* -d */
    bool verbose;      /* -v */
    const char *file;  /* -c; NULL: none */
    const char *pid_file;
    const char *user;          /* NULL: the default accounts */
    const char *live_location; /* default /dev/shm */
    uint64_t live_size_max;    /* map size of the live store, bytes */
    uint32_t ring_size;        /* bytes per ring of the mesh, a power of two */
    bool persistence;          /* keep state on disk */
    const char *persistence_location;
    uint64_t persistence_size_max; /* bytes on disk */
    enum conf_durability durability;
    uint32_t commit_interval_s;           /* relaxed: most seconds without a commit */
    uint32_t persistence_copy_interval_s; /* least seconds between two copies; 0: none */
    uint32_t commit_delay_ms;             /* deliveries acknowledged within are not journaled */
    unsigned log_dest;                    /* of enum conf_log_dest bits */
    const char *log_file;
    const char *log_facility;
    enum conf_timestamp log_timestamp;
    const char *log_timestamp_format;
};

/* One line for a person: "FILE:LINE: error: ... ; cure". Line 0: command line. */
struct conf_problem {
    struct list_node node;
    bool is_error; /* else a warning */
    char *text;
};

/* Command line values that override or add to the file. */
struct conf_arguments {
    const char *file;
    const char *ports[CONF_PORTS_MAX]; /* -p, repeatable */
    unsigned port_count;
    bool verbose;
    bool daemonize;
};

/* Reads file and includes, applies the arguments, checks everything across.
 * Puts every problem into `ret_problems` (an initialised list head; free with
 * conf_problems_free). Returns the configuration, or NULL when a problem is an
 * error. Touches nothing on disk but what it reads. */
struct conf *conf_load(const struct conf_arguments *arguments, struct list_node *ret_problems);
/* NULL is allowed. */
void conf_free(struct conf *conf);
void conf_problems_free(struct list_node *problems);
/* The listener with this index, which must be one of the configuration's. */
const struct conf_listener *conf_listener_at(const struct conf *conf, unsigned index);

#endif
