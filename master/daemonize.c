#include "master/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The foreground process: waits for the word of the background one, or for its
 * end without a word. */
_Noreturn static void wait_for_start(int fd, pid_t pid)
{
    char word = 0;
    int status = 0;
    ssize_t got;
    do {
        got = read(fd, &word, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        _exit(EXIT_SUCCESS);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

int daemonize_start(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_start(fds[0], pid);
    }
    close(fds[0]);
    setsid();
    return fds[1];
}

void daemonize_ready(int fd)
{
    if (fd < 0)
        return;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0) {
        for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
            dup2(nowhere, i);
        if (nowhere > STDERR_FILENO)
            close(nowhere);
    }
    (void)!write(fd, "", 1);
    close(fd);
}
