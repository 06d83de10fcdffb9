/* Tries, from a participant's place, what the supervisor has to refuse; a line for each: name and errno's name.
 * probe i386: a call by the 32-bit entry point; probe abstract NAME: a connection to that abstract socket. */
#define _GNU_SOURCE
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void report(const char *name, long result)
{
    printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
}

static long abstract_connect(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
    return connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int child(void *unused)
{
    (void)unused;
    return 0;
}

/* With its exit status taken, so that nothing is left over. */
static void report_clone(const char *name, int flags)
{
    static char stack[65536] __attribute__((aligned(16)));
    int pid = clone(child, stack + sizeof stack, flags | SIGCHLD, NULL);

    report(name, pid);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

/* unshare changes whoever calls it. */
static void report_unshare(const char *name, int flags)
{
    int error, status;
    pid_t pid = fork();

    if (pid == 0) {
        error = unshare(flags) < 0 ? errno : 0;
        _exit(error);
    }
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    report(name, errno ? -1 : 0);
}

static void report_signals_by_other_ways(pid_t supervisor)
{
    struct f_owner_ex owner = {F_OWNER_PID, supervisor};
    int pair[2], proc, own = supervisor;
    char path[32];

    snprintf(path, sizeof path, "/proc/%d", supervisor);
    proc = open(path, O_RDONLY | O_DIRECTORY);
    report("pidfd_send_signal", syscall(SYS_pidfd_send_signal, proc, SIGTERM, NULL, 0));
    pipe(pair);
    report("setown", fcntl(pair[0], F_SETOWN, supervisor));
    report("setown_ex", fcntl(pair[0], F_SETOWN_EX, &owner));
    report("setsig", fcntl(pair[0], F_SETSIG, SIGTERM));
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    report("fiosetown", ioctl(pair[0], FIOSETOWN, &own));
    report("siocspgrp", ioctl(pair[0], SIOCSPGRP, &own));
}

static void report_kernel_surface(void)
{
    report_clone("clone", 0);
    report_clone("clone-user", CLONE_NEWUSER);
    report_clone("clone-net", CLONE_NEWNET);
    report_unshare("unshare-files", CLONE_FILES);
    report_unshare("unshare-user", CLONE_NEWUSER);
    report_unshare("unshare-time", 0x80 /* CLONE_NEWTIME */);
    report("clone3", syscall(SYS_clone3, NULL, 0));
    report("setns", syscall(SYS_setns, 0, 0));
    report("userfaultfd", syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
    report("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    report("bpf", syscall(SYS_bpf, 0, NULL, 0));
    report("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    report("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3));
    report("request_key", syscall(SYS_request_key, "user", "a", NULL, -3));
    report("fanotify", syscall(SYS_fanotify_init, 0, 0));
    report("shmget", syscall(SYS_shmget, 0, 4096, 01600));
    report("semget", syscall(SYS_semget, 0, 1, 01600));
    report("msgget", syscall(SYS_msgget, 0, 01600));
    report("mq_open", syscall(SYS_mq_open, "a", O_CREAT | O_RDWR, 0600, NULL));
}

int main(int argc, char **argv)
{
    pid_t supervisor = getppid();
    struct rlimit cpu = {0, 0}, limit;
    struct iovec iovec = {&cpu, sizeof cpu};
    int pair[2];

    if (argc > 1 && !strcmp(argv[1], "i386")) {
#ifdef __x86_64__
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
        printf("i386 ok\n");
#endif
        return 0;
    }
    if (argc > 2) {
        report("abstract", abstract_connect(argv[2]));
        return 0;
    }
    report("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
    report("socketpair-unix", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    report("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
    report("socket-inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    report("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    report("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
    report("socket-vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    report("socketpair-inet", socketpair(AF_INET, SOCK_STREAM, 0, pair));
    /* The kernel takes the low half alone as the family, so must the filter. */
    report("socket-inet-high-bits", syscall(SYS_socket, (1L << 32) | AF_INET, SOCK_STREAM, 0));
    report("io_uring", syscall(SYS_io_uring_setup, 1, &(struct io_uring_params){0}));
#ifdef __x86_64__
    report("x32", syscall(0x40000000L + SYS_getpid));
    report("x32-socket", syscall(0x40000000L + SYS_socket, AF_INET, SOCK_STREAM, 0));
#endif
    report("kill", kill(supervisor, SIGTERM));
    report("kill-kill", kill(supervisor, SIGKILL));
    report("tgkill", syscall(SYS_tgkill, supervisor, supervisor, SIGTERM));
    report("sigqueue", sigqueue(supervisor, SIGTERM, (union sigval){0}));
    report("pidfd_open", syscall(SYS_pidfd_open, supervisor, 0));
    report("ptrace", ptrace(PTRACE_SEIZE, supervisor, 0, 0));
    report("process_vm_readv", process_vm_readv(supervisor, &iovec, 1, &iovec, 1, 0));
    report("process_vm_writev", process_vm_writev(supervisor, &iovec, 1, &iovec, 1, 0));
    report("prlimit", prlimit(supervisor, RLIMIT_CPU, &cpu, NULL));
    report("setpriority", setpriority(PRIO_PROCESS, supervisor, 19));
    report("setpriority-user", setpriority(PRIO_USER, 0, 19));
    report("sched_setaffinity", syscall(SYS_sched_setaffinity, supervisor, sizeof limit, &limit));
    report_signals_by_other_ways(supervisor);
    report_kernel_surface();
    report("prlimit-own", prlimit(0, RLIMIT_NPROC, NULL, &limit));
    printf("nproc %lu\n", (unsigned long)limit.rlim_max);
    limit.rlim_max++;
    report("raise-nproc", setrlimit(RLIMIT_NPROC, &limit));
    getrlimit(RLIMIT_FSIZE, &limit);
    printf("fsize %lu\n", (unsigned long)limit.rlim_max);
    limit.rlim_max++;
    report("raise-fsize", setrlimit(RLIMIT_FSIZE, &limit));
    getrlimit(RLIMIT_CORE, &limit);
    printf("core %lu\n", (unsigned long)limit.rlim_max);
    printf("session %s\n", getsid(0) == getpid() ? "own" : "shared");
    printf("stdin %zd\n", read(0, &limit, 1));
    return 0;
}
