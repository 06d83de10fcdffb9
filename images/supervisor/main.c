#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "supervisor.h"

#define NAME "alcove-supervisor"
#define LOG_LIMIT_AT_MOST (64u << 20) /* it is held in memory that the participant pays for */

static const char usage[] =
    "usage: " NAME " run [OPTION...] -- COMMAND [ARG...]\n"
    "       " NAME " install DIR\n"
    "\n"
    "  --socket PATH                        of the recorder (/alcove/run/go.sock)\n"
    "  --go start|runner                    who asks for the go: we before the command starts, or the command,\n"
    "                                       on the descriptor $ALCOVE_GO_FD (start)\n"
    "  --go-timeout S                       for the command to ask (300)\n"
    "  --free-constructor S                 with --go runner: how long the command may construct before the go; then\n"
    "                                       the go is asked for in any case (0: it may not)\n"
    "  --seal-timeout S                     for the recorder to have saved everything at the end (60)\n"
    "  --start-timeout S                    for the recorder to appear (30)\n"
    "  --recorder-timeout S                 for the recorder to answer, or say why not, and to come back (30)\n"
    "  --log-limit BYTES                    of output passed on, at most 67108864 (1048576)\n"
    "  --max-processes N                    processes and threads of the command's uid (4096)\n"
    "  --max-file-size BYTES                of each file that the command writes (68719476736)\n"
    "  --writable DIR                       the only folders where the command may change files; repeat it, at most 8\n"
    "                                       times (every folder; needs Linux 5.19 or later, else it has no effect)\n"
    "  --allow-network                      leave sockets of every family to the command\n"
    "  --kill-scope pid1|namespace|subreaper  (pid1 where we are process 1, else namespace)\n"
    "\n"
    "Exit status: 0 finished, 10 program failed, 11 signalled, 12 budget, 20 recorder lost, 21 could not start.\n";

int64_t monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

void say(const char *format, ...)
{
    struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[512] = NAME ": ";
    size_t length = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    if (poll(&writable, 1, 0) > 0 && write(STDERR_FILENO, line, length) < 0)
        return;
}

static _Noreturn void bad_option(const char *option, const char *value, const char *wanted)
{
    say("%s %s: it must be %s; nothing was started. See " NAME " --help.", option, value, wanted);
    exit(EXIT_NOT_STARTED);
}

static uint64_t number(const char *option, const char *value, uint64_t least, uint64_t most)
{
    char *rest, wanted[80];
    unsigned long long n;

    errno = 0;
    n = strtoull(value, &rest, 10);
    if (errno || *rest || value[0] < '0' || value[0] > '9' || n < least || n > most) {
        snprintf(wanted, sizeof wanted, "a whole number from %llu to %llu", (unsigned long long)least,
                 (unsigned long long)most);
        bad_option(option, value, wanted);
    }
    return n;
}

static int64_t seconds(const char *option, const char *value)
{
    char *rest;
    double s;

    errno = 0;
    s = strtod(value, &rest);
    if (errno || *rest || rest == value || !(s >= 0) || s > 1e6)
        bad_option(option, value, "a number of seconds from 0 to 1000000");
    return (int64_t)(s * (double)SECOND);
}

static size_t choice(const char *option, const char *value, const char *const *names, const char *wanted)
{
    for (size_t i = 0; names[i]; i++)
        if (!strcmp(value, names[i]))
            return i;
    bad_option(option, value, wanted);
}

static struct options parse_run(int argc, char **argv)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},      {"go", required_argument, NULL, 'g'},
        {"go-timeout", required_argument, NULL, 't'},  {"seal-timeout", required_argument, NULL, 'e'},
        {"free-constructor", required_argument, NULL, 'c'},
        {"start-timeout", required_argument, NULL, 'a'},
        {"recorder-timeout", required_argument, NULL, 'r'},
        {"log-limit", required_argument, NULL, 'l'},   {"max-processes", required_argument, NULL, 'p'},
        {"max-file-size", required_argument, NULL, 'f'}, {"writable", required_argument, NULL, 'w'},
        {"allow-network", no_argument, NULL, 'n'},     {"kill-scope", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},              {0},
    };
    static const char *const askers[] = {"start", "runner", NULL};
    static const char *const scopes[] = {"", "pid1", "namespace", "subreaper", NULL}; /* as enum kill_scope */
    struct options options = {
        .socket_path = "/alcove/run/go.sock",
        .go_timeout = 300 * SECOND,
        .seal_timeout = 60 * SECOND,
        .start_timeout = 30 * SECOND,
        .recorder_timeout = 30 * SECOND,
        .log_limit = 1u << 20,
        .max_processes = 4096,
        .max_file_size = UINT64_C(64) << 30,
        .scope = SCOPE_AUTO,
    };
    size_t folders = 0;
    int option;

    while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1) {
        switch (option) {
        case 's': options.socket_path = optarg; break;
        case 'g': options.runner_asks = choice("--go", optarg, askers, "start or runner") == 1; break;
        case 't': options.go_timeout = seconds("--go-timeout", optarg); break;
        case 'c': options.free_constructor = seconds("--free-constructor", optarg); break;
        case 'e': options.seal_timeout = seconds("--seal-timeout", optarg); break;
        case 'a': options.start_timeout = seconds("--start-timeout", optarg); break;
        case 'r': options.recorder_timeout = seconds("--recorder-timeout", optarg); break;
        case 'l': options.log_limit = number("--log-limit", optarg, 0, LOG_LIMIT_AT_MOST); break;
        case 'p': options.max_processes = number("--max-processes", optarg, 1, 1u << 22); break;
        case 'f': options.max_file_size = number("--max-file-size", optarg, 1, INT64_MAX); break;
        case 'w':
            if (folders == WRITABLE_MOST)
                bad_option("--writable", optarg, "used at most 8 times");
            options.writable[folders++] = optarg;
            break;
        case 'n': options.allow_network = true; break;
        case 'k':
            options.scope = (enum kill_scope)choice("--kill-scope", optarg, scopes, "pid1, namespace or subreaper");
            break;
        case 'h': fputs(usage, stdout); exit(EXIT_FINISHED);
        default: fputs(usage, stderr); exit(EXIT_NOT_STARTED);
        }
    }
    if (strlen(options.socket_path) >= sizeof ((struct sockaddr_un *)NULL)->sun_path)
        bad_option("--socket", options.socket_path, "a path of at most 107 bytes");
    options.command = argv + optind;
    if (!options.command[0]) {
        say("no command was given; nothing was started. Put it after --.");
        exit(EXIT_NOT_STARTED);
    }
    return options;
}

/* A terminal can be stopped from its keyboard, so writes to one must not block; a pipe is written with care instead,
 * since one made by another user can't be opened again. */
static void reopen_terminal(void)
{
    int fd = isatty(STDOUT_FILENO) ? open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        close(fd);
    }
}

/* No descriptor that we open may take the number of a missing standard one. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            exit(EXIT_NOT_STARTED);
}

static void block_signals(void)
{
    sigset_t handled;

    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    sigprocmask(SIG_BLOCK, &handled, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* were it ignored, children would vanish unseen */
}

static int install_failed(const char *path)
{
    say("cannot write %s: %s; the supervisor is not in place. Give a folder that this user can write.", path,
        strerror(errno));
    return EXIT_NOT_STARTED;
}

static int install(const char *directory)
{
    char target[4096], partial[4096 + 8], buffer[65536];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
    ssize_t n = -1;

    snprintf(target, sizeof target, "%s/" NAME, directory);
    snprintf(partial, sizeof partial, "%s.tmp", target);
    if (from < 0)
        return install_failed("/proc/self/exe (it cannot be read)");
    unlink(partial);
    to = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (to < 0)
        return install_failed(partial);
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, (size_t)n) != n)
            return install_failed(partial);
    if (n < 0 || fchmod(to, 0555) < 0 || close(to) < 0 || rename(partial, target) < 0)
        return install_failed(target);
    return EXIT_FINISHED;
}

int main(int argc, char **argv)
{
    struct options options;

    fill_standard_descriptors();
    if (argc == 3 && !strcmp(argv[1], "install"))
        return install(argv[2]);
    if (argc < 2 || strcmp(argv[1], "run")) {
        bool asked = argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));

        fputs(usage, asked ? stdout : stderr);
        return asked ? EXIT_FINISHED : EXIT_NOT_STARTED;
    }
    options = parse_run(argc - 1, argv + 1);
    block_signals();
    reopen_terminal();
    options.scope = scope_enter(options.scope);
    /* Nobody of the same uid may trace us, read our memory or take our descriptors from /proc. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return EXIT_NOT_STARTED;
    return run(&options);
}
