/* Looks hashes up in the list. Filter, directory, hashes and bytes are a cache miss each, so the filter's line is
 * fetched when a hash is made, and asked some hundred records later. */
#ifndef LM_HASH_INDEX_H
#define LM_HASH_INDEX_H

#include "api.h"
#include "common.h"

INLINE void index_prefetch(const lm_index *index, uint64_t hash)
{
    __builtin_prefetch(index->filter + (hash >> index->filter_shift >> 3));
}

INLINE int index_may_have(const lm_index *index, uint64_t hash)
{
    const uint64_t slot = hash >> index->filter_shift;
    return index->filter[slot >> 3] >> (slot & 7) & 1;
}

/* The first place whose hash is not below this one. */
INLINE uint32_t index_place(const lm_index *index, uint64_t hash)
{
    const uint64_t bucket = hash >> index->directory_shift;
    uint32_t low = index->directory[bucket], high = index->directory[bucket + 1];
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (index->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place of a key by its canonical bytes, or LM_NONE. */
INLINE uint32_t index_find(const lm_index *index, uint64_t hash, const uint8_t *key, uint64_t size)
{
    for (uint32_t i = index_place(index, hash); i < index->count && index->hashes[i] == hash; i++) {
        const int64_t start = index->starts[i];
        if ((uint64_t)(index->ends[i] - start) == size && same_bytes(index->blob + start, key, size))
            return i;
    }
    return LM_NONE;
}

#endif
