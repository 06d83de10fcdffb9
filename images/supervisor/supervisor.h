/* The supervisor: the first process of a participant's container. docs/contracts.md says what it promises.
 *
 * Times are nanoseconds on CLOCK_MONOTONIC in an int64_t unless a name says otherwise; NEVER is later than all. */
#ifndef ALCOVE_SUPERVISOR_H
#define ALCOVE_SUPERVISOR_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NEVER INT64_MAX
#define SECOND INT64_C(1000000000)
#define TOKEN_MOST 64
#define WRITABLE_MOST 8
#define MILLISECOND INT64_C(1000000)

/* The same as SupervisorExit in crds/alcove_api/exit_statuses.py, by which the operator reads them. */
enum exit_status {
    EXIT_FINISHED = 0,
    EXIT_PROGRAM_FAILED = 10,
    EXIT_SIGNALLED = 11,
    EXIT_BUDGET = 12,
    EXIT_RECORDER_LOST = 20,
    EXIT_NOT_STARTED = 21,
};

/* How processes are found that have to go. PID1: the supervisor is its PID namespace's init, so kill(-1) means
 * all of them. SUBREAPER: orphans become the supervisor's children. */
enum kill_scope { SCOPE_AUTO, SCOPE_PID1, SCOPE_NAMESPACE, SCOPE_SUBREAPER };

struct options {
    const char *socket_path;
    bool runner_asks; /* --go runner */
    int64_t go_timeout;
    int64_t free_constructor; /* 0: nothing of the participant's runs before the go */
    int64_t seal_timeout;
    int64_t start_timeout;
    int64_t recorder_timeout;
    size_t log_limit;
    uint64_t max_processes, max_file_size;
    char *writable[WRITABLE_MOST + 1]; /* folders, ends with NULL */
    bool allow_network;
    enum kill_scope scope;
    char **command;
};

/* main.c */
int64_t monotonic_now(void);
/* One sentence on standard error; dropped rather than waited for where nobody reads. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* scope.c */
/* Makes sure that everything the command starts can be killed. Where a PID namespace is created, returns in its
 * first process only; the outer process stays behind, hands on signals and exits as that one did. Returns the
 * scope in force (PID1 or SUBREAPER); says why and exits with EXIT_NOT_STARTED if neither is possible. */
enum kill_scope scope_enter(enum kill_scope wanted);
/* Sends SIGKILL to every process of the command that there is now. Call until waitpid says ECHILD. */
void scope_kill(enum kill_scope scope);

/* filter.c */
/* Refuses system calls to the calling process and all that it starts. no_new_privs must be set. 0, or -1 with errno. */
int filter_install(bool allow_network, pid_t supervisor);

/* landlock.c */
/* Keeps signals and abstract sockets of the calling process and all that it starts within them, and their writing
 * within the folders, devices and /proc; without folders, writing is left as it is. What the kernel has of it:
 * having none of it, before Linux 5.19, is not a failure. no_new_privs must be set. 0, or -1 with errno. */
int landlock_confine(char *const *writable);

/* child.c */
struct start_failure {
    char step[32]; /* "exec", or the part of the confinement that failed */
    int error;     /* errno */
};
struct child {
    pid_t pid;
    int output_fd; /* read end of its stdout and stderr, non-blocking */
    int status_fd; /* a struct start_failure, should it not get as far as the command */
    int go_fd;     /* --go runner: our end of ALCOVE_GO_FD; else -1 */
};
/* Starts options->command. false with errno if no process could be made. */
bool child_start(const struct options *options, struct child *child);
/* Whether the command was never reached, and why. */
bool child_start_failed(const struct child *child, struct start_failure *failure);

/* output.c: what the command wrote, up to the limit, on its way to two readers at their own speed. */
struct output {
    char *bytes;
    size_t length, limit;
    size_t to_stdout, to_recorder; /* how far each reader has got */
    bool full, stdout_gone;
};
bool output_init(struct output *output, size_t limit);
/* Takes what is there now. Returns false at the end of file. */
bool output_read(struct output *output, int fd);
void output_drain(struct output *output, int fd);
/* A line of our own, past any limit. for_log_only keeps it from stdout where that has all before it. */
void output_note(struct output *output, const char *line, bool for_log_only);
void output_write_stdout(struct output *output);
bool output_stdout_pending(const struct output *output);

/* link.c: the connection to the recorder, made again when it is lost. */
enum message_type {
    MESSAGE_NONE,
    MESSAGE_READY,
    MESSAGE_STAGING,
    MESSAGE_UNSTAGED,
    MESSAGE_CONSTRUCTING,
    MESSAGE_STARTED,
    MESSAGE_SEALED,
    MESSAGE_MALFORMED,
};
struct message {
    enum message_type type;
    int64_t budget_ns, t0_ns; /* t0_ns of ready: -1 before the go */
    bool disclosed;
    char token[TOKEN_MOST + 1];
};
struct link {
    const char *path;
    char token[TOKEN_MOST + 1]; /* what the recorder knows us by when we come back; kept here alone */
    int fd;                   /* -1: no connection */
    bool greeted_once, ready; /* ready: this connection's hello was answered */
    bool sent_construct, sent_go, sent_end; /* on this connection */
    int64_t retry_at, down_since;
    char in[512], out[16384 + 64];
    size_t in_length, out_length, out_sent, log_bytes; /* log_bytes: of the output, in the message being sent */
};
void link_init(struct link *link, const char *path, int64_t now);
/* Connects where that is due. */
void link_tick(struct link *link, int64_t now);
void link_drop(struct link *link, int64_t now);
bool link_idle(const struct link *link);
void link_queue(struct link *link, const char *line);
void link_queue_log(struct link *link, const struct output *output);
/* Both return false when the connection is gone. link_write moves output->to_recorder as log messages leave. */
bool link_write(struct link *link, struct output *output);
bool link_read(struct link *link);
/* Takes the next whole line that was read; MESSAGE_NONE when there is none. */
struct message link_message(struct link *link);

/* oom.c */
/* How often the kernel killed a process of this container for memory; 0 where that cannot be known. */
int64_t oom_kills(void);

/* run.c */
int run(const struct options *options);

#endif
