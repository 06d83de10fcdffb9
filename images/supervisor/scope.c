#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

/* Needs CONFIG_PROC_CHILDREN, as distributions' kernels have it. The supervisor has one thread. */
#define CHILDREN "/proc/thread-self/children"

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return ok;
}

/* In a user namespace of one's own where root's rights are missing; ids stay what they are. */
static bool new_namespaces(void)
{
    char uids[64], gids[64];

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) == 0)
        return true;
    snprintf(uids, sizeof uids, "%u %u 1", geteuid(), geteuid());
    snprintf(gids, sizeof gids, "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER) < 0)
        return false;
    return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", uids) &&
           write_file("/proc/self/gid_map", gids) && unshare(CLONE_NEWPID | CLONE_NEWNS) == 0;
}

/* The process outside of the namespace: when it goes, the kernel kills the inner one and so all that is inside. */
static _Noreturn void stand_outside(pid_t inner)
{
    sigset_t signals;
    siginfo_t info;
    int status;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    for (;;) {
        if (waitpid(inner, &status, WNOHANG) == inner) {
            if (WIFEXITED(status))
                _exit(WEXITSTATUS(status));
            say("the supervisor inside the PID namespace was killed by signal %d; the run is lost. Run it again.",
                WTERMSIG(status));
            _exit(EXIT_RECORDER_LOST);
        }
        if (sigwaitinfo(&signals, &info) > 0 && info.si_signo != SIGCHLD)
            kill(inner, SIGTERM);
    }
}

/* A fork before the one that counts: unshare() would leave a half-changed process behind where it fails. */
static bool namespaces_allowed(void)
{
    pid_t probe = fork();
    int status = 1;

    if (probe == 0)
        _exit(new_namespaces() ? 0 : 1);
    return probe > 0 && waitpid(probe, &status, 0) == probe && status == 0;
}

static enum kill_scope enter_subreaper(void)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || access(CHILDREN, R_OK) < 0) {
        say("no PID namespace can be created here and %s cannot be read, so a run could not be ended reliably; "
            "nothing was started. Allow user namespaces, or run in a container.", CHILDREN);
        exit(EXIT_NOT_STARTED);
    }
    return SCOPE_SUBREAPER;
}

enum kill_scope scope_enter(enum kill_scope wanted)
{
    pid_t inner;

    if (wanted == SCOPE_AUTO)
        wanted = getpid() == 1 ? SCOPE_PID1 : SCOPE_NAMESPACE;
    if (wanted == SCOPE_PID1) {
        if (getpid() == 1)
            return SCOPE_PID1;
        say("--kill-scope pid1 was asked for, but the supervisor is process %d; nothing was started. Make it the "
            "container's entrypoint, without a shared PID namespace.", getpid());
        exit(EXIT_NOT_STARTED);
    }
    if (wanted == SCOPE_SUBREAPER || !namespaces_allowed() || !new_namespaces())
        return enter_subreaper();
    inner = fork();
    if (inner < 0) {
        say("cannot start a process: %s; nothing was started. Try again with fewer processes running.",
            strerror(errno));
        exit(EXIT_NOT_STARTED);
    }
    if (inner > 0)
        stand_outside(inner);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* So that /proc shows the namespace's own processes; where that is not allowed, the outer ones stay visible. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    return SCOPE_PID1;
}

void scope_kill(enum kill_scope scope)
{
    FILE *children;
    int pid;

    if (scope == SCOPE_PID1) {
        kill(-1, SIGKILL);
        return;
    }
    /* Our children only: theirs become ours when they die, so that each round goes a generation further. Nobody but
     * us can reap them, so no number here can have become another's. */
    children = fopen(CHILDREN, "re");
    if (!children)
        return;
    while (fscanf(children, "%d", &pid) == 1) {
        pid_t group = getpgid(pid);

        /* The command began a session of its own, so no group of its processes holds one of ours. */
        if (group > 1 && group != getpgrp())
            kill(-group, SIGKILL);
        kill(pid, SIGKILL);
    }
    fclose(children);
}
