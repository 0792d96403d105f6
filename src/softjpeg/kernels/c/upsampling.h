/* libjpeg's triangle upsampling for LANES luma blocks, and its adjoint: each sample is 3/4 the
   nearer, 1/4 the farther of its neighbours, repeated past the plane's edges. */
#ifndef SOFTJPEG_UPSAMPLING_H
#define SOFTJPEG_UPSAMPLING_H

#include <math.h>
#include <stdint.h>

#include "blocks.h"

enum { WINDOW_COLUMNS = 6 };

/* The chroma samples about each luma block: one beyond it on either side that is upsampled. */
typedef struct {
    int v;
    int plain; /* libjpeg only repeats samples where a row has no interior */
    int count;
    int64_t row[LANES][8];
    int64_t column[LANES][WINDOW_COLUMNS];
} Window;

static inline int64_t clamp_index(int64_t i, int64_t size) { return i < 0 ? 0 : i < size ? i : size - 1; }

static inline void place_window(Window *w, int lane, int64_t y0, int64_t x0, int64_t rows, int64_t columns) {
    for (int i = 0; i < 8; i++)
        w->row[lane][i] = columns * clamp_index(w->v == 2 ? y0 / 2 - 1 + i : y0 + i, rows);
    for (int j = 0; j < WINDOW_COLUMNS; j++) w->column[lane][j] = clamp_index(x0 / 2 - 1 + j, columns);
}

/* Which row and column of the window is nearest to sample i, and which is the farther one. */
INLINE int nearest(int i) { return 1 + i / 2; }
INLINE int farther(int i) { return i % 2 ? nearest(i) + 1 : nearest(i) - 1; }

INLINE void upsample(const Window *w, const float *plane, Lanes x[64], int rounding) {
    for (int i = 0; i < 8; i++) {
        int two = w->v == 2 && !w->plain, row = w->v == 2 ? nearest(i) : i, other = two ? farther(i) : row;
        Lanes line[WINDOW_COLUMNS];
        for (int j = 0; j < WINDOW_COLUMNS; j++) EACH_LANE {
            float a = plane[w->row[l][row] + w->column[l][j]], b = plane[w->row[l][other] + w->column[l][j]];
            line[j][l] = 0.75f * a + 0.25f * b;
        }
        for (int j = 0; j < 8; j++) {
            /* libjpeg's rounding alternates; what is added beyond it makes up for inexact sums. */
            float bias = (w->v == 2 ? (j % 2 ? 0.4375f : 0.5f) : (j % 2 ? 0.5f : 0.25f)) + 1e-3f;
            EACH_LANE {
                float a = line[nearest(j)][l], b = w->plain ? a : line[farther(j)][l];
                float sum = 0.75f * a + 0.25f * b;
                x[8 * i + j][l] = rounding && !w->plain ? floorf(sum + bias) : sum;
            }
        }
    }
}

INLINE void upsample_gradient(const Window *w, Lanes g[64], float *plane) {
    for (int i = 0; i < 8; i++) {
        int two = w->v == 2 && !w->plain, row = w->v == 2 ? nearest(i) : i, other = two ? farther(i) : row;
        Lanes line[WINDOW_COLUMNS] = {{0}};
        for (int j = 0; j < 8; j++) {
            float near = w->plain ? 1 : 0.75f, far = 1 - near;
            EACH_LANE {
                line[nearest(j)][l] += near * g[8 * i + j][l];
                line[farther(j)][l] += far * g[8 * i + j][l];
            }
        }
        for (int l = 0; l < w->count; l++)
            for (int j = 0; j < WINDOW_COLUMNS; j++) {
                plane[w->row[l][row] + w->column[l][j]] += 0.75f * line[j][l];
                plane[w->row[l][other] + w->column[l][j]] += 0.25f * line[j][l];
            }
    }
}

#endif
