#ifndef COURTIER_WORKER_NET_LOOP_URING_H
#define COURTIER_WORKER_NET_LOOP_URING_H

/*
 * The io_uring backend. Operations are started by filling the submission queue,
 * which one system call per turn hands over; the same call waits. Completions
 * are copied out of the kernel's queue first and run after, so a callback may
 * start what it likes.
 *
 * user_data is the address of the operation's owner with the kind of operation
 * in its low bits. A socket has at most one receive and one send in flight and
 * counts both; the owner is freed when none is left.
 *
 * A receive ends with the completion that lacks IORING_CQE_F_MORE. Stopping it is
 * a cancel request whose own result nobody needs: whichever way the race between
 * data and cancel goes, the receive's last completion tells the end. It is armed
 * anew then if it is wanted again.
 */

#include "worker/net/buffers.h"
#include "worker/net/loop_backend.h"

#include <liburing.h>

enum {
    LOOP_URING_BATCH_MAX = 512, /* completions per turn */
    LOOP_URING_ARENA_SIZE = 64 * 1024
};

/* Kinds of operation; a pointer to an owner has three bits for them. */
enum loop_uring_tag {
    LOOP_URING_NONE, /* cancel requests */
    LOOP_URING_RECEIVE,
    LOOP_URING_SEND,
    LOOP_URING_ACCEPT,
    LOOP_URING_WATCH
};
enum { LOOP_URING_TAG_MASK = 7 };

struct loop_uring_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

struct loop_uring {
    struct loop loop; /* first: the address of both is the same */
    struct io_uring ring;
    struct buffers buffers;
    struct loop_socket *starved; /* receives that found no buffer */
    bool accepts_singly;
    unsigned batch_count;
    size_t arena_used;
    struct loop_uring_completion batch[LOOP_URING_BATCH_MAX];
    /* Message headers of sends that the kernel has not read yet. */
    _Alignas(16) uint8_t arena[LOOP_URING_ARENA_SIZE];
};

struct loop_uring *loop_uring_of(struct loop *loop);
/* A free submission entry for an operation of `owner`. The caller calls a
 * prepare function and then loop_uring_tag(). NULL when the kernel takes no more
 * for now: no memory, or completions have piled up. */
struct io_uring_sqe *loop_uring_next_sqe(struct loop_uring *u);
void loop_uring_tag(struct io_uring_sqe *sqe, const void *owner, enum loop_uring_tag tag);
/* Asks an operation to end. False when there is no submission entry. */
bool loop_uring_cancel(struct loop_uring *u, const void *owner, enum loop_uring_tag tag);
/* As loop_uring_next_sqe(), with memory that stays as it is until the entry is
 * submitted, 16-byte aligned. */
struct io_uring_sqe *loop_uring_next_sqe_with(struct loop_uring *u, size_t size, void **ret_memory);
/* Is this error one after which an operation is just started again? */
bool loop_uring_is_passing(int result);

#endif
