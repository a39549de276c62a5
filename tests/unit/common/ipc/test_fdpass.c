#include "common/ipc/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_fdpass_carries_bytes_and_descriptor(void **state)
{
    int sockets[2];
    int pipes[2];
    int fd;
    char memory[16];
    char first[] = "he";
    char second[] = "llo";
    struct iovec iov[2] = {{first, 2}, {second, 3}};

    (void)state;
    pair(sockets);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fdpass_send(sockets[0], pipes[1], iov, 2), 0);
    close(pipes[1]);
    assert_int_equal(fdpass_receive(sockets[1], memory, sizeof(memory), &fd), 5);
    assert_memory_equal(memory, "hello", 5);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(read(pipes[0], memory, 1), 1);
    close(fd);
    close(pipes[0]);
    close(sockets[0]);
    close(sockets[1]);
}

static void test_fdpass_receive_without_descriptor(void **state)
{
    int sockets[2];
    int fd = 77;
    char memory[4];

    (void)state;
    pair(sockets);
    assert_int_equal(fdpass_receive(sockets[1], memory, sizeof(memory), &fd), -EAGAIN);
    assert_int_equal(send(sockets[0], "abc", 3, 0), 3);
    assert_int_equal(fdpass_receive(sockets[1], memory, sizeof(memory), &fd), 3);
    assert_int_equal(fd, -1);
    assert_int_equal(send(sockets[0], "abcde", 5, 0), 5);
    assert_int_equal(fdpass_receive(sockets[1], memory, sizeof(memory), &fd), -EMSGSIZE);
    close(sockets[0]);
    assert_int_equal(fdpass_receive(sockets[1], memory, sizeof(memory), &fd), 0);
    close(sockets[1]);
}

static void test_fdpass_send_tells_when_full(void **state)
{
    static char memory[4096];
    struct iovec iov = {memory, sizeof(memory)};
    int sockets[2];
    int r = 0;

    (void)state;
    pair(sockets);
    for (unsigned i = 0; r == 0 && i < 10000; i++)
        r = fdpass_send(sockets[0], sockets[0], &iov, 1);
    assert_int_equal(r, -EAGAIN);
    close(sockets[0]);
    close(sockets[1]);
}

/* No room for the descriptor: the bytes come, and nothing leaks. */
static void test_fdpass_receive_at_descriptor_limit(void **state)
{
    struct rlimit old;
    struct rlimit none;
    int sockets[2];
    int fd = 77;
    char byte = 'x';
    struct iovec iov = {&byte, 1};

    (void)state;
    pair(sockets);
    assert_int_equal(fdpass_send(sockets[0], sockets[0], &iov, 1), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(fdpass_receive(sockets[1], &byte, 1, &fd), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(fd, -1);
    close(sockets[0]);
    close(sockets[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fdpass_carries_bytes_and_descriptor),
        cmocka_unit_test(test_fdpass_receive_without_descriptor),
        cmocka_unit_test(test_fdpass_send_tells_when_full),
        cmocka_unit_test(test_fdpass_receive_at_descriptor_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
