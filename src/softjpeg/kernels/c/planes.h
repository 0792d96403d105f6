/* A plane of samples to the coefficients of its blocks, and back.

   Blocks are numbered in raster order; LANES of them may go on into the next row of blocks. */
#ifndef SOFTJPEG_PLANES_H
#define SOFTJPEG_PLANES_H

#include <math.h>

#include "dct.h"
#include "tiles.h"

typedef struct {
    float *samples;
    int64_t stride;        /* of its rows, in samples; at least 8 columns */
    int64_t rows, columns; /* in blocks */
} Plane;

/* Where each of `count` blocks from `first` on begins in a plane; lanes not used repeat the last. */
INLINE void locate(const Plane *plane, int64_t first, int count, float *at[LANES]) {
    int64_t row = first / plane->columns, column = first % plane->columns;
    for (int l = 0; l < LANES; l++) {
        at[l] = plane->samples + 8 * (row * plane->stride + column);
        if (l + 1 < count && ++column == plane->columns) column = 0, row++;
    }
}

INLINE int lanes_from(const Plane *plane, int64_t first) {
    int64_t left = plane->rows * plane->columns - first;
    return left < LANES ? (int)left : LANES;
}

/* The coefficients of a plane, (rows, columns, 8, 8). */
CLONES static void plane_to_coefficients(const Plane *plane, float *coefficients) {
    for (int64_t first = 0; first < plane->rows * plane->columns; first += LANES) {
        int count = lanes_from(plane, first);
        float *at[LANES], tile[8 * LANES];
        Lanes x[64];
        locate(plane, first, count, at);
        for (int i = 0; i < 8; i++) {
            for (int l = 0; l < LANES; l++) memcpy(tile + 8 * l, at[l] + i * plane->stride, 32);
            from_groups(tile, x + 8 * i);
        }
        block_dct(x);
        store_blocks(coefficients, first, count, x);
    }
}

/* A plane from its coefficients; where `steps` (64) are given these are first rounded to them. */
CLONES static void coefficients_to_plane(
    const float *coefficients, const float *steps, const Plane *plane) {
    for (int64_t first = 0; first < plane->rows * plane->columns; first += LANES) {
        int count = lanes_from(plane, first);
        float *at[LANES], tile[8 * LANES];
        Lanes x[64];
        locate(plane, first, count, at);
        load_blocks(coefficients, first, count, x);
        if (steps)
            for (int m = 0; m < 64; m++) EACH_LANE x[m][l] = steps[m] * rintf(x[m][l] / steps[m]);
        block_idct(x);
        for (int i = 0; i < 8; i++) {
            to_groups(tile, x + 8 * i);
            for (int l = 0; l < count; l++) memcpy(at[l] + i * plane->stride, tile + 8 * l, 32);
        }
    }
}

#endif
