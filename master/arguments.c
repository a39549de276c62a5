#include "master/arguments.h"

#include "master/master.h"

#include <getopt.h>
#include <stdio.h>

enum long_option { OPTION_TEST_CONFIG = 256, OPTION_CHECK_STORE, OPTION_VERSION };

static const struct option long_options[] = {
    {"config-file", required_argument, NULL, 'c'},
    {"daemon", no_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"test-config", no_argument, NULL, OPTION_TEST_CONFIG},
    {"check-store", no_argument, NULL, OPTION_CHECK_STORE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static bool add_port(struct conf_arguments *conf, const char *port)
{
    const unsigned max = sizeof conf->ports / sizeof conf->ports[0];
    if (conf->port_count == max) {
        fprintf(stderr, "courtier: at most %u times -p; write listeners into a file for more\n",
                max);
        return false;
    }
    conf->ports[conf->port_count++] = port;
    return true;
}

static bool read_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c':
        arguments->conf.file = optarg;
        return true;
    case 'd':
        arguments->conf.daemonize = true;
        return true;
    case 'h':
        arguments->show_help = true;
        return true;
    case 'p':
        return add_port(&arguments->conf, optarg);
    case 'q':
        arguments->quiet = true;
        return true;
    case 'v':
        arguments->conf.verbose = true;
        return true;
    case OPTION_TEST_CONFIG:
        arguments->test_config = true;
        return true;
    case OPTION_CHECK_STORE:
        arguments->check_store = true;
        return true;
    case OPTION_VERSION:
        arguments->show_version = true;
        return true;
    default:
        return false; /* getopt has said why */
    }
}

bool arguments_read(struct arguments *ret_arguments, int argc, char **argv)
{
    int option;
    *ret_arguments = (struct arguments){0};
    while ((option = getopt_long(argc, argv, "c:dhp:qv", long_options, NULL)) != -1)
        if (!read_option(ret_arguments, option))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr, "courtier: what is \"%s\"? A file needs -c before it\n", argv[optind]);
    return false;
}

void arguments_print_help(const char *version)
{
    printf(
        "courtier version %s, an MQTT broker\n\n"
        "Usage: courtier [-c FILE] [-p PORT]... [-d] [-q | -v]\n"
        "       courtier [-c FILE] --test-config\n"
        "       courtier [-c FILE] --check-store\n\n"
        "  -c, --config-file FILE  read this configuration; without one, only this machine\n"
        "                          can connect\n"
        "  -p, --port PORT         listen on this port; may be given several times\n"
        "  -d, --daemon            go to the background once the broker serves\n"
        "  -q, --quiet             no log at all\n"
        "  -v, --verbose           log everything\n"
        "      --test-config       check the configuration and end\n"
        "      --check-store       examine the state on disk, change nothing, and end: 0 sound,\n"
        "                          1 damaged, 2 it can't be read or is in use\n"
        "  -h, --help              this text\n"
        "      --version           print the version\n\n"
        "Signals: SIGHUP reload the configuration and open the log anew; SIGTERM, SIGINT\n"
        "stop; SIGRTMIN open the log anew; SIGUSR2 write the state to the log.\n\n"
        "Exit codes: %d stopped as asked, or configuration fine; %d could not start, or had\n"
        "to give up; %d wrong command line; %d configuration wrong or impossible here.\n",
        version, MASTER_EXIT_DONE, MASTER_EXIT_FAILED, MASTER_EXIT_ARGUMENTS, MASTER_EXIT_CONF);
}
