#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor.h"

#define RETRY_EVERY (50 * MILLISECOND)
/* Raw bytes of output in one log message: its base64 and the braces fit link->out. */
#define LOG_CHUNK 16384

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
    link->ready = link->sent_go = link->sent_end = false;
    link->in_length = link->out_length = link->out_sent = link->log_bytes = 0;
    link->retry_at = now + RETRY_EVERY;
}

void link_tick(struct link *link, int64_t now)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char hello[64 + TOKEN_MOST] = "{\"type\":\"hello\",\"version\":1}\n";

    if (link->fd >= 0 || now < link->retry_at)
        return;
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, link->path, strlen(link->path) + 1);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        link_drop(link, now);
        return;
    }
    if (link->greeted_once)
        snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"version\":1,\"resume\":true,\"token\":\"%s\"}\n",
                 link->token);
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
    static const char head[] = "{\"type\":\"log\",\"data\":\"", tail[] = "\"}\n";
    size_t n = output->length - output->to_recorder;
    size_t encoded;

    n = n < LOG_CHUNK ? n : LOG_CHUNK;
    encoded = 4 * ((n + 2) / 3);
    memcpy(link->out, head, sizeof head - 1);
    base64_encode(link->out + sizeof head - 1, (unsigned char *)output->bytes + output->to_recorder, n);
    memcpy(link->out + sizeof head - 1 + encoded, tail, sizeof tail - 1);
    link->out_length = sizeof head - 1 + encoded + sizeof tail - 1;
    link->out_sent = 0;
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

static struct message parse(const char *line, const char *end)
{
    struct message message = {.type = MESSAGE_MALFORMED, .budget_ns = -1, .t0_ns = -1, .disclosed = true};
    enum message_type type = MESSAGE_MALFORMED;
    struct json_field field;
    int more;

    if (line == end || *line != '{')
        return message;
    while ((more = json_next(&line, end, &field)) > 0) {
        if (json_key_is(&field, "type"))
            type = json_text_is(&field, "ready")     ? MESSAGE_READY
                   : json_text_is(&field, "started") ? MESSAGE_STARTED
                   : json_text_is(&field, "sealed")  ? MESSAGE_SEALED
                                                     : MESSAGE_MALFORMED;
        else if (json_key_is(&field, "budget_ns") && field.kind == JSON_INTEGER)
            message.budget_ns = field.integer;
        else if (json_key_is(&field, "t0_ns") && field.kind == JSON_INTEGER)
            message.t0_ns = field.integer;
        else if (json_key_is(&field, "token") && field.kind == JSON_STRING && field.text_length <= TOKEN_MOST)
            snprintf(message.token, sizeof message.token, "%.*s", (int)field.text_length, field.text);
        else if (json_key_is(&field, "disclosed"))
            message.disclosed = field.kind != JSON_FALSE;
    }
    if (more == 0)
        message.type = type;
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
    message = parse(link->in, newline);
    used = (size_t)(newline - link->in) + 1;
    memmove(link->in, newline + 1, link->in_length - used);
    link->in_length -= used;
    return message;
}
