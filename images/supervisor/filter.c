#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "the filter knows x86_64 and aarch64"
#endif

/* Where the low and the high half of a system call's argument lie; both architectures are little-endian. */
#define ARGUMENT(i) ((uint32_t)offsetof(struct seccomp_data, args[i]))

struct refusal {
    int nr;
    int error;
};

/* Refused whatever the arguments. ENOSYS where libraries then do without, as on a kernel that has no such call. */
static const struct refusal refused[] = {
    /* Opens and uses sockets past a filter on socket(). */
    {__NR_io_uring_setup, ENOSYS},
    {__NR_io_uring_enter, ENOSYS},
    {__NR_io_uring_register, ENOSYS},
    /* Into another process's memory or descriptors. */
    {__NR_ptrace, EPERM},
    {__NR_process_vm_readv, EPERM},
    {__NR_process_vm_writev, EPERM},
    {__NR_pidfd_getfd, EPERM},
    {__NR_userfaultfd, EPERM},
    {__NR_perf_event_open, EPERM},
    {__NR_bpf, EPERM},
    /* A folder of /proc is a pidfd too, so a filter cannot tell whom the signal is for. */
    {__NR_pidfd_send_signal, ENOSYS},
    /* Its flags lie in memory, where a filter cannot read them. Libraries then use clone, whose flags are below. */
    {__NR_clone3, ENOSYS},
    {__NR_setns, EPERM},
    /* Kept per uid, or in the IPC namespace: the recorder has the same. */
    {__NR_add_key, EPERM},
    {__NR_request_key, EPERM},
    {__NR_keyctl, EPERM},
    {__NR_fanotify_init, ENOSYS},
    {__NR_mq_open, ENOSYS},
    {__NR_shmget, ENOSYS},
    {__NR_shmat, ENOSYS},
    {__NR_shmctl, ENOSYS},
    {__NR_semget, ENOSYS},
    {__NR_semctl, ENOSYS},
    {__NR_semop, ENOSYS},
    {__NR_semtimedop, ENOSYS},
    {__NR_msgget, ENOSYS},
    {__NR_msgctl, ENOSYS},
    {__NR_msgsnd, ENOSYS},
    {__NR_msgrcv, ENOSYS},
};

enum comparison { EQUALS = BPF_JEQ, HAS_ANY_OF = BPF_JSET };

struct condition {
    int nr;
    int argument;
    enum comparison comparison;
    uint32_t value;
};

/* Refused with EPERM where an argument says so. SUPERVISOR stands for its pid. */
#define SUPERVISOR UINT32_MAX
#define NEW_NAMESPACES                                                                                               \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
static const struct condition conditions[] = {
    /* How a process of the same uid could slow or end the supervisor (a CPU limit of zero kills even PID 1), or hide a
     * signal from outside behind one of its own. */
    {__NR_kill, 0, EQUALS, SUPERVISOR},
    {__NR_tkill, 0, EQUALS, SUPERVISOR},
    {__NR_tgkill, 0, EQUALS, SUPERVISOR},
    {__NR_rt_sigqueueinfo, 0, EQUALS, SUPERVISOR},
    {__NR_rt_tgsigqueueinfo, 0, EQUALS, SUPERVISOR},
    {__NR_pidfd_open, 0, EQUALS, SUPERVISOR},
    {__NR_fcntl, 1, EQUALS, F_SETOWN},
    {__NR_fcntl, 1, EQUALS, F_SETOWN_EX},
    {__NR_fcntl, 1, EQUALS, F_SETSIG},
    {__NR_ioctl, 1, EQUALS, FIOSETOWN},
    {__NR_ioctl, 1, EQUALS, SIOCSPGRP},
    {__NR_prlimit64, 0, EQUALS, SUPERVISOR},
    {__NR_sched_setaffinity, 0, EQUALS, SUPERVISOR},
    {__NR_sched_setattr, 0, EQUALS, SUPERVISOR},
    {__NR_sched_setparam, 0, EQUALS, SUPERVISOR},
    {__NR_sched_setscheduler, 0, EQUALS, SUPERVISOR},
    {__NR_setpriority, 1, EQUALS, SUPERVISOR},
    {__NR_setpriority, 0, EQUALS, PRIO_USER},
    {__NR_ioprio_set, 1, EQUALS, SUPERVISOR},
    {__NR_ioprio_set, 0, EQUALS, 3 /* IOPRIO_WHO_USER */},
    /* A user namespace gives back the rights that were dropped, and so most of the kernel to attack. */
    {__NR_clone, 0, HAS_ANY_OF, NEW_NAMESPACES},
    {__NR_unshare, 0, HAS_ANY_OF, NEW_NAMESPACES | 0x80 /* CLONE_NEWTIME; in clone, part of a signal's number */},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
/* Each entry below takes at most 5 instructions; 16 are for the rest. */
#define PROGRAM_AT_MOST (16 + 5 * (COUNT(refused) + COUNT(conditions) + 2))

struct program {
    struct sock_filter code[PROGRAM_AT_MOST];
    unsigned short length;
};

static void statement(struct program *p, uint16_t code, uint32_t k)
{
    p->code[p->length++] = (struct sock_filter)BPF_STMT(code, k);
}

/* Skips the next `skip` instructions unless what is loaded compares so with k. */
static void unless(struct program *p, uint16_t comparison, uint32_t k, uint8_t skip)
{
    p->code[p->length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, k, 0, skip);
}

static void load(struct program *p, uint32_t offset)
{
    statement(p, BPF_LD | BPF_W | BPF_ABS, offset);
}

static void refuse(struct program *p, int error)
{
    statement(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA));
}

/* Only the low half of an argument is compared: each of these is an int to the kernel, which ignores the rest. */
static void refuse_sockets(struct program *p, uint32_t nr)
{
    unless(p, BPF_JEQ, nr, 4);
    load(p, ARGUMENT(0));
    p->code[p->length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0);
    refuse(p, EACCES);
    load(p, offsetof(struct seccomp_data, nr));
}

static void build(struct program *p, bool allow_network, pid_t supervisor)
{
    load(p, offsetof(struct seccomp_data, arch));
    p->code[p->length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
    statement(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    unless(p, BPF_JGE, 0x40000000 /* x32: the same calls by other numbers */, 1);
    refuse(p, EPERM); /* told apart from a kernel that has no x32 */
#endif
    for (size_t i = 0; i < COUNT(refused); i++) {
        unless(p, BPF_JEQ, (uint32_t)refused[i].nr, 1);
        refuse(p, refused[i].error);
    }
    for (size_t i = 0; i < COUNT(conditions); i++) {
        const struct condition *c = &conditions[i];

        unless(p, BPF_JEQ, (uint32_t)c->nr, 4);
        load(p, ARGUMENT(c->argument));
        unless(p, (uint16_t)c->comparison, c->value == SUPERVISOR ? (uint32_t)supervisor : c->value, 1);
        refuse(p, EPERM);
        load(p, offsetof(struct seccomp_data, nr));
    }
    if (!allow_network) {
        refuse_sockets(p, __NR_socket);
        refuse_sockets(p, __NR_socketpair);
    }
    statement(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

int filter_install(bool allow_network, pid_t supervisor)
{
    struct program program = {.length = 0};
    struct sock_fprog prog = {.filter = program.code};

    build(&program, allow_network, supervisor);
    prog.len = program.length;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}
