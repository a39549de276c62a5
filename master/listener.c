#include "master/listener.h"

#include "common/base/check.h"
#include "common/base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,  /* the kernel cuts it to net.core.somaxconn */
    PORT_TRIES = 16, /* port 0: to find one that is free for all addresses */
    PLACE_SIZE = 128 /* an address and port as text */
};

struct opening {
    struct listener_set *set;
    const struct conf_listener *conf;
    uint16_t port;  /* the one in the file, or what the kernel picked for port 0 */
    unsigned first; /* this listener's addresses begin here in the set */
};

static struct listener_address *add_address(struct listener_set *set,
                                            const struct conf_listener *conf)
{
    size_t count = set->address_count + 1;
    struct listener_address *grown = realloc(set->addresses, count * sizeof *grown);
    int *fds = malloc(set->worker_count * sizeof *fds);
    if (grown == NULL || fds == NULL)
        fatal("no memory at start");
    for (unsigned i = 0; i < set->worker_count; i++)
        fds[i] = -1;
    set->addresses = grown;
    grown[set->address_count] = (struct listener_address){.conf = conf, .fds = fds};
    return &grown[set->address_count++];
}

static void close_address(struct listener_set *set, struct listener_address *address)
{
    unsigned distinct = address->unix_path == NULL ? set->worker_count : 1;
    for (unsigned i = 0; i < distinct; i++)
        if (address->fds[i] >= 0)
            close(address->fds[i]);
    if (address->unix_path != NULL)
        unlink(address->unix_path);
    free(address->unix_path);
    free(address->fds);
}

static void close_from(struct listener_set *set, unsigned first)
{
    while (set->address_count > first)
        close_address(set, &set->addresses[--set->address_count]);
}

static void set_port(struct sockaddr_storage *where, uint16_t port)
{
    if (where->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)where)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)where)->sin_port = htons(port);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage where = {0};
    socklen_t size = sizeof where;
    if (getsockname(fd, (struct sockaddr *)&where, &size) < 0)
        return 0;
    return ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                                             : ((struct sockaddr_in *)&where)->sin_port);
}

/* A bound socket, or -errno. */
static int bind_tcp(const struct sockaddr_storage *where, socklen_t size, bool shared)
{
    const int on = 1;
    int fd = socket(where->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    bool failed = shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0;
    if (failed || bind(fd, (const struct sockaddr *)where, size) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* SO_REUSEPORT would let a second broker of the same user share our port without
 * a word, and get half of our connections. A socket without it can't be bound
 * then, so try with one first. */
static int probe_port(const struct sockaddr_storage *where, socklen_t size)
{
    int fd = bind_tcp(where, size, false);
    if (fd < 0)
        return fd;
    int r = listen(fd, 1) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int open_sockets(struct opening *opening, struct listener_address *address,
                        struct sockaddr_storage *where, socklen_t size)
{
    for (unsigned i = 0; i < opening->set->worker_count; i++) {
        set_port(where, opening->port);
        int fd = bind_tcp(where, size, true);
        if (fd < 0)
            return fd;
        address->fds[i] = fd;
        if (listen(fd, BACKLOG) < 0)
            return -errno;
        if (opening->port == 0)
            opening->port = bound_port(fd);
    }
    return 0;
}

/* Opens one address for all workers. 0 or -errno, and then nothing is added. */
static int open_tcp_address(struct opening *opening, const struct addrinfo *info)
{
    struct sockaddr_storage where = {0};
    memcpy(&where, info->ai_addr, info->ai_addrlen);
    set_port(&where, opening->port);
    if (opening->port != 0) {
        int r = probe_port(&where, info->ai_addrlen);
        if (r < 0)
            return r;
    }
    struct listener_address *address = add_address(opening->set, opening->conf);
    int r = open_sockets(opening, address, &where, info->ai_addrlen);
    if (r < 0)
        close_from(opening->set, opening->set->address_count - 1);
    return r;
}

static void describe(const struct addrinfo *info, uint16_t port, char text[PLACE_SIZE])
{
    char host[64];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST))
        snprintf(host, sizeof host, "?");
    snprintf(text, PLACE_SIZE, info->ai_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
}

/* This machine does not have that kind of address, which is fine as long as the
 * listener has another. */
static bool is_missing_family(int error)
{
    return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

/* 0, or the error of the first address that failed for a reason. */
static int open_all_addresses(struct opening *opening, const struct addrinfo *first)
{
    int missing = 0;
    for (const struct addrinfo *info = first; info != NULL; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        int r = open_tcp_address(opening, info);
        if (r == 0)
            continue;
        char place[PLACE_SIZE];
        describe(info, opening->port, place);
        if (!is_missing_family(r)) {
            if (r != -EADDRINUSE || opening->conf->port != 0)
                log_error("Cannot listen on %s: %s.", place, strerror(-r));
            return r;
        }
        log_debug("No listen socket on %s: %s.", place, strerror(-r));
        missing = r;
    }
    return opening->set->address_count > opening->first ? 0 : missing;
}

static int socket_family(enum conf_socket_domain domain)
{
    switch (domain) {
    case CONF_DOMAIN_IPV4:
        return AF_INET;
    case CONF_DOMAIN_IPV6:
        return AF_INET6;
    case CONF_DOMAIN_ANY:
        return AF_UNSPEC;
    }
    unreachable();
}

/* The addresses of a listener; NULL after an error line. Without a host the
 * passive flag chooses between loopback and all addresses. */
static struct addrinfo *resolve(const struct conf_listener *conf)
{
    struct addrinfo *found = NULL;
    struct addrinfo hints = {
        .ai_family = socket_family(conf->domain),
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (conf->local_only ? 0 : AI_PASSIVE),
    };
    int r = getaddrinfo(conf->address, "0", &hints, &found);
    if (r == 0)
        return found;
    log_error("Cannot find the address \"%s\" of the listener on port %u: %s.",
              conf->address == NULL ? "*" : conf->address, conf->port, gai_strerror(r));
    return NULL;
}

static void log_opened(const struct opening *opening)
{
    for (unsigned i = opening->first; i < opening->set->address_count; i++) {
        struct sockaddr_storage where = {0};
        socklen_t size = sizeof where;
        getsockname(opening->set->addresses[i].fds[0], (struct sockaddr *)&where, &size);
        log_info("Opening %s listen socket on port %u.",
                 where.ss_family == AF_INET6 ? "ipv6" : "ipv4", opening->port);
    }
}

static int open_tcp(struct listener_set *set, const struct conf_listener *conf)
{
    struct opening opening = {.set = set, .conf = conf, .first = set->address_count};
    struct addrinfo *found = resolve(conf);
    if (found == NULL)
        return -EADDRNOTAVAIL;
    int r = -EADDRINUSE;
    unsigned tries = conf->port == 0 ? PORT_TRIES : 1;
    while (r == -EADDRINUSE && tries-- > 0) {
        close_from(set, opening.first);
        opening.port = conf->port;
        r = open_all_addresses(&opening, found);
    }
    freeaddrinfo(found);
    if (r == 0)
        log_opened(&opening);
    else if (is_missing_family(r) || conf->port == 0)
        log_error("Cannot listen on %s, port %u: %s.",
                  conf->address == NULL ? "any address" : conf->address, conf->port, strerror(-r));
    return r;
}

/* Removes the socket that an earlier broker left; refuses to touch one that is in
 * use, or what is no socket. */
static int clear_unix_path(const struct sockaddr_un *where)
{
    struct stat status;
    if (lstat(where->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = connect(fd, (const struct sockaddr *)where, sizeof *where);
    bool stale = r < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return -EADDRINUSE;
    return unlink(where->sun_path) < 0 ? -errno : 0;
}

static int open_unix_socket(struct listener_address *address, const struct sockaddr_un *where)
{
    int r = clear_unix_path(where);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    address->fds[0] = fd;
    if (bind(fd, (const struct sockaddr *)where, sizeof *where) < 0)
        return -errno;
    address->unix_path = strdup(where->sun_path);
    if (address->unix_path == NULL)
        fatal("no memory at start");
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int open_unix(struct listener_set *set, const struct conf_listener *conf)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    int r = -ENAMETOOLONG;
    struct listener_address *address = add_address(set, conf);
    if (strlen(conf->unix_path) < sizeof where.sun_path) {
        strcpy(where.sun_path, conf->unix_path);
        r = open_unix_socket(address, &where);
    }
    if (r < 0) {
        log_error("Cannot listen on the Unix socket %s: %s.", conf->unix_path, strerror(-r));
        return r;
    }
    for (unsigned i = 1; i < set->worker_count; i++)
        address->fds[i] = address->fds[0];
    log_info("Opening unix listen socket on path %s.", conf->unix_path);
    return 0;
}

static void log_local_only(void)
{
    log_notice("Starting in local only mode. Connections will only be possible from clients "
               "running on this machine.");
    log_notice("Create a configuration file which defines a listener to allow remote access.");
}

int listener_open_all(struct listener_set *ret_set, const struct conf *conf, unsigned worker_count)
{
    *ret_set = (struct listener_set){.worker_count = worker_count};
    int result = 0;
    list_for_each(node, &conf->listeners) {
        const struct conf_listener *listener = list_owner(node, struct conf_listener, node);
        if (listener->local_only)
            log_local_only();
        int r = listener->unix_path != NULL ? open_unix(ret_set, listener)
                                            : open_tcp(ret_set, listener);
        if (r < 0)
            result = r; /* go on: the operator sees all that is wrong at once */
    }
    if (result < 0)
        listener_close_all(ret_set);
    return result;
}

void listener_close_all(struct listener_set *set)
{
    close_from(set, 0);
    free(set->addresses);
    set->addresses = NULL;
}

void listener_of_worker(const struct listener_set *set, unsigned worker,
                        struct inherit_listener *ret_listeners)
{
    check(worker < set->worker_count);
    for (unsigned i = 0; i < set->address_count; i++)
        ret_listeners[i] = (struct inherit_listener){
            .fd = set->addresses[i].fds[worker],
            .listener_index = set->addresses[i].conf->index,
        };
}
