#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor.h"

#define RETRY_EVERY (10 * MILLISECOND)
#define LOG_CHUNK 16384 /* bytes of output in one message: with its line, they fit link->out */
#define TOKEN_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

void link_init(struct link *link, const char *path, int64_t now)
{
    *link = (struct link){.path = path, .fd = -1, .retry_at = now, .down_since = now};
}

void link_drop(struct link *link, int64_t now)
{
    if (link->fd >= 0)
        close(link->fd);
    if (link->ready)
        link->down_since = now;
    link->fd = -1;
    link->ready = link->sent_construct = link->sent_go = link->sent_end = false;
    link->in_length = link->out_length = link->out_sent = link->log_bytes = 0;
    link->retry_at = now + RETRY_EVERY;
}

void link_tick(struct link *link, int64_t now)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char hello[16 + TOKEN_MOST] = "hello\n";

    if (link->fd >= 0 || now < link->retry_at)
        return;
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, link->path, strlen(link->path) + 1);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        link_drop(link, now);
        return;
    }
    if (link->greeted_once)
        snprintf(hello, sizeof hello, "resume %s\n", link->token);
    link_queue(link, hello);
}

bool link_idle(const struct link *link)
{
    return link->fd >= 0 && link->ready && link->out_length == 0;
}

void link_queue(struct link *link, const char *line)
{
    link->out_length = strlen(line);
    link->out_sent = link->log_bytes = 0;
    memcpy(link->out, line, link->out_length);
}

void link_queue_log(struct link *link, const struct output *output)
{
    size_t n = output->length - output->to_recorder;
    char head[32];

    n = n < LOG_CHUNK ? n : LOG_CHUNK;
    snprintf(head, sizeof head, "log %zu\n", n);
    link_queue(link, head);
    memcpy(link->out + link->out_length, output->bytes + output->to_recorder, n);
    link->out_length += n;
    link->log_bytes = n;
}

bool link_write(struct link *link, struct output *output)
{
    ssize_t n = send(link->fd, link->out + link->out_sent, link->out_length - link->out_sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    link->out_sent += (size_t)n;
    if (link->out_sent == link->out_length) {
        output->to_recorder += link->log_bytes;
        link->out_length = link->out_sent = link->log_bytes = 0;
    }
    return true;
}

bool link_read(struct link *link)
{
    ssize_t n = recv(link->fd, link->in + link->in_length, sizeof link->in - link->in_length, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    link->in_length += (size_t)n;
    /* A full buffer without a line in it is taken out by link_message as malformed. */
    return n > 0;
}

/* The next word of *rest, which single spaces part; NULL at the end. */
static const char *word(char **rest)
{
    return strsep(rest, " ");
}

static bool number(char **rest, int64_t *value)
{
    const char *digits = word(rest);
    char *end;

    if (!digits || (*digits != '-' && (*digits < '0' || *digits > '9')))
        return false;
    errno = 0;
    *value = strtoll(digits, &end, 10);
    return !errno && end > digits && !*end;
}

/* line: terminated, and changed. */
static struct message parse(char *line)
{
    struct message message = {.type = MESSAGE_MALFORMED};
    const char *verb = word(&line), *token;
    int64_t disclosed;

    if (!strcmp(verb, "ready") && number(&line, &message.budget_ns) && number(&line, &disclosed) &&
        (token = word(&line)) && number(&line, &message.t0_ns) && !line &&
        (disclosed == 0 || disclosed == 1) && strlen(token) <= TOKEN_MOST &&
        !token[strspn(token, TOKEN_CHARACTERS)]) {
        message.type = MESSAGE_READY;
        message.disclosed = disclosed;
        strcpy(message.token, token);
    } else if (!strcmp(verb, "staging") && !line) {
        message.type = MESSAGE_STAGING;
    } else if (!strcmp(verb, "unstaged") && !line) {
        message.type = MESSAGE_UNSTAGED;
    } else if (!strcmp(verb, "constructing") && !line) {
        message.type = MESSAGE_CONSTRUCTING;
    } else if (!strcmp(verb, "started") && number(&line, &message.t0_ns) && !line) {
        message.type = MESSAGE_STARTED;
    } else if (!strcmp(verb, "sealed") && word(&line) && !line) {
        message.type = MESSAGE_SEALED;
    }
    return message;
}

struct message link_message(struct link *link)
{
    struct message message = {.type = MESSAGE_NONE};
    char *newline = memchr(link->in, '\n', link->in_length);
    size_t used;

    if (!newline) {
        if (link->in_length == sizeof link->in)
            message.type = MESSAGE_MALFORMED;
        return message;
    }
    used = (size_t)(newline - link->in) + 1;
    *newline = '\0';
    if (strlen(link->in) == used - 1)
        message = parse(link->in);
    else
        message.type = MESSAGE_MALFORMED; /* a zero byte */
    memmove(link->in, newline + 1, link->in_length - used);
    link->in_length -= used;
    return message;
}
