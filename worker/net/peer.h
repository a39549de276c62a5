#ifndef COURTIER_WORKER_NET_PEER_H
#define COURTIER_WORKER_NET_PEER_H

/* The address of a client, small enough to keep per connection. */

#include <stdint.h>
#include <sys/socket.h>

struct peer {
    uint8_t address[16];
    uint16_t port;  /* host order */
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX or 0 */
};

/* For logs: "192.0.2.1:1234", "[2001:db8::1]:1234", "unix" or "unknown". */
struct peer_text {
    char text[56];
};

/* From what accept() or getpeername() gave; v4-mapped addresses become AF_INET. */
struct peer peer_of(const struct sockaddr *address, socklen_t size);
struct peer_text peer_text(const struct peer *peer);

#endif
