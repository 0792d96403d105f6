/* Blocks of 64 values, one after the other and side by side. */
#ifndef SOFTJPEG_TILES_H
#define SOFTJPEG_TILES_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"

/* `count` blocks of 64 values from `first` on; lanes not used repeat the last of them. */
INLINE void load_blocks(const float *values, int64_t first, int count, Lanes x[64]) {
    float tile[8 * LANES];
    for (int i = 0; i < 8; i++) {
        for (int l = 0; l < LANES; l++) {
            int64_t block = first + (l < count ? l : count - 1);
            memcpy(tile + 8 * l, values + 64 * block + 8 * i, 32);
        }
        from_groups(tile, x + 8 * i);
    }
}

INLINE void store_blocks(float *values, int64_t first, int count, Lanes x[64]) {
    float tile[8 * LANES];
    for (int i = 0; i < 8; i++) {
        to_groups(tile, x + 8 * i);
        for (int l = 0; l < count; l++)
            memcpy(values + 64 * (first + l) + 8 * i, tile + 8 * l, 32);
    }
}

#endif
