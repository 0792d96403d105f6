/* Blocks of 64 values, one after the other and side by side. */
#ifndef SOFTJPEG_TILES_H
#define SOFTJPEG_TILES_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"

/* Eight rows of LANES samples from LANES groups of eight, and back: loops that become shuffles. */
INLINE void from_tile(const float *tile, Lanes x[8]) {
    EACH_LANE {
        x[0][l] = tile[8 * l], x[1][l] = tile[8 * l + 1];
        x[2][l] = tile[8 * l + 2], x[3][l] = tile[8 * l + 3];
        x[4][l] = tile[8 * l + 4], x[5][l] = tile[8 * l + 5];
        x[6][l] = tile[8 * l + 6], x[7][l] = tile[8 * l + 7];
    }
}

INLINE void to_tile(float *tile, Lanes x[8]) {
    EACH_LANE {
        tile[8 * l] = x[0][l], tile[8 * l + 1] = x[1][l];
        tile[8 * l + 2] = x[2][l], tile[8 * l + 3] = x[3][l];
        tile[8 * l + 4] = x[4][l], tile[8 * l + 5] = x[5][l];
        tile[8 * l + 6] = x[6][l], tile[8 * l + 7] = x[7][l];
    }
}

/* `count` blocks of 64 values from `first` on; lanes not used repeat the last of them. */
INLINE void load_blocks(const float *values, int64_t first, int count, Lanes x[64]) {
    float tile[8 * LANES];
    for (int i = 0; i < 8; i++) {
        for (int l = 0; l < LANES; l++) {
            int64_t block = first + (l < count ? l : count - 1);
            memcpy(tile + 8 * l, values + 64 * block + 8 * i, 32);
        }
        from_tile(tile, x + 8 * i);
    }
}

INLINE void store_blocks(float *values, int64_t first, int count, Lanes x[64]) {
    float tile[8 * LANES];
    for (int i = 0; i < 8; i++) {
        to_tile(tile, x + 8 * i);
        for (int l = 0; l < count; l++)
            memcpy(values + 64 * (first + l) + 8 * i, tile + 8 * l, 32);
    }
}

#endif
