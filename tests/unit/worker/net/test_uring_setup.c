#include "worker/net/uring_setup.h"

#include "tests/unit/worker/net/net_fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Makes io_uring_setup() fail in this process, as containers do. */
static void refuse_io_uring(int error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = 4, .filter = program};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(77);
}

/* In a child of its own: exit code 0 when all went as it should, 77 when the
 * filter can't be set. */
static void try_refused(int error, const char *needle)
{
    struct loop *loop;
    const char *reason;

    refuse_io_uring(error);
    if (loop_open(&loop, CONF_LOOP_URING, NULL, &reason) != -error || !strstr(reason, needle))
        _exit(1);
    if (loop_open(&loop, CONF_LOOP_AUTO, NULL, &reason) != 0)
        _exit(2);
    if (strcmp(loop_name(loop), "epoll") != 0 || !strstr(reason, needle))
        _exit(3);
    if (loop_turn(loop, true, loop_now_ms(loop) + 5) != 0)
        _exit(4);
    loop_close(loop);
    _exit(0);
}

static void expect_refused(int error, const char *needle)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        try_refused(error, needle);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_loop_open_refused_falls_back(void **state)
{
    (void)state;
    expect_refused(EPERM, "kernel.io_uring_disabled");
}

static void test_loop_open_absent_falls_back(void **state)
{
    (void)state;
    expect_refused(ENOSYS, "no io_uring");
}

static void test_uring_setup_reason_is_never_empty(void **state)
{
    static const int ERRORS[] = {-EPERM, -EACCES, -ENOSYS, -EOPNOTSUPP, -ENOMEM, -EMFILE, -EIO};

    (void)state;
    for (unsigned i = 0; i < sizeof(ERRORS) / sizeof(ERRORS[0]); i++)
        assert_true(strlen(uring_setup_reason(ERRORS[i])) > 10);
}

static void test_uring_setup_open_leaves_an_empty_ring(void **state)
{
    struct io_uring ring;
    struct io_uring_cqe *cqe;
    int r = uring_setup_open(&ring, 8, 64);

    (void)state;
    if (r < 0) {
        print_message("skipped: %s\n", uring_setup_reason(r));
        skip();
    }
    assert_int_equal(io_uring_get_events(&ring), 0);
    assert_int_equal(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
    io_uring_queue_exit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_open_refused_falls_back),
        cmocka_unit_test(test_loop_open_absent_falls_back),
        cmocka_unit_test(test_uring_setup_reason_is_never_empty),
        cmocka_unit_test(test_uring_setup_open_leaves_an_empty_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
