#ifndef COURTIER_COMMON_IPC_FDPASS_H
#define COURTIER_COMMON_IPC_FDPASS_H

/*
 * Passes a descriptor along with bytes over a Unix socket that keeps message
 * boundaries (SOCK_SEQPACKET, SOCK_DGRAM). The only place with SCM_RIGHTS.
 */

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Sends one message with `fd`, which stays open here. Never waits. 0 or -errno:
 * -EAGAIN when the socket is full, -ETOOMANYREFS when too many descriptors are
 * under way. */
int fdpass_send(int socket, int fd, struct iovec *iov, unsigned count);
/* Receives one message of at most `size` bytes and its descriptor (close-on-exec),
 * -1 when there is none or no room for it in this process. Never waits. Returns the
 * number of bytes, or -errno; -EMSGSIZE for a longer message, which is lost. 0 is
 * the end of the stream. */
ssize_t fdpass_receive(int socket, void *memory, size_t size, int *ret_fd);

#endif
