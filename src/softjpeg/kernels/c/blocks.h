/* Where the samples of LANES blocks lie in a tensor of any strides, and moving them in and out.

   Past its last row and column a plane repeats them, as JPEG's encoder pads; `put` drops what lies
   there and `add`, the adjoint of `get`, gathers it. */
#ifndef SOFTJPEG_BLOCKS_H
#define SOFTJPEG_BLOCKS_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"

typedef struct {
    int count;               /* lanes in use; the others repeat the last of them */
    int whole;               /* no lane reaches past an edge */
    int64_t step;            /* between columns, where every lane has all of its own; else 0 */
    int64_t row[LANES][8];   /* element offsets of each lane's rows */
    int64_t column[LANES][8];
    int rows[LANES], columns[LANES]; /* that lie within the plane */
} Blocks;

static inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* One lane: a block of a plane that samples every `v` rows and `h` columns of pixels, at (dy, dx). */
static inline void place(
    Blocks *b, int lane, int64_t base, int64_t y0, int64_t x0, int64_t height, int64_t width,
    int64_t row_stride, int64_t column_stride, int v, int h, int dy, int dx) {
    /* Rows are repeated after downsampling, columns before. */
    int64_t plane_rows = (height + v - 1) / v, plane_columns = (width + h - 1) / h;
    for (int i = 0; i < 8; i++) {
        int64_t y = at_most(v * at_most(y0 + i, plane_rows - 1) + dy, height - 1);
        int64_t x = at_most(h * (x0 + i) + dx, width - 1);
        b->row[lane][i] = base + y * row_stride;
        b->column[lane][i] = x * column_stride;
    }
    b->rows[lane] = (int)at_most(8, plane_rows - y0);
    b->columns[lane] = (int)at_most(8, plane_columns - x0);
}

static inline void finish(Blocks *b, int count) {
    b->count = count;
    b->whole = count == LANES;
    for (int l = count; l < LANES; l++) {
        memcpy(b->row[l], b->row[count - 1], sizeof b->row[l]);
        memcpy(b->column[l], b->column[count - 1], sizeof b->column[l]);
    }
    b->step = b->column[0][1] - b->column[0][0];
    for (int l = 0; l < count; l++) {
        b->whole &= b->rows[l] == 8 && b->columns[l] == 8;
        if (b->columns[l] < 8 || b->column[l][7] - b->column[l][0] != 7 * b->step) b->step = 0;
    }
}

INLINE void get(const Blocks *b, const float *plane, Lanes x[64]) {
    for (int i = 0; i < 8; i++) {
        float groups[8 * LANES];
        if (b->step == 1) {
            for (int l = 0; l < LANES; l++) memcpy(groups + 8 * l, plane + b->row[l][i] + b->column[l][0], 32);
        } else if (b->step) {
            for (int l = 0; l < LANES; l++) {
                const float *from = plane + b->row[l][i] + b->column[l][0];
                for (int j = 0; j < 8; j++) groups[8 * l + j] = from[j * b->step];
            }
        } else {
            for (int l = 0; l < LANES; l++)
                for (int j = 0; j < 8; j++) groups[8 * l + j] = plane[b->row[l][i] + b->column[l][j]];
        }
        from_groups(groups, x + 8 * i);
    }
}

INLINE void put(const Blocks *b, float *plane, Lanes x[64]) {
    for (int i = 0; i < 8; i++) {
        float groups[8 * LANES];
        to_groups(groups, x + 8 * i);
        for (int l = 0; l < b->count; l++) {
            if (i >= b->rows[l]) continue;
            float *to = plane + b->row[l][i] + b->column[l][0];
            if (b->step == 1)
                memcpy(to, groups + 8 * l, 32);
            else if (b->step)
                for (int j = 0; j < 8; j++) to[j * b->step] = groups[8 * l + j];
            else
                for (int j = 0; j < b->columns[l]; j++) plane[b->row[l][i] + b->column[l][j]] = groups[8 * l + j];
        }
    }
}

INLINE void add(const Blocks *b, float *plane, Lanes x[64]) {
    for (int l = 0; l < b->count; l++)
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 8; j++) plane[b->row[l][i] + b->column[l][j]] += x[8 * i + j][l];
}

/* What `get` reads as zero: samples past the edge have no gradient, nor do unused lanes. */
INLINE void clear_outside(const Blocks *b, Lanes x[64]) {
    if (b->whole) return;
    EACH_LANE {
        int rows = l < b->count ? b->rows[l] : 0, columns = l < b->count ? b->columns[l] : 0;
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 8; j++)
                if (i >= rows || j >= columns) x[8 * i + j][l] = 0;
    }
}

/* `add` onto samples that nothing else has been written to. */
INLINE void put_gradient(const Blocks *b, float *plane, Lanes x[64]) {
    if (!b->whole) {
        for (int l = 0; l < b->count; l++)
            for (int i = 0; i < b->rows[l]; i++)
                for (int j = 0; j < b->columns[l]; j++) plane[b->row[l][i] + b->column[l][j]] = 0;
        add(b, plane, x);
    } else {
        put(b, plane, x);
    }
}

#endif
