#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define SEAL_WHEN_TERMINATED (2 * SECOND) /* a deleted pod has to be gone soon */
#define KILL_AGAIN (2 * MILLISECOND)

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void enter(struct run *run, enum phase phase, int64_t ends)
{
    run->phase = phase;
    run->phase_ends = ends;
}

void end_command(struct run *run, const char *cause, int code, int signal, int exit_status)
{
    if (run->phase >= KILLING)
        return;
    run->cause = cause;
    run->code = code;
    run->signal = signal;
    run->exit_status = exit_status;
    scope_kill(run->options->scope);
    enter(run, KILLING, monotonic_now() + KILL_AGAIN);
}

void recorder_lost(struct run *run, const char *what)
{
    if (run->exit_status == EXIT_RECORDER_LOST)
        return;
    say("%s; everything that was running was ended, and what was recorded until then counts. This is not the "
        "program's fault: run it again.", what);
    end_command(run, "unknown", 0, 0, EXIT_RECORDER_LOST);
    run->exit_status = EXIT_RECORDER_LOST;
    if (run->phase == SEALING)
        enter(run, FINISHED, NEVER);
}

static void could_not_start(struct run *run, const char *what, int code, int signal)
{
    char line[400];

    snprintf(line, sizeof line, "alcove: %s\n", what);
    say("%s", what);
    output_note(&run->output, line, true);
    end_command(run, "could-not-start", code, signal, EXIT_NOT_STARTED);
}

void start_command(struct run *run)
{
    char what[200];
    int error;

    if (child_start(run->options, &run->child))
        return;
    error = errno;
    snprintf(what, sizeof what, "cannot start a process: %s. Try again with more memory or processes allowed.",
             strerror(error));
    could_not_start(run, what, error, 0);
}

static void go_event(struct run *run, int64_t now)
{
    char line[16];
    ssize_t n = recv(run->child.go_fd, line, sizeof line, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (run->phase == CONSTRUCTING) { /* whatever it was: the participant's code could have written or closed it */
        ask_for_go(run, now);
        return;
    }
    if (n == 10 && run->options->free_constructor && !memcmp(line, "construct\n", 10)) {
        enter(run, ANNOUNCING, now + run->options->recorder_timeout);
        return;
    }
    if (n == 3 && !memcmp(line, "go\n", 3)) {
        ask_for_go(run, now);
        return;
    }
    if (n > 0) {
        could_not_start(run, "the runner wrote something other than go on ALCOVE_GO_FD. Use the runner of the image.",
                        EPROTO, 0);
        return;
    }
    close(run->child.go_fd); /* it will never ask: its end is awaited, or --go-timeout */
    run->child.go_fd = -1;
}

void command_ended(struct run *run, int status)
{
    struct start_failure failure;
    char what[400];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (run->phase >= KILLING)
        return;
    if (child_start_failed(&run->child, &failure)) {
        bool exec = !strcmp(failure.step, "exec");

        snprintf(what, sizeof what, exec ? "cannot start %.200s: %s. Name a command that the image has." :
                 "cannot confine %.200s: %s (%s), so it was not started. Ask the organizer.",
                 run->options->command[0], strerror(failure.error), failure.step);
        could_not_start(run, what, failure.error, 0);
    } else if (run->constructed && run->phase < RUNNING) {
        /* Its end is the participant's, and without a go it could not be told from a fault of the platform's. */
        run->ended_before_go = true;
        run->status_before_go = status;
        scope_kill(run->options->scope);
        if (run->phase == CONSTRUCTING)
            ask_for_go(run, monotonic_now());
    } else if (run->phase < RUNNING) {
        snprintf(what, sizeof what, "the runner ended before it asked for the go (%s %d). Its output says why.",
                 signal ? "signal" : "exit status", signal ? signal : code);
        could_not_start(run, what, code, signal);
    } else if (signal)
        end_command(run, "signalled", 0, signal, EXIT_SIGNALLED);
    else if (code)
        end_command(run, "failed", code, 0, EXIT_PROGRAM_FAILED);
    else
        end_command(run, "finished", 0, 0, EXIT_FINISHED);
}

static void all_gone(struct run *run, int64_t now)
{
    run->ended_at = now;
    run->oom_kills = oom_kills() - run->oom_kills;
    if (run->child.output_fd >= 0)
        output_drain(&run->output, run->child.output_fd);
    if (run->exit_status == EXIT_BUDGET)
        output_note(&run->output, "alcove: the time budget is used up; all processes were ended.\n", false);
    if (run->exit_status == EXIT_RECORDER_LOST || !run->link.greeted_once)
        enter(run, FINISHED, NEVER);
    else
        enter(run, SEALING, now + (run->terminated ? earlier(SEAL_WHEN_TERMINATED, run->options->seal_timeout)
                                                   : run->options->seal_timeout));
}

static void reap(struct run *run)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
        if (pid == run->child.pid) {
            run->child.pid = 0;
            command_ended(run, status);
        }
    if (run->phase == KILLING && pid < 0 && errno == ECHILD)
        all_gone(run, monotonic_now());
}

/* As PID 1 we hear only who is outside of the namespace: the kernel shows such a sender as 0, and nobody can send
 * SI_USER or SI_KERNEL in another's name. */
static bool comes_from_outside(const struct run *run, const struct signalfd_siginfo *info)
{
    return run->options->scope != SCOPE_PID1 || info->ssi_code == SI_KERNEL ||
           (info->ssi_code == SI_USER && info->ssi_pid == 0);
}

static void signal_event(struct run *run, int64_t now)
{
    struct signalfd_siginfo info;

    while (read(run->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD || !comes_from_outside(run, &info))
            continue;
        run->terminated = true;
        end_command(run, "signalled", 0, (int)info.ssi_signo, EXIT_SIGNALLED);
        if (run->phase == SEALING)
            run->phase_ends = earlier(run->phase_ends, now + SEAL_WHEN_TERMINATED);
    }
}

static void phase_over(struct run *run, int64_t now)
{
    switch (run->phase) {
    case LOADING:
        could_not_start(run, "the runner did not ask for the go in time. A slow disk or a large image can be the "
                             "cause: run it again, or raise --go-timeout.", ETIMEDOUT, 0);
        break;
    case ANNOUNCING:
        recorder_lost(run, "the recorder did not let the constructor run");
        break;
    case CONSTRUCTING:
        ask_for_go(run, now);
        break;
    case ASKING:
        recorder_lost(run, "the recorder did not answer the go");
        break;
    case RUNNING:
        end_command(run, "budget", 0, SIGKILL, EXIT_BUDGET);
        break;
    case KILLING:
        scope_kill(run->options->scope);
        run->phase_ends = now + KILL_AGAIN;
        break;
    case SEALING:
        if (!run->sealed && !(link_idle(&run->link) && run->link.sent_end))
            run->exit_status = EXIT_RECORDER_LOST;
        if (!run->sealed)
            say("the recorder has not confirmed that everything is saved; what it saved counts.");
        enter(run, FINISHED, NEVER);
        break;
    default:
        break;
    }
}

static int64_t recorder_given_up_at(const struct run *run)
{
    if (run->link.ready || run->sealed)
        return NEVER;
    return run->link.down_since +
           (run->link.greeted_once ? run->options->recorder_timeout : run->options->start_timeout);
}

/* Everything that time alone brings about. */
static void tick(struct run *run, int64_t now)
{
    if (now >= run->phase_ends)
        phase_over(run, now);
    if (run->phase < FINISHED && now >= recorder_given_up_at(run))
        recorder_lost(run, run->link.greeted_once ? "the recorder went away and did not come back"
                                                  : "the recorder cannot be reached");
    reap(run);
    if (run->sealed && !output_stdout_pending(&run->output))
        enter(run, FINISHED, NEVER);
    if (!run->sealed)
        link_tick(&run->link, now);
    link_next(run);
}

static void wait_for_events(struct run *run)
{
    struct child *child = &run->child;
    bool asks = run->phase == LOADING || run->phase == CONSTRUCTING;
    struct pollfd fds[] = {
        {.fd = run->signal_fd, .events = POLLIN},
        {.fd = run->sealed ? -1 : run->link.fd, .events = POLLIN | (run->link.out_length ? POLLOUT : 0)},
        {.fd = child->output_fd, .events = POLLIN},
        {.fd = asks ? child->go_fd : -1, .events = POLLIN},
        {.fd = output_stdout_pending(&run->output) ? STDOUT_FILENO : -1, .events = POLLOUT},
    };
    int64_t now = monotonic_now(), until = earlier(run->phase_ends, recorder_given_up_at(run)), wait;
    struct timespec timeout;

    if (run->link.fd < 0 && !run->sealed)
        until = earlier(until, run->link.retry_at);
    wait = until > now ? until - now : 0;
    timeout = (struct timespec){.tv_sec = wait / SECOND, .tv_nsec = wait % SECOND};
    if (ppoll(fds, sizeof fds / sizeof *fds, &timeout, NULL) <= 0)
        return;
    now = monotonic_now();
    if (fds[0].revents)
        signal_event(run, now);
    if (fds[1].revents)
        link_event(run, fds[1].revents, now);
    if (fds[2].revents && !output_read(&run->output, child->output_fd)) {
        close(child->output_fd);
        child->output_fd = -1;
    }
    if (fds[3].revents && (run->phase == LOADING || run->phase == CONSTRUCTING))
        go_event(run, now);
    if (fds[4].revents)
        output_write_stdout(&run->output);
}

int run(const struct options *options)
{
    struct run run = {
        .options = options,
        .child = {.output_fd = -1, .status_fd = -1, .go_fd = -1},
        .phase = CONNECTING,
        .phase_ends = NEVER,
        .t0_ns = -1,
        .oom_kills = oom_kills(), /* before: what is counted is the difference */
    };
    sigset_t handled;

    sigprocmask(SIG_BLOCK, NULL, &handled);
    run.signal_fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run.signal_fd < 0 || !output_init(&run.output, options->log_limit)) {
        say("cannot begin: %s; nothing was started. Allow the container more memory.", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    link_init(&run.link, options->socket_path, monotonic_now());
    for (;;) {
        tick(&run, monotonic_now());
        if (run.phase == FINISHED)
            break;
        wait_for_events(&run);
    }
    output_write_stdout(&run.output);
    free(run.output.bytes);
    return run.exit_status;
}
