#include "master/reload.h"

#include "common/base/check.h"
#include "common/base/log.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* A number somewhere in a struct. */
struct field {
    const char *option;
    size_t offset;
    size_t size;
};

#define FIELD_OF(type, member, option) \
    { \
        option, offsetof(type, member), sizeof(((type *)0)->member) \
    }
#define TUNABLE(member, option) FIELD_OF(struct conf_tunable, member, option)
#define FIXED(member, option) FIELD_OF(struct conf, member, option)

static const struct field tunables[] = {
    TUNABLE(log_mask, "log_type"),
    TUNABLE(sys_interval_s, "sys_interval"),
    TUNABLE(packet_size_max, "max_packet_size"),
    TUNABLE(inflight_max, "max_inflight_messages"),
    TUNABLE(keepalive_max_s, "max_keepalive"),
    TUNABLE(queued_messages_max, "max_queued_messages"),
    TUNABLE(queued_bytes_max, "max_queued_bytes"),
    TUNABLE(subscriptions_max, "max_subscriptions_per_session"),
    TUNABLE(output_buffer_max, "max_output_buffer"),
    TUNABLE(topic_size_max, "max_topic_length"),
    TUNABLE(topic_levels_max, "max_topic_levels"),
    TUNABLE(connect_timeout_s, "connect_timeout"),
    TUNABLE(session_expiry_max_s, "persistent_client_expiration"),
    TUNABLE(sessions_max, "max_sessions"),
    TUNABLE(connections_max, "global_max_connections"),
    TUNABLE(topic_alias_max, "max_topic_alias"),
    TUNABLE(topic_alias_out_max, "max_topic_alias_broker"),
    TUNABLE(retained_messages_max, "max_retained_messages"),
    TUNABLE(allow_anonymous, "allow_anonymous"),
    TUNABLE(allow_zero_length_clientid, "allow_zero_length_clientid"),
    TUNABLE(queue_qos0_messages, "queue_qos0_messages"),
    TUNABLE(retain_available, "retain_available"),
    TUNABLE(set_tcp_nodelay, "set_tcp_nodelay"),
    TUNABLE(connection_messages, "connection_messages"),
    TUNABLE(upgrade_outgoing_qos, "upgrade_outgoing_qos"),
    TUNABLE(allow_duplicate_messages, "allow_duplicate_messages"),
};

static const struct field fixed[] = {
    FIXED(workers, "workers"),
    FIXED(event_loop, "event_loop"),
    FIXED(cpu_affinity, "cpu_affinity"),
    FIXED(live_size_max, "live_size_max"),
    FIXED(ring_size, "ring_size"),
    FIXED(persistence, "persistence"),
    FIXED(durability, "durability"),
    FIXED(persistence_size_max, "persistence_size_max"),
    FIXED(commit_delay_ms, "commit_delay"),
    FIXED(commit_interval_s, "commit_interval"),
    FIXED(persistence_copy_interval_s, "persistence_copy_interval"),
};

static int64_t read_field(const void *object, const struct field *field)
{
    const unsigned char *place = (const unsigned char *)object + field->offset;
    uint8_t one;
    uint16_t two;
    uint32_t four;
    int64_t eight;
    switch (field->size) {
    case sizeof one:
        memcpy(&one, place, sizeof one);
        return one;
    case sizeof two:
        memcpy(&two, place, sizeof two);
        return two;
    case sizeof four:
        memcpy(&four, place, sizeof four);
        return four;
    case sizeof eight:
        memcpy(&eight, place, sizeof eight);
        return eight;
    default:
        unreachable();
    }
}

static void log_restart_needed(const char *option)
{
    log_warning("Reload: %s has changed, which takes effect when the broker is restarted.", option);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_listener(const struct conf_listener *a, const struct conf_listener *b)
{
    return same_text(a->address, b->address) && same_text(a->unix_path, b->unix_path) &&
           a->domain == b->domain && a->connections_max == b->connections_max &&
           a->qos_max == b->qos_max && a->port == b->port && a->local_only == b->local_only;
}

static bool same_listeners(const struct conf *a, const struct conf *b)
{
    if (a->listener_count != b->listener_count)
        return false;
    struct list_node *right = list_first(&b->listeners);
    list_for_each(left, &a->listeners) {
        if (!same_listener(list_owner(left, struct conf_listener, node),
                           list_owner(right, struct conf_listener, node)))
            return false;
        right = right->next;
    }
    return true;
}

static void compare_tunables(const struct conf_tunable *used, const struct conf_tunable *fresh)
{
    for (size_t i = 0; i < sizeof tunables / sizeof tunables[0]; i++) {
        int64_t before = read_field(used, &tunables[i]);
        int64_t after = read_field(fresh, &tunables[i]);
        if (before != after)
            log_notice("Reload: %s was %" PRId64 ", is %" PRId64 " now.", tunables[i].option,
                       before, after);
    }
}

static void compare_fixed(const struct conf *used, const struct conf *fresh)
{
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (read_field(used, &fixed[i]) != read_field(fresh, &fixed[i]))
            log_restart_needed(fixed[i].option);
    if (!same_text(used->pid_file, fresh->pid_file))
        log_restart_needed("pid_file");
    if (!same_text(used->user, fresh->user))
        log_restart_needed("user");
    if (!same_text(used->live_location, fresh->live_location))
        log_restart_needed("live_location");
    if (!same_text(used->persistence_location, fresh->persistence_location))
        log_restart_needed("persistence_location");
    if (!same_listeners(used, fresh))
        log_restart_needed("a listener");
}

void reload_apply(struct conf *used, const struct conf *fresh)
{
    compare_tunables(&used->tunable, &fresh->tunable);
    compare_fixed(used, fresh);
    used->tunable = fresh->tunable;
}
