/* What a compiler calls by itself, as there is no libc. Compiled so that it does not turn these loops into calls of
 * themselves: clang is told by -fno-builtin, gcc also here. */
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    while (size--)
        *t++ = *f++;
    return to;
}

HIDDEN void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t < f)
        return memcpy(to, from, size);
    while (size--)
        t[size] = f[size];
    return to;
}

HIDDEN void *memset(void *to, int byte, size_t size)
{
    uint8_t *t = to;
    while (size--)
        *t++ = (uint8_t)byte;
    return to;
}

#if defined(__APPLE__) /* there the call is another one if the byte is zero */
#if defined(__x86_64__)
#define bzero __bzero
#endif
HIDDEN void bzero(void *to, size_t size)
{
    memset(to, 0, size);
}
#endif
