/* JSON read as plainly as possible, for the kernel to be held to: recursive, byte by byte, one value at a time. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef const uint8_t *text;

static int is_one_of(uint8_t byte, const char *bytes)
{
    return byte && strchr(bytes, byte) != NULL;
}

static text over(text p, text end, const char *bytes)
{
    while (p < end && is_one_of(*p, bytes))
        p++;
    return p;
}

static text digits(text p, text end)
{
    text start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > start ? p : NULL;
}

static text number_end(text p, text end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else if (!(p = digits(p, end)))
        return NULL;
    if (p < end && *p == '.' && !(p = digits(p + 1, end)))
        return NULL;
    if (p < end && is_one_of(*p, "eE")) {
        p++;
        if (p < end && is_one_of(*p, "+-"))
            p++;
        return digits(p, end);
    }
    return p;
}

static text string_end(text p, text end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p < 0x20)
            return NULL;
        if (*p != '\\')
            continue;
        if (++p == end)
            return NULL;
        if (*p == 'u') {
            for (int i = 0; i < 4; i++)
                if (++p == end || !is_one_of(*p, "0123456789abcdefABCDEF"))
                    return NULL;
        } else if (!is_one_of(*p, "\"\\/bfnrt")) {
            return NULL;
        }
    }
    return NULL;
}

/* Behind the value at p, or NULL if none is there that is whole, sound and at most `levels` deep. Whether its strings
 * are UTF-8 is not asked. */
static text value_end(text p, text end, int levels)
{
    static const char white[] = " \t\n\r";
    if (p == end)
        return NULL;
    if (*p == '"')
        return string_end(p, end);
    if (is_one_of(*p, "-0123456789"))
        return number_end(p, end);
    for (const char *const *word = (const char *const[]){"true", "false", "null", NULL}; *word; word++)
        if ((size_t)(end - p) >= strlen(*word) && !memcmp(p, *word, strlen(*word)))
            return p + strlen(*word);
    if (!is_one_of(*p, "{[") || !levels)
        return NULL;
    const int is_object = *p == '{';
    p = over(p + 1, end, white);
    if (p < end && *p == (is_object ? '}' : ']'))
        return p + 1;
    for (;;) {
        if (is_object) {
            if (p == end || *p != '"' || !(p = string_end(p, end)))
                return NULL;
            p = over(p, end, white);
            if (p == end || *p != ':')
                return NULL;
            p = over(p + 1, end, white);
        }
        if (!(p = value_end(p, end, levels - 1)))
            return NULL;
        p = over(p, end, white);
        if (p == end)
            return NULL;
        if (*p == (is_object ? '}' : ']'))
            return p + 1;
        if (*p != ',')
            return NULL;
        p = over(p + 1, end, white);
    }
}

static int is_utf8(text p, text end)
{
    while (p < end) {
        const uint8_t byte = *p++;
        if (byte < 0x80)
            continue;
        const int more = byte < 0xC2 ? -1 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : byte < 0xF5 ? 3 : -1;
        if (more < 0 || end - p < more)
            return 0;
        uint32_t code = byte & (0x3F >> more);
        for (int i = 0; i < more; i++, p++) {
            if ((*p & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (*p & 0x3F);
        }
        if ((more == 2 && (code < 0x800 || (code >= 0xD800 && code < 0xE000))) ||
            (more == 3 && (code < 0x10000 || code > 0x10FFFF)))
            return 0;
    }
    return 1;
}

#endif
