#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor.h"

#define READ_AT_ONCE 65536
#define NOTES 1024 /* room past the limit for our own lines */
/* What a foreign holder of the pipe could keep writing must not keep us from ending. */
#define DRAIN_AT_MOST (4u << 20)

bool output_init(struct output *output, size_t limit)
{
    /* Not touched before it is used, so a generous limit costs a quiet program nothing. */
    *output = (struct output){.bytes = malloc(limit + NOTES), .limit = limit};
    return output->bytes != NULL;
}

static ssize_t take(struct output *output, int fd)
{
    static char buffer[READ_AT_ONCE];
    ssize_t n = read(fd, buffer, sizeof buffer);
    size_t room = output->length < output->limit ? output->limit - output->length : 0;

    if (n <= 0)
        return n;
    if ((size_t)n <= room) {
        memcpy(output->bytes + output->length, buffer, (size_t)n);
        output->length += (size_t)n;
    } else if (!output->full) {
        char line[128];

        memcpy(output->bytes + output->length, buffer, room);
        output->length += room;
        output->full = true;
        snprintf(line, sizeof line, "\nalcove: the output limit of %zu bytes is reached; the rest is not kept.\n",
                 output->limit);
        output_note(output, line, false);
    }
    return n;
}

bool output_read(struct output *output, int fd)
{
    ssize_t n = take(output, fd);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void output_drain(struct output *output, int fd)
{
    for (size_t total = 0; total < DRAIN_AT_MOST;) {
        ssize_t n = take(output, fd);

        if (n <= 0)
            return;
        total += (size_t)n;
    }
}

void output_note(struct output *output, const char *line, bool for_log_only)
{
    size_t n = strlen(line);

    if (output->length + n > output->limit + NOTES)
        return;
    memcpy(output->bytes + output->length, line, n);
    if (for_log_only && output->to_stdout == output->length)
        output->to_stdout += n;
    output->length += n;
}

bool output_stdout_pending(const struct output *output)
{
    return !output->stdout_gone && output->to_stdout < output->length;
}

void output_write_stdout(struct output *output)
{
    struct pollfd writable = {.fd = STDOUT_FILENO, .events = POLLOUT};
    ssize_t written = 1;

    /* stdout is shared with whoever started us, so it can't be made non-blocking; but a pipe that polls writable
     * takes PIPE_BUF bytes at once. */
    while (written > 0 && output_stdout_pending(output) && poll(&writable, 1, 0) > 0) {
        size_t n = output->length - output->to_stdout;

        written = write(STDOUT_FILENO, output->bytes + output->to_stdout, n < 4096 ? n : 4096);
        if (written > 0)
            output->to_stdout += (size_t)written;
        else if (errno != EINTR && errno != EAGAIN)
            output->stdout_gone = true;
    }
}
