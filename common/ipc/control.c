#include "common/ipc/control.h"

#include "common/base/check.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* Both ends are the same program, forked: the body crosses as it lies in memory. */
struct packet {
    uint32_t kind;
    unsigned char body[sizeof((struct control_message){0}.body)];
};

/* Size of a kind's body, or -EPROTO for a kind that does not exist. */
static int body_size(uint32_t kind)
{
    switch (kind) {
#define CONTROL(name, number, size) \
    case (number): \
        return (int)(size);
#include "common/ipc/control_list.h"
#undef CONTROL
    default:
        return -EPROTO;
    }
}

int control_open_pair(int *ret_master_fd, int *ret_child_fd)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    *ret_master_fd = fds[0];
    *ret_child_fd = fds[1];
    return 0;
}

int control_send(int fd, const struct control_message *message)
{
    int size = body_size(message->kind);
    check(size >= 0);
    struct packet packet = {.kind = message->kind};
    memcpy(packet.body, &message->body, (size_t)size);
    size_t total = offsetof(struct packet, body) + (size_t)size;
    if (send(fd, &packet, total, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    return 0;
}

int control_receive(int fd, struct control_message *ret_message)
{
    struct packet packet;
    ssize_t got = recv(fd, &packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    if (got < (ssize_t)offsetof(struct packet, body))
        return -EPROTO;
    int size = body_size(packet.kind);
    if (size < 0)
        return -EPROTO;
    if (got != (ssize_t)offsetof(struct packet, body) + size)
        return -EPROTO;
    ret_message->kind = (enum control_kind)packet.kind;
    memcpy(&ret_message->body, packet.body, (size_t)size);
    return 0;
}
