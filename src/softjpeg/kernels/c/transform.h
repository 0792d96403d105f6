/* What the transform is called with; kernels/cpu/transform.py has the same fields. */
#ifndef SOFTJPEG_TRANSFORM_H
#define SOFTJPEG_TRANSFORM_H

#include <stdint.h>
#include <stdlib.h>

#include "planes.h"

enum { OUT_OF_MEMORY = -1 };

typedef struct {
    int64_t batch, channels, height, width;
    int64_t stride[4];   /* of the image, in elements */
    int32_t v, h;        /* luma rows and columns for one of chroma */
    int32_t is_float;    /* the image: [0, 1]; else uint8 */
    int32_t rounding;
    float level;         /* 128, or 0 for the linear part alone */
} Transform;

/* The component's rows and columns of samples, and of blocks. */
typedef struct {
    int64_t height, width, rows, columns;
} Extent;

static inline int64_t divided(int64_t a, int64_t b) { return (a + b - 1) / b; }

static inline Extent extent_of(const Transform *t, int component) {
    int v = component ? t->v : 1, h = component ? t->h : 1;
    Extent e = {divided(t->height, v), divided(t->width, h), 0, 0};
    e.rows = divided(e.height, 8), e.columns = divided(e.width, 8);
    return e;
}

static inline int64_t coefficients_of(Extent e) { return 64 * e.rows * e.columns; }

/* A component's plane of whole blocks; samples are NULL without memory. */
static inline Plane plane_of(Extent e) {
    int64_t stride = 8 * e.columns;
    return (Plane){malloc(8 * e.rows * stride * sizeof(float)), stride, e.rows, e.columns};
}

#endif
