#include "common/conf/conf_finish.h"

#include <sched.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/conf/conf.h"
#include "common/conf/conf_list.h"
#include "common/conf/conf_parse.h"

/* log_timestamp is stored as a boolean. */
_Static_assert(CONF_STAMP_NONE == 0 && CONF_STAMP_EPOCH == 1, "log_timestamp");

void conf_finish_defaults(struct conf *conf)
{
    conf->tunable.log_mask = LOG_MASK(LOG_LEVEL_ERROR) | LOG_MASK(LOG_LEVEL_WARNING) |
                             LOG_MASK(LOG_LEVEL_NOTICE) | LOG_MASK(LOG_LEVEL_INFO);
    conf->log_dest = CONF_LOG_STDERR;
    conf->log_facility = "daemon";
}

/* CPUs that this process may run on; a container often has fewer than the machine. */
static unsigned count_cpus(void)
{
    cpu_set_t set;
    long count = 0;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        count = CPU_COUNT(&set);
    else /* more CPUs than the set has room for */
        count = sysconf(_SC_NPROCESSORS_ONLN);
    if (count < 1)
        return 1;
    return count > CONF_WORKERS_MAX ? CONF_WORKERS_MAX : (unsigned)count;
}

/* Without a listener in the file only this machine can connect, so it may do so
 * without a user name. */
static void choose_anonymous(struct conf_parse *parse)
{
    struct conf *conf = parse->conf;

    if (conf_parse_setting(parse, "allow_anonymous", conf))
        return;
    check(!list_is_empty(&conf->listeners));
    conf->tunable.allow_anonymous =
        list_owner(list_first(&conf->listeners), struct conf_listener, node)->local_only;
}

void conf_finish_values(struct conf_parse *parse, const struct conf_arguments *arguments)
{
    struct conf *conf = parse->conf;

    choose_anonymous(parse);
    if (conf->tunable.packet_size_max == 0)
        conf->tunable.packet_size_max = CONF_PACKET_SIZE_MAX;
    if (conf->tunable.inflight_max == 0)
        conf->tunable.inflight_max = UINT16_MAX;
    if (conf->workers == CONF_WORKERS_AUTO)
        conf->workers = count_cpus();
    if (conf->log_timestamp == CONF_STAMP_EPOCH && conf->log_timestamp_format)
        conf->log_timestamp = CONF_STAMP_FORMAT;
    conf->verbose = arguments->verbose;
    conf->daemonize = arguments->daemonize;
    if (conf->verbose)
        conf->tunable.log_mask = LOG_MASK(LOG_LEVEL_COUNT) - 1;
}
