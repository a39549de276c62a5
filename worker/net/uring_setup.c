#include "worker/net/uring_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIAL_GROUP = 2, TRIAL_SIZE = 4096 };

/* From best to least. Deferred task work runs completions only when we ask for
 * them: no interrupts between, and a warm cache. */
static const unsigned flag_sets[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

static int open_ring(struct io_uring *ring, unsigned sq_entries, unsigned cq_entries)
{
    int r = -EINVAL;

    for (unsigned i = 0; r == -EINVAL && i < sizeof(flag_sets) / sizeof(*flag_sets); i++) {
        struct io_uring_params params = {
            .flags = flag_sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = cq_entries,
        };
        r = io_uring_queue_init_params(sq_entries, ring, &params);
    }
    return r;
}

/* Waits for one completion and tells its flags, or -errno. */
static int wait_flags(struct io_uring *ring, unsigned *ret_flags)
{
    struct io_uring_cqe *cqe;
    int r = io_uring_submit_and_wait(ring, 1);

    if (r >= 0)
        r = io_uring_wait_cqe(ring, &cqe);
    if (r < 0)
        return r;
    *ret_flags = cqe->flags;
    io_uring_cqe_seen(ring, cqe);
    return 0;
}

/* One byte, then the end, through a receive that goes on until told otherwise. */
static int receive_byte(struct io_uring *ring, const int sockets[2])
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    unsigned flags;

    io_uring_prep_recv_multishot(sqe, sockets[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = TRIAL_GROUP;
    if (send(sockets[1], "", 1, MSG_NOSIGNAL) != 1)
        return -errno;
    int r = wait_flags(ring, &flags);
    if (r < 0)
        return r;
    if (!(flags & IORING_CQE_F_MORE) || !(flags & IORING_CQE_F_BUFFER))
        return -EOPNOTSUPP;
    shutdown(sockets[1], SHUT_WR);
    while (r == 0 && (flags & IORING_CQE_F_MORE))
        r = wait_flags(ring, &flags);
    return r;
}

static int receive_on_pair(struct io_uring *ring)
{
    int sockets[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        return -errno;
    int r = receive_byte(ring, sockets);
    close(sockets[0]);
    close(sockets[1]);
    return r;
}

/* No feature flag tells of multishot receives and buffer rings: try them. */
static int try_multishot(struct io_uring *ring)
{
    struct io_uring_buf_ring *buffers =
        mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffers,
        .ring_entries = 1,
        .bgid = TRIAL_GROUP,
    };

    if (buffers == MAP_FAILED)
        return -errno;
    int r = io_uring_register_buf_ring(ring, &reg, 0);
    if (r == 0) {
        io_uring_buf_ring_init(buffers);
        io_uring_buf_ring_add(buffers, (char *)buffers + TRIAL_SIZE / 2, TRIAL_SIZE / 2, 0, 0, 0);
        io_uring_buf_ring_advance(buffers, 1);
        r = receive_on_pair(ring);
        io_uring_unregister_buf_ring(ring, TRIAL_GROUP);
    }
    munmap(buffers, TRIAL_SIZE);
    return r == -EINVAL ? -EOPNOTSUPP : r;
}

int uring_setup_open(struct io_uring *ret_ring, unsigned sq_entries, unsigned cq_entries)
{
    const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;
    struct io_uring ring;
    int r = open_ring(&ring, sq_entries, cq_entries);

    if (r < 0)
        return r;
    r = (ring.features & needed) == needed ? try_multishot(&ring) : -EOPNOTSUPP;
    if (r < 0) {
        io_uring_queue_exit(&ring);
        return r;
    }
    /* Saves the kernel a look-up per call; without it all works as well. */
    io_uring_register_ring_fd(&ring);
    *ret_ring = ring;
    return 0;
}

/* The value of kernel.io_uring_disabled, or 0 on kernels that do not have it, or
 * '?' when it is hidden. */
static char disabled_value(void)
{
    char value = '?';
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return value;
    if (read(fd, &value, 1) != 1)
        value = '?';
    close(fd);
    return value;
}

static const char *refusal(void)
{
    switch (disabled_value()) {
    case '0':
        return "io_uring is refused although kernel.io_uring_disabled is 0: a container's or "
               "service's system call filter forbids it";
    case '1':
        return "io_uring is refused: kernel.io_uring_disabled is 1, which leaves it to "
               "CAP_SYS_ADMIN and the group kernel.io_uring_group";
    case '2':
        return "io_uring is refused: kernel.io_uring_disabled is 2";
    default:
        return "io_uring is refused (kernel.io_uring_disabled can't be read): a system call "
               "filter or that setting forbids it";
    }
}

const char *uring_setup_reason(int error)
{
    switch (error) {
    case -EPERM:
    case -EACCES:
        return refusal();
    case -ENOSYS:
        return "this kernel has no io_uring, or a system call filter hides it";
    case -EOPNOTSUPP:
        return "this kernel's io_uring is too old (6.1 is needed)";
    case -ENOMEM:
        return "no memory for io_uring, or too little may be locked (ulimit -l)";
    case -EMFILE:
    case -ENFILE:
        return "no descriptor for io_uring";
    default:
        return "io_uring failed to start";
    }
}
