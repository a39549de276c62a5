#include "worker/net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct peer peer_of_ipv4(const struct sockaddr_in *address)
{
    struct peer peer = {.port = ntohs(address->sin_port), .family = AF_INET};

    memcpy(peer.address, &address->sin_addr, sizeof(address->sin_addr));
    return peer;
}

static struct peer peer_of_ipv6(const struct sockaddr_in6 *address)
{
    struct peer peer = {.port = ntohs(address->sin6_port), .family = AF_INET6};
    const uint8_t *bytes = address->sin6_addr.s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) {
        peer.family = AF_INET;
        memcpy(peer.address, bytes + 12, 4);
    } else {
        memcpy(peer.address, bytes, sizeof(peer.address));
    }
    return peer;
}

struct peer peer_of(const struct sockaddr *address, socklen_t size)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (size < sizeof(address->sa_family))
        return (struct peer){0};
    if (address->sa_family == AF_INET && size >= sizeof(ipv4)) {
        memcpy(&ipv4, address, sizeof(ipv4));
        return peer_of_ipv4(&ipv4);
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(ipv6)) {
        memcpy(&ipv6, address, sizeof(ipv6));
        return peer_of_ipv6(&ipv6);
    }
    return (struct peer){.family = address->sa_family == AF_UNIX ? AF_UNIX : 0};
}

struct peer_text peer_text(const struct peer *peer)
{
    struct peer_text text;
    char address[INET6_ADDRSTRLEN];

    switch (peer->family) {
    case AF_INET:
        inet_ntop(AF_INET, peer->address, address, sizeof(address));
        snprintf(text.text, sizeof(text.text), "%s:%u", address, peer->port);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, peer->address, address, sizeof(address));
        snprintf(text.text, sizeof(text.text), "[%s]:%u", address, peer->port);
        break;
    default:
        strcpy(text.text, peer->family == AF_UNIX ? "unix" : "unknown");
    }
    return text;
}
