#ifndef COURTIER_COMMON_IPC_CONTROL_H
#define COURTIER_COMMON_IPC_CONTROL_H

/*
 * The master's word to a child: typed messages on a SOCK_SEQPACKET socketpair,
 * one packet each. Both ends are non-blocking, so neither the master nor a child
 * ever waits for the other. The list of messages is control_list.h.
 */

#include "common/conf/conf.h"

#include <stdint.h>

enum control_kind {
#define CONTROL(name, number, body_size) CONTROL_##name = (number),
#include "common/ipc/control_list.h"
#undef CONTROL
};

struct control_message {
    enum control_kind kind;
    union {
        struct conf_tunable conf; /* CONTROL_CONF */
        uint32_t ping;            /* CONTROL_PING */
    } body;
};

/* Makes a pair of close-on-exec, non-blocking ends. 0 or -errno. */
int control_open_pair(int *ret_master_fd, int *ret_child_fd);

/* Sends one message. 0; -EAGAIN when the child has not read for long; or another
 * -errno (-EPIPE: the child is gone). */
int control_send(int fd, const struct control_message *message);

/* Takes one message without waiting. 0; -EAGAIN when there is none; -EPIPE when
 * the other end is gone; -EPROTO for a packet that is no such message. */
int control_receive(int fd, struct control_message *ret_message);

#endif
