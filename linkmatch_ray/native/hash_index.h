/* Looks hashes up in the list. Filter, directory, hashes and bytes are a cache miss each, so the filter's line is
 * fetched when a hash is made, and asked some records later. */
#ifndef LM_HASH_INDEX_H
#define LM_HASH_INDEX_H

#include "api.h"
#include "common.h"

INLINE void index_prefetch(const lm_index *index, uint64_t hash)
{
    __builtin_prefetch(index->filter + (hash >> index->filter_shift));
}

INLINE int index_may_have(const lm_index *index, uint64_t hash)
{
    const uint64_t wanted = (uint64_t)1 << (hash & 63) | (uint64_t)1 << (hash >> 6 & 63);
    return (index->filter[hash >> index->filter_shift] & wanted) == wanted;
}

/* How the key at a place compares with another one by their bytes: below, the same or above as the result is to 0. */
NOINLINE static int key_order(const lm_index *index, uint32_t place, const uint8_t *key, uint64_t size)
{
    const uint8_t *own = index->blob + index->starts[place];
    const uint64_t own_size = (uint64_t)(index->ends[place] - index->starts[place]);
    if (LIKELY(own_size == size && same_bytes(own, key, size)))
        return 0;
    uint64_t i = 0;
    while (i < own_size && i < size && own[i] == key[i])
        i++;
    if (i < own_size && i < size)
        return own[i] < key[i] ? -1 : 1;
    return own_size < size ? -1 : 1;
}

/* The place of a key by its canonical bytes, or LM_NONE. Keys of one hash are in the order of their bytes: there may be
 * many, since whoever wants to can make them. */
INLINE uint32_t index_find(const lm_index *index, uint64_t hash, const uint8_t *key, uint64_t size)
{
    const uint64_t bucket = hash >> index->directory_shift;
    uint32_t low = index->directory[bucket], high = index->directory[bucket + 1];
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        int order = index->hashes[middle] < hash ? -1 : 1;
        if (UNLIKELY(index->hashes[middle] == hash))
            order = key_order(index, middle, key, size);
        if (!order)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return LM_NONE;
}

#endif
