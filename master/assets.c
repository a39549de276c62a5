#include "master/assets.h"

#include "common/base/log.h"
#include "master/durable_folder.h"
#include "master/master.h"
#include "master/pid_file.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The signals come as data, so a storm of them is one action. */
static int open_signals(struct assets *assets)
{
    const int wanted[] = {SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGUSR2, SIGRTMIN};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    assets->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return assets->signal_fd < 0 ? -errno : 0;
}

static int fail(const char *what, int error)
{
    log_error("Cannot start: %s: %s.", what, strerror(-error));
    return MASTER_EXIT_FAILED;
}

static int open_process(struct assets *assets, const struct conf *conf)
{
    int r = open_signals(assets);
    if (r < 0)
        return fail("signals", r);
    if (notify_open(&assets->notify) < 0)
        log_warning("NOTIFY_SOCKET makes no sense: the service manager hears nothing from us.");
    r = privs_find(&assets->privs, conf->user);
    if (r < 0) {
        log_error("There is no user \"%s\" to run as; set the option user to an account.",
                  conf->user == NULL ? "nobody" : conf->user);
        return MASTER_EXIT_CONF;
    }
    privs_raise_files();
    privs_raise_locked_memory();
    if (conf->pid_file != NULL) {
        r = pid_file_open(conf->pid_file);
        if (r < 0)
            return fail(conf->pid_file, r);
        assets->pid_file = conf->pid_file;
    }
    return MASTER_EXIT_DONE;
}

static int open_shared(struct assets *assets, const struct conf *conf)
{
    int r = region_open(&assets->region, conf->workers, conf->ring_size, conf->persistence);
    if (r < 0)
        return fail("memory for the rings (workers, ring_size)", r);
    if (listener_open_all(&assets->listeners, conf, conf->workers) < 0)
        return MASTER_EXIT_FAILED;
    if (live_folder_open(&assets->live, conf->live_location, conf->live_size_max, assets->privs.uid,
                         assets->privs.gid) < 0)
        return MASTER_EXIT_FAILED;
    if (conf->persistence && durable_folder_open(&assets->durable_path, conf->persistence_location,
                                                 assets->privs.uid, assets->privs.gid) < 0)
        return MASTER_EXIT_FAILED;
    return MASTER_EXIT_DONE;
}

/* The last step before the first child: sockets between the processes, and what
 * power is not needed any more is given up. */
static int open_spawn(struct assets *assets, const struct conf *conf,
                      const struct spawn_role *roles, const struct title *title)
{
    assets->spawn = (struct spawn){
        .roles = roles,
        .region = &assets->region,
        .conf = conf,
        .listeners = &assets->listeners,
        .live = &assets->live,
        .durable_path = assets->durable_path,
        .privs = &assets->privs,
        .title = title,
    };
    int r = spawn_open(&assets->spawn);
    if (r < 0)
        return fail("sockets between processes", r);
    r = privs_limit_master();
    if (r < 0)
        return fail("giving up capabilities", r);
    return MASTER_EXIT_DONE;
}

int assets_open(struct assets *ret_assets, const struct conf *conf, const struct spawn_role *roles,
                const struct title *title)
{
    *ret_assets = (struct assets){.signal_fd = -1, .notify = {.fd = -1}, .live = {.fd = -1}};
    int code = open_process(ret_assets, conf);
    if (code == MASTER_EXIT_DONE)
        code = open_shared(ret_assets, conf);
    if (code == MASTER_EXIT_DONE)
        code = open_spawn(ret_assets, conf, roles, title);
    return code;
}

void assets_close(struct assets *assets)
{
    spawn_close(&assets->spawn);
    live_folder_close(&assets->live);
    free(assets->durable_path);
    assets->durable_path = NULL;
    listener_close_all(&assets->listeners);
    region_close(&assets->region);
    pid_file_close(assets->pid_file);
    assets->pid_file = NULL;
    notify_close(&assets->notify);
    if (assets->signal_fd >= 0)
        close(assets->signal_fd);
    assets->signal_fd = -1;
}
