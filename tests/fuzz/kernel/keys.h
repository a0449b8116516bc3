/* The key of a record as the contract has it, read as plainly as reference.h reads JSON: canonical texts as core/keys.py
 * makes them, and where a tree of paths leads. */
#ifndef KEYS_H
#define KEYS_H

#include <stdio.h>
#include <stdlib.h>

#include "../../../linkmatch_ray/native/api.h"
#include "reference.h"

static uint32_t four_digits(text p)
{
    char digits[5] = {0};
    memcpy(digits, p, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* The code point of the escape at *p, which is sound; moves behind it. */
static uint32_t code_point(text *p, text end)
{
    static const char letters[] = "bfnrt", stand_for[] = "\b\f\n\r\t";
    const uint8_t letter = (*p)[1];
    *p += 2;
    if (letter != 'u')
        return is_one_of(letter, letters) ? (uint8_t)stand_for[strchr(letters, letter) - letters] : letter;
    uint32_t code = four_digits(*p);
    *p += 4;
    if (code >> 10 != 0xD800 >> 10 || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return code;
    const uint32_t low = four_digits(*p + 2);
    if (low >> 10 != 0xDC00 >> 10)
        return code;
    *p += 6;
    return 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
}

/* One character of a string's inside as UTF-8; a lone surrogate as if it could be. Returns its size. */
static size_t character(text *p, text end, uint8_t to[4])
{
    if (**p != '\\') {
        to[0] = *(*p)++;
        return 1;
    }
    const uint32_t code = code_point(p, end);
    const size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t firsts[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(code >> 6 * (size - 1 - i)) & (i ? 0x3F : 0xFF);
    for (size_t i = 1; i < size; i++)
        to[i] |= 0x80;
    to[0] |= firsts[size];
    return size;
}

/* Whether a string's inside stands for these bytes. */
static int string_is(text p, text end, text wanted, size_t size)
{
    size_t done = 0;
    while (p < end) {
        uint8_t bytes[4];
        const size_t more = character(&p, end, bytes);
        if (more > size - done || memcmp(bytes, wanted + done, more))
            return 0;
        done += more;
    }
    return done == size;
}

typedef struct {
    uint8_t *bytes; /* the canonical text */
    size_t size;
    int is_known;    /* 0: of a container, or with a lone surrogate */
    int may_doubt;   /* the kernel need not know it: of a number or container only where the list has such */
    int is_container, is_number;
} canonical_text;

static void put(canonical_text *c, const void *bytes, size_t size)
{
    memcpy(c->bytes + c->size, bytes, size);
    c->size += size;
}

static void put_string(canonical_text *c, text p, text end)
{
    static const char letters[] = "bfnrt\"\\", stand_for[] = "\b\f\n\r\t\"\\";
    const int is_escaped = memchr(p, '\\', (size_t)(end - p)) != NULL;
    put(c, "\"", 1);
    for (p++, end--; p < end;) {
        uint8_t bytes[4];
        text start = p;
        const size_t size = character(&p, end, bytes);
        if (*start == '\\' && size == 3 && bytes[0] == 0xED && bytes[1] >= 0xA0)
            c->is_known = 0, c->may_doubt = 1;
        if (size > 1 || (bytes[0] >= 0x20 && !is_one_of(bytes[0], "\"\\"))) {
            put(c, bytes, size);
            continue;
        }
        char escape[8];
        if (bytes[0] && strchr(stand_for, bytes[0]))
            sprintf(escape, "\\%c", letters[strchr(stand_for, bytes[0]) - stand_for]);
        else
            sprintf(escape, "\\u%04x", bytes[0]);
        put(c, escape, strlen(escape));
        c->may_doubt = 1;
    }
    put(c, "\"", 1);
    c->may_doubt |= is_escaped && c->size > 4000;
}

/* As `canonical_number`: digits without zeros around them, and an exponent where it would be longer than 20 digits. */
static void put_number(canonical_text *c, text p, text end)
{
    uint8_t *digits = malloc((size_t)(end - p) + 1);
    long long count = 0, scale = 0, exponent = 0;
    const int is_negative = *p == '-';
    text start = p += is_negative;
    for (int in_fraction = 0; p < end && !is_one_of(*p, "eE"); p++) {
        if (*p == '.') {
            in_fraction = 1;
            continue;
        }
        scale -= in_fraction;
        if (count || *p != '0')
            digits[count++] = *p;
    }
    c->may_doubt = p < end || scale || memchr(start, '.', (size_t)(end - start)) || end - start > 18 ||
                   (is_negative && *start == '0');
    if (p < end) {
        const int is_below = p[1] == '-';
        for (p += 1 + is_one_of(p[1], "+-"); p < end; p++)
            exponent = exponent < 1000000000000 ? exponent * 10 + *p - '0' : exponent; /* no number here is as long */
        scale += is_below ? -exponent : exponent;
    }
    while (count && digits[count - 1] == '0')
        count--, scale++;
    if (!count) {
        put(c, "0", 1);
    } else {
        put(c, "-", (size_t)is_negative);
        put(c, digits, (size_t)count);
        char power[32] = {0};
        if (scale >= 0 && scale <= 20 - count)
            memset(power, '0', (size_t)scale);
        else
            sprintf(power, "e%lld", scale);
        put(c, power, strlen(power));
    }
    free(digits);
}

static void put_value(canonical_text *c, text p, text end)
{
    if (*p == '"')
        put_string(c, p, end);
    else if (is_one_of(*p, "[{"))
        c->is_container = 1, c->is_known = 0;
    else if (is_one_of(*p, "-0123456789"))
        put_number(c, p, end), c->is_number = 1;
    else
        put(c, p, (size_t)(end - p));
}

/* ---- where paths lead */

/* The value of the last member with a name in the object at p, which is whole, or NULL. */
static text member(text p, text end, text name, size_t size)
{
    static const char white[] = " \t\n\r";
    text found = NULL;
    for (p = over(p + 1, end, white); *p != '}'; p = over(p, end, white)) {
        text start = p + 1, stop = string_end(p, end) - 1;
        p = over(over(stop + 1, end, white) + 1, end, white);
        if (string_is(start, stop, name, size))
            found = p;
        p = over(value_end(p, end, LM_DEPTH_MAX), end, white);
        if (*p == ',')
            p = over(p + 1, end, white);
    }
    return found;
}

/* The element behind that which ends before p, or the first one behind the bracket at p; NULL if there is none. */
static text element_behind(text p, text end)
{
    p = over(p, end, " \t\n\r");
    p = *p == ']' ? p : over(p + 1, end, " \t\n\r");
    return *p == ']' ? NULL : p;
}

static text child_value(const lm_node *child, text names, text value, text end)
{
    if (*value == '{')
        return child->token & LM_BY_NAME ? member(value, end, names + child->name, child->size) : NULL;
    if (*value != '[' || !(child->token & LM_BY_INDEX))
        return NULL;
    text element = element_behind(value, end);
    for (uint32_t i = 0; element && i < child->index; i++)
        element = element_behind(value_end(element, end, LM_DEPTH_MAX), end);
    return element;
}

/* The parts of the key at and below a node, without `[*]`. */
static void parts_below(const lm_config *config, uint32_t node, text value, text end, text *parts)
{
    if (config->nodes[node].slot != LM_NONE)
        parts[config->nodes[node].slot] = value;
    for (uint32_t child = config->nodes[node].first; child; child = config->nodes[child].next) {
        text inner = child_value(config->nodes + child, config->names, value, end);
        if (inner)
            parts_below(config, child, inner, end, parts);
    }
}

typedef void row_function(void *context, const text *parts);

static void row_of(const lm_config *config, uint32_t node, text value, text end, row_function *take, void *context)
{
    text parts[LM_SLOTS_MAX] = {0};
    parts_below(config, node, value, end, parts);
    for (uint32_t slot = 0; slot < config->slot_count; slot++)
        if (!parts[slot])
            return;
    take(context, parts);
}

/* Gives all keys at and below a node, which is on the way to the last `[*]`; returns 0 where they are not known. */
static int rows_below(const lm_config *config, uint32_t node, text value, text end, row_function *take, void *context)
{
    int are_known = 1;
    const uint32_t child = config->nodes[node].first;
    if (config->nodes[node].token & LM_BINDS) {
        row_of(config, node, value, end, take, context);
    } else if (!(config->nodes[child].token & LM_BY_STAR)) {
        text inner = child_value(config->nodes + child, config->names, value, end);
        are_known = !inner || rows_below(config, child, inner, end, take, context);
    } else if (*value == '[') {
        for (text element = element_behind(value, end); element;
             element = element_behind(value_end(element, end, LM_DEPTH_MAX), end))
            are_known &= rows_below(config, child, element, end, take, context);
    } else {
        are_known = *value != '{';
    }
    return are_known;
}

#endif
