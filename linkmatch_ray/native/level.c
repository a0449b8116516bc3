/* One level of the kernel: compiled with LM_SIMD, the header of its instructions, and LM_SCAN, the name of its entry. */
#include "api.h"
#include "common.h"
#include LM_SIMD

#include "hash.h"
#include "hash_index.h"

#include "stage1.c"
#include "number.c"
#include "escapes.c"
#include "reader.h"
#include "keys.c"
#include "records.c"
#include "walk.c"
