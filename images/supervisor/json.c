#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* p is at the opening quote; returns the place after the closing one, NULL where there is none. */
static const char *read_string(const char *p, const char *end, const char **text, size_t *length)
{
    if (p >= end || *p != '"')
        return NULL;
    *text = ++p;
    while (p < end && *p != '"')
        p += *p == '\\' ? 2 : 1;
    if (p >= end)
        return NULL;
    *length = (size_t)(p - *text);
    return p + 1;
}

static const char *read_scalar(const char *p, const char *end, struct json_field *field)
{
    const char *start = p;
    char digits[32];
    size_t length;
    char *rest;

    while (p < end && !strchr(",} \t\r", *p))
        p++;
    length = (size_t)(p - start);
    if (length == 0 || length >= sizeof digits)
        return NULL;
    memcpy(digits, start, length);
    digits[length] = '\0';
    if (!strcmp(digits, "true"))
        field->kind = JSON_TRUE;
    else if (!strcmp(digits, "false"))
        field->kind = JSON_FALSE;
    else if (!strcmp(digits, "null"))
        field->kind = JSON_OTHER;
    else if (strspn(digits, "+-.0123456789eE") != length)
        return NULL;
    else {
        errno = 0;
        field->integer = strtoll(digits, &rest, 10);
        field->kind = *rest || errno || digits[0] == '+' ? JSON_OTHER : JSON_INTEGER;
    }
    return p;
}

int json_next(const char **cursor, const char *end, struct json_field *field)
{
    const char *p = skip_space(*cursor, end);
    bool first = p < end && *p == '{';

    *field = (struct json_field){0};
    if (p >= end)
        return -1;
    if (*p == '}')
        return skip_space(p + 1, end) == end ? 0 : -1;
    if (!first && *p != ',')
        return -1;
    p = skip_space(p + 1, end);
    if (first && p < end && *p == '}')
        return skip_space(p + 1, end) == end ? 0 : -1;
    p = read_string(p, end, &field->key, &field->key_length);
    p = p ? skip_space(p, end) : NULL;
    if (!p || p >= end || *p != ':')
        return -1;
    p = skip_space(p + 1, end);
    if (p < end && *p == '"') {
        field->kind = JSON_STRING;
        p = read_string(p, end, &field->text, &field->text_length);
    } else {
        p = read_scalar(p, end, field);
    }
    p = p ? skip_space(p, end) : end;
    if (p >= end || (*p != ',' && *p != '}'))
        return -1;
    *cursor = p;
    return 1;
}

bool json_key_is(const struct json_field *field, const char *key)
{
    return field->key_length == strlen(key) && !memcmp(field->key, key, field->key_length);
}

bool json_text_is(const struct json_field *field, const char *text)
{
    return field->kind == JSON_STRING && field->text_length == strlen(text) &&
           !memcmp(field->text, text, field->text_length);
}

void base64_encode(char *to, const unsigned char *from, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3, to += 4) {
        uint32_t group = (uint32_t)from[i] << 16;

        if (i + 1 < n)
            group |= (uint32_t)from[i + 1] << 8;
        if (i + 2 < n)
            group |= from[i + 2];
        to[0] = digits[group >> 18];
        to[1] = digits[group >> 12 & 63];
        to[2] = i + 1 < n ? digits[group >> 6 & 63] : '=';
        to[3] = i + 2 < n ? digits[group & 63] : '=';
    }
}
