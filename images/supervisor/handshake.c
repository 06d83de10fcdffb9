/* What is said to the recorder and what its answers bring about. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

void ask_for_go(struct run *run, int64_t now)
{
    enter(run, ASKING, now + run->options->recorder_timeout);
    run->asked_at = now;
}

static void on_constructing(struct run *run, int64_t now)
{
    enter(run, CONSTRUCTING, now + run->options->free_constructor);
    run->constructed = true;
    send(run->child.go_fd, "constructing\n", 13, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_started(struct run *run, int64_t t0_ns, int64_t now)
{
    char line[64];
    int n;

    if (t0_ns < run->asked_at || t0_ns > now) {
        recorder_lost(run, "the recorder's clock is not this container's");
        return;
    }
    run->t0_ns = t0_ns;
    enter(run, RUNNING, t0_ns + run->budget_ns);
    if (!run->options->runner_asks) {
        start_command(run);
        return;
    }
    n = snprintf(line, sizeof line, "started %" PRId64 " %" PRId64 "\n", t0_ns, run->disclosed ? run->budget_ns : 0);
    send(run->child.go_fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(run->child.go_fd);
    run->child.go_fd = -1;
    if (run->ended_before_go)
        command_ended(run, run->status_before_go);
}

static void on_ready(struct run *run, const struct message *message, int64_t now)
{
    bool first = !run->link.greeted_once;

    if (message->budget_ns <= 0 || message->budget_ns > NEVER / 2) {
        recorder_lost(run, "the recorder named no budget");
        return;
    }
    if (!message->token[0]) {
        recorder_lost(run, "the recorder gave no token to come back with");
        return;
    }
    run->link.ready = run->link.greeted_once = true;
    if (run->phase == CONNECTING) {
        if (message->t0_ns >= 0) {
            recorder_lost(run, "the recorder says that this run was started before");
            return;
        }
        memcpy(run->link.token, message->token, sizeof run->link.token);
        run->budget_ns = message->budget_ns;
        run->disclosed = message->disclosed;
        if (!run->options->runner_asks) {
            ask_for_go(run, now);
            return;
        }
        enter(run, LOADING, now + run->options->go_timeout);
        start_command(run);
    } else if (first) {
        return; /* ended before the recorder was there */
    } else if (run->phase == ASKING && message->t0_ns >= 0) {
        on_started(run, message->t0_ns, now);
    } else if (run->t0_ns >= 0 && message->t0_ns != run->t0_ns) {
        recorder_lost(run, "the recorder came back without this run's start");
    }
}

/* Data and code are not in place yet: the recorder says so every few seconds, and answers when they are. */
static void on_staging(struct run *run, int64_t now)
{
    if (run->phase == ANNOUNCING || run->phase == ASKING)
        run->phase_ends = now + run->options->recorder_timeout;
}

static void on_unstaged(struct run *run)
{
    say("data and code could not be put in place, so nothing was started. The recorder's report says why.");
    end_command(run, "unknown", 0, 0, EXIT_RECORDER_LOST);
}

static void on_message(struct run *run, const struct message *message, int64_t now)
{
    bool asked = run->link.sent_construct || run->link.sent_go;

    if (message->type == MESSAGE_READY && !run->link.ready)
        on_ready(run, message, now);
    else if (message->type == MESSAGE_STAGING && asked && run->t0_ns < 0)
        on_staging(run, now);
    else if (message->type == MESSAGE_UNSTAGED && asked && run->t0_ns < 0)
        on_unstaged(run);
    else if (message->type == MESSAGE_CONSTRUCTING && run->link.sent_construct) {
        if (run->phase == ANNOUNCING)
            on_constructing(run, now);
    } else if (message->type == MESSAGE_STARTED && run->phase >= ASKING) {
        if (run->phase == ASKING) /* else it was ended while the answer was on its way */
            on_started(run, message->t0_ns, now);
    } else if (message->type == MESSAGE_SEALED && run->phase == SEALING && run->link.sent_end) {
        run->sealed = true;
        enter(run, SEALING, now + STDOUT_WITHIN);
    } else
        recorder_lost(run, "the recorder sent something that the supervisor does not understand");
}

void link_event(struct run *run, short events, int64_t now)
{
    struct message message;
    bool open = true;

    if (events & POLLOUT)
        open = link_write(&run->link, &run->output);
    if (events & (POLLIN | POLLHUP | POLLERR))
        open = link_read(&run->link) && open;
    while (run->link.fd >= 0 && !run->sealed && (message = link_message(&run->link)).type != MESSAGE_NONE)
        on_message(run, &message, now);
    if (!open)
        link_drop(&run->link, now);
}

void link_next(struct run *run)
{
    char line[200];

    if (!link_idle(&run->link))
        return;
    if (run->phase == ANNOUNCING && !run->link.sent_construct) {
        link_queue(&run->link, "construct\n");
        run->link.sent_construct = true;
    } else if (run->phase == ASKING && !run->link.sent_go) {
        link_queue(&run->link, "go\n");
        run->link.sent_go = true;
    } else if (run->output.to_recorder < run->output.length) {
        link_queue_log(&run->link, &run->output);
    } else if (run->phase == SEALING && !run->link.sent_end) {
        snprintf(line, sizeof line, "end %s %d %d %" PRId64 " %" PRId64 "\n", run->cause, run->code, run->signal,
                 run->ended_at, run->oom_kills);
        link_queue(&run->link, line);
        run->link.sent_end = true;
    }
}
