/*
 * The program: reads the command line and the configuration, opens the log, and
 * runs the master. The only file that knows which program each role runs.
 */

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "master/arguments.h"
#include "master/durable_folder.h"
#include "master/log_output.h"
#include "master/master.h"
#include "master/store/rescue/rescue_check.h"
#include "master/store/store.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct spawn_role roles[] = {
    [ROLE_MASTER] = {"master", NULL},
    [ROLE_STORE] = {"store", store_run},
    [ROLE_WORKER] = {"worker", worker_run},
};

static void print_problems(const struct list_node *problems)
{
    list_for_each(node, problems)
        fprintf(stderr, "%s\n", list_owner(node, struct conf_problem, node)->text);
}

static void log_warnings(const struct list_node *problems)
{
    list_for_each(node, problems)
        log_warning("%s", list_owner(node, struct conf_problem, node)->text);
}

/* From here on lines go where the configuration says. */
static void open_log(struct log_output *output, struct conf *conf, bool quiet)
{
    if (quiet)
        conf->tunable.log_mask = 0;
    int r = log_output_use(output, conf);
    if (r < 0)
        log_error("Cannot open log file %s: %s. Logging to stderr instead.", conf->log_file,
                  strerror(-r));
    log_set_mask(conf->tunable.log_mask);
    if (conf->log_dest & CONF_LOG_TOPIC)
        log_warning("log_dest topic has no effect in this version.");
}

static int run_broker(struct conf *conf, const struct arguments *arguments,
                      const struct list_node *problems, struct title title)
{
    struct log_output *output = log_output_new();
    if (output == NULL)
        return MASTER_EXIT_FAILED;
    log_set_sink(log_output_sink, output);
    open_log(output, conf, arguments->quiet);
    log_warnings(problems);
    const struct master_setup setup = {
        .arguments = &arguments->conf,
        .quiet = arguments->quiet,
        .version = COURTIER_VERSION,
        .roles = roles,
        .title = title,
        .output = output,
    };
    int code = master_run(conf, &setup);
    log_output_free(output);
    return code;
}

static int check_store(const struct conf *conf)
{
    char *path = durable_folder_path(conf->persistence_location);
    int code = (int)rescue_check(path);
    free(path);
    return code;
}

static int load_and_run(const struct arguments *arguments, struct title title)
{
    struct list_node problems;
    list_init(&problems);
    int code = MASTER_EXIT_CONF;
    struct conf *conf = conf_load(&arguments->conf, &problems);
    if (conf == NULL || arguments->test_config || arguments->check_store)
        print_problems(&problems);
    if (conf != NULL && arguments->test_config) {
        printf("Configuration file is OK.\n");
        conf_free(conf);
        code = MASTER_EXIT_DONE;
    } else if (conf != NULL && arguments->check_store) {
        code = check_store(conf);
        conf_free(conf);
    } else if (conf != NULL) {
        code = run_broker(conf, arguments, &problems, title);
    }
    conf_problems_free(&problems);
    return code;
}

int main(int argc, char **argv)
{
    struct title title = title_of(argc, argv);
    struct arguments arguments;
    if (!arguments_read(&arguments, argc, argv))
        return MASTER_EXIT_ARGUMENTS;
    if (arguments.show_help) {
        arguments_print_help(COURTIER_VERSION);
        return MASTER_EXIT_DONE;
    }
    if (arguments.show_version) {
        printf("courtier version %s\n", COURTIER_VERSION);
        return MASTER_EXIT_DONE;
    }
    hash_start();
    return load_and_run(&arguments, title);
}
