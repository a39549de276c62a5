/*
 * Any bytes as a configuration file: lexer, option table, values and cross-checks.
 * Read as an included file, so that include_dir can't lead to real files. Whatever
 * comes out must keep the promises of conf.h.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/check.h"
#include "common/conf/conf.h"
#include "common/conf/conf_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_error(const struct list_node *problems)
{
    list_for_each(node, problems) {
        const struct conf_problem *problem = list_owner(node, struct conf_problem, node);

        check(problem->text[0] != '\0');
        check(!strchr(problem->text, '\n'));
        if (problem->is_error)
            return true;
    }
    return false;
}

static void check_promises(const struct conf *conf)
{
    unsigned count = 0;

    list_for_each(node, &conf->listeners) {
        const struct conf_listener *listener = list_owner(node, struct conf_listener, node);

        check(listener->index == count);
        check(listener->connections_max >= -1);
        check(listener->qos_max <= 2);
        count++;
    }
    check(count > 0);
    check(count == conf->listener_count);
    check(conf->workers >= 1);
    check(conf->workers <= CONF_WORKERS_MAX);
    check((conf->ring_size & (conf->ring_size - 1)) == 0);
    check(conf->tunable.packet_size_max >= 1);
    check(conf->tunable.inflight_max >= 1);
    check(!(conf->log_dest & CONF_LOG_FILE) || conf->log_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct conf_arguments arguments = {.port_count = 0};
    struct list_node problems;
    struct conf_parse parse;
    struct conf *conf = NULL;

    list_init(&problems);
    if (conf_parse_init(&parse, &problems) != 0)
        return 0;
    conf_parse_text(&parse, (struct bytes){.data = data, .size = size}, "fuzz", false);
    conf = conf_parse_done(&parse, &arguments);
    check((conf == NULL) == has_error(&problems));
    if (conf)
        check_promises(conf);
    conf_free(conf);
    conf_problems_free(&problems);
    return 0;
}
