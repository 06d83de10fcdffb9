#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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

/* Refused whatever the arguments. */
static const struct refusal refused[] = {
    /* Opens and uses sockets past a filter on socket(). ENOSYS: libraries then do without. */
    {__NR_io_uring_setup, ENOSYS},
    {__NR_io_uring_enter, ENOSYS},
    {__NR_io_uring_register, ENOSYS},
    /* Into another process's memory or descriptors. */
    {__NR_ptrace, EPERM},
    {__NR_process_vm_readv, EPERM},
    {__NR_process_vm_writev, EPERM},
    {__NR_pidfd_getfd, EPERM},
};

struct condition {
    int nr;
    int argument;
    uint32_t value;
};

/* How a process of the same uid could slow or end the supervisor (a CPU limit of zero kills even PID 1), or hide a
 * signal from outside behind one of its own. Filled in with the supervisor's pid where value is SUPERVISOR. */
#define SUPERVISOR UINT32_MAX
static const struct condition protected[] = {
    {__NR_kill, 0, SUPERVISOR},
    {__NR_tkill, 0, SUPERVISOR},
    {__NR_tgkill, 0, SUPERVISOR},
    {__NR_rt_sigqueueinfo, 0, SUPERVISOR},
    {__NR_rt_tgsigqueueinfo, 0, SUPERVISOR},
    {__NR_pidfd_open, 0, SUPERVISOR},
    {__NR_prlimit64, 0, SUPERVISOR},
    {__NR_sched_setaffinity, 0, SUPERVISOR},
    {__NR_sched_setattr, 0, SUPERVISOR},
    {__NR_sched_setparam, 0, SUPERVISOR},
    {__NR_sched_setscheduler, 0, SUPERVISOR},
    {__NR_setpriority, 1, SUPERVISOR},
    {__NR_setpriority, 0, PRIO_USER},
    {__NR_ioprio_set, 1, SUPERVISOR},
    {__NR_ioprio_set, 0, 3 /* IOPRIO_WHO_USER */},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
/* Each entry below takes at most 5 instructions; 16 are for the rest. */
#define PROGRAM_AT_MOST (16 + 5 * (COUNT(refused) + COUNT(protected) + 2))

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
    for (size_t i = 0; i < COUNT(protected); i++) {
        uint32_t value = protected[i].value == SUPERVISOR ? (uint32_t)supervisor : protected[i].value;

        unless(p, BPF_JEQ, (uint32_t)protected[i].nr, 4);
        load(p, ARGUMENT(protected[i].argument));
        unless(p, BPF_JEQ, value, 1);
        refuse(p, EPERM);
        load(p, offsetof(struct seccomp_data, nr));
    }
    if (!allow_network) {
        refuse_sockets(p, __NR_socket);
        refuse_sockets(p, __NR_socketpair);
    }
    statement(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

/* From Linux 6.12 on, Landlock keeps signals and abstract AF_UNIX connections within the command's processes, which
 * a filter on arguments cannot. Older kernels say no; docs/limitations.md has what that leaves open. */
static void landlock_scope(void)
{
    struct {
        uint64_t handled_access_fs, handled_access_net, scoped;
    } attributes = {.scoped = 3 /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL */};
    long ruleset = syscall(444 /* landlock_create_ruleset */, &attributes, sizeof attributes, 0);

    if (ruleset < 0)
        return;
    syscall(446 /* landlock_restrict_self */, ruleset, 0);
    close((int)ruleset);
}

int filter_install(bool allow_network, pid_t supervisor)
{
    struct program program = {.length = 0};
    struct sock_fprog prog = {.filter = program.code};

    landlock_scope();
    build(&program, allow_network, supervisor);
    prog.len = program.length;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}
