#ifndef COURTIER_MASTER_ARGUMENTS_H
#define COURTIER_MASTER_ARGUMENTS_H

/* The command line, which understands what Mosquitto's does. */

#include "common/conf/conf.h"

#include <stdbool.h>

struct arguments {
    struct conf_arguments conf; /* borrowed from argv */
    bool quiet;
    bool test_config;
    bool check_store;
    bool show_help;
    bool show_version;
};

/* False after a line on stderr that says what is wrong. */
bool arguments_read(struct arguments *ret_arguments, int argc, char **argv);
void arguments_print_help(const char *version);

#endif
