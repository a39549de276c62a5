#include "master/privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1U << (capability))

/* Ports below 1024; files and folders of the children's user; their user; their end. */
static const uint32_t master_capabilities = BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_DAC_OVERRIDE) |
                                            BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_SETUID) |
                                            BIT(CAP_SETGID) | BIT(CAP_KILL);

static void use_account(struct privs *privs, const struct passwd *account)
{
    privs->drop = account->pw_uid != 0;
    privs->uid = account->pw_uid;
    privs->gid = account->pw_gid;
    snprintf(privs->name, sizeof privs->name, "%s", account->pw_name);
}

int privs_find(struct privs *ret_privs, const char *user)
{
    static const char *const accounts[] = {"courtier", "mosquitto", "nobody"};
    *ret_privs = (struct privs){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0)
        return 0;
    if (user != NULL) {
        const struct passwd *account = getpwnam(user);
        if (account == NULL)
            return -ENOENT;
        use_account(ret_privs, account);
        return 0;
    }
    for (size_t i = 0; i < sizeof accounts / sizeof accounts[0]; i++) {
        const struct passwd *account = getpwnam(accounts[i]);
        if (account != NULL) {
            use_account(ret_privs, account);
            return 0;
        }
    }
    return -ENOENT;
}

unsigned long privs_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned long)limit.rlim_cur;
}

void privs_raise_locked_memory(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* Takes away every capability that is not in `keep`. */
static int limit_capabilities(uint32_t keep)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    for (size_t i = 1; i < _LINUX_CAPABILITY_U32S_3; i++)
        data[i] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &header, data) < 0)
        return -errno;
    return 0;
}

int privs_limit_master(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return limit_capabilities(master_capabilities);
}

static int change_user(const struct privs *privs)
{
    if (setgroups(1, &privs->gid) < 0)
        return -errno;
    if (setresgid(privs->gid, privs->gid, privs->gid) < 0)
        return -errno;
    if (setresuid(privs->uid, privs->uid, privs->uid) < 0)
        return -errno;
    if (setuid(0) == 0)
        return -EPERM; /* there is a way back: something is very wrong */
    return 0;
}

int privs_drop(const struct privs *privs)
{
    struct rlimit core;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    int r = privs->drop ? change_user(privs) : 0;
    if (r < 0)
        return r;
    /* Whoever chose "user root" wants it to read what other users own. */
    r = limit_capabilities(privs->uid == 0 ? BIT(CAP_DAC_OVERRIDE) : 0);
    if (r < 0)
        return r;
    bool may_dump = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur > 0;
    if (prctl(PR_SET_DUMPABLE, may_dump ? 1 : 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}
