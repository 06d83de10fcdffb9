#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

#define GO_FD 3 /* in the command, where it has one */
#define STATUS_FD 4

static _Noreturn void give_up(const char *step)
{
    struct start_failure failure = {.error = errno};

    snprintf(failure.step, sizeof failure.step, "%s", step);
    if (write(STATUS_FD, &failure, sizeof failure) < 0)
        _exit(126);
    _exit(127);
}

/* As low as it is already, should that be lower: it can't be raised again without privilege. */
static int limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit limits;

    if (getrlimit(resource, &limits) < 0)
        return -1;
    most = most < limits.rlim_max ? most : limits.rlim_max;
    return setrlimit(resource, &(struct rlimit){most, most});
}

/* Out of the way of the numbers that the command will see, so that dup2 below overwrites none of these. */
static int move_up(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static void arrange_descriptors(int output, int status, int go)
{
    int null;

    status = move_up(status);
    if (dup3(status, STATUS_FD, O_CLOEXEC) < 0)
        _exit(126);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        give_up("/dev/null");
    output = move_up(output);
    go = move_up(go);
    if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        give_up("descriptors");
    if (go >= 0 && dup2(go, GO_FD) < 0)
        give_up("descriptors");
    if (go < 0)
        close(GO_FD);
    if (syscall(SYS_close_range, STATUS_FD + 1, ~0U, 0) == 0)
        return;
    for (int fd = (int)sysconf(_SC_OPEN_MAX); fd > STATUS_FD; fd--) /* Linux before 5.9 */
        close(fd);
}

static void default_signals(void)
{
    /* As the kernel takes it. The C library keeps 32 and 33 for itself and would leave them as they were inherited. */
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {.handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask); /* KILL and STOP have no other */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_command(const struct options *options, int output, int status, int go, pid_t supervisor)
{
    arrange_descriptors(output, status, go);
    default_signals();
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(126);
    if (limit(RLIMIT_NPROC, options->max_processes) < 0)
        give_up("process limit");
    if (limit(RLIMIT_FSIZE, options->max_file_size) < 0)
        give_up("file size limit");
    if (limit(RLIMIT_CORE, 0) < 0)
        give_up("core limit");
    if (unsetenv("ALCOVE_GO_FD") < 0 || (go >= 0 && setenv("ALCOVE_GO_FD", "3", 1) < 0))
        give_up("environment");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        give_up("no_new_privs");
    if (landlock_confine(options->writable) < 0)
        give_up("writable folders");
    if (filter_install(options->allow_network, supervisor) < 0)
        give_up("system call filter");
    execvp(options->command[0], options->command);
    give_up("exec");
}

bool child_start(const struct options *options, struct child *child)
{
    int output[2] = {-1, -1}, status[2] = {-1, -1}, go[2] = {-1, -1};
    pid_t supervisor = getpid();

    if (pipe2(output, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    if (options->runner_asks && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
        return false;
    /* Ours alone: the command's end is a description of its own and blocks as programs expect. */
    if (fcntl(output[0], F_SETFL, O_NONBLOCK) < 0)
        return false;
    child->pid = fork();
    if (child->pid < 0)
        return false;
    if (child->pid == 0)
        become_command(options, output[1], status[1], go[1], supervisor);
    close(output[1]);
    close(status[1]);
    if (go[1] >= 0)
        close(go[1]);
    child->output_fd = output[0];
    child->status_fd = status[0];
    child->go_fd = go[0];
    return true;
}

bool child_start_failed(const struct child *child, struct start_failure *failure)
{
    return read(child->status_fd, failure, sizeof *failure) == (ssize_t)sizeof *failure;
}
