#include "common/ipc/log_channel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int log_channel_open_pair(int *ret_master_fd, int *ret_child_fd)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    *ret_master_fd = fds[0];
    *ret_child_fd = fds[1];
    return 0;
}

void log_channel_sink(enum log_level level, const char *line, size_t size, void *context)
{
    const struct log_channel *channel = context;
    uint8_t level_byte = (uint8_t)level;
    char text[LOG_LINE_MAX];
    if (size > sizeof text)
        size = sizeof text;
    memcpy(text, line, size); /* an iovec wants memory that it may write */
    struct iovec parts[2] = {{&level_byte, 1}, {text, size}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(channel->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        channel->on_dropped(channel->context);
}

/* The text comes from a process that may be broken into: it must not forge a
 * second line or steer a terminal. */
static void clean(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F)
            text[i] = '?';
    }
}

int log_channel_receive(int fd, struct log_channel_line *ret_line)
{
    uint8_t level = 0;
    struct iovec parts[2] = {{&level, 1}, {ret_line->text, LOG_LINE_MAX}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = recvmsg(fd, &packet, MSG_DONTWAIT);
    if (got < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    if (level >= LOG_LEVEL_COUNT || (packet.msg_flags & MSG_TRUNC))
        return -EPROTO;
    ret_line->level = (enum log_level)level;
    ret_line->size = (size_t)got - 1;
    ret_line->text[ret_line->size] = '\0';
    clean(ret_line->text, ret_line->size);
    return 0;
}
