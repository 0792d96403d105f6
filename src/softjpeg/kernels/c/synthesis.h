/* From the planes of components to an image, as libjpeg does it, and the adjoints both ways. */
#ifndef SOFTJPEG_SYNTHESIS_H
#define SOFTJPEG_SYNTHESIS_H

#include "analysis.h"

static inline float *row_of(const Plane *plane, int64_t y) {
    return plane->samples + y * plane->stride;
}

/* libjpeg replicates where a row of chroma has no interior. */
static inline int is_narrow(const Transform *t) { return t->h == 2 && t->width <= 4; }

/* The other row of chroma that row y of pixels is made of. */
static inline int64_t farther(int64_t y, int64_t height) {
    int64_t row = y / 2 + (y & 1 ? 1 : -1);
    return row < 0 ? 0 : row < height ? row : height - 1;
}

/* As many floats as one row of pixels needs on its way to or from chroma. */
static inline int64_t padded_width(const Transform *t) { return divided(t->width, t->h) * t->h + 2; }

/* Dequantized samples as a decoder holds them: luma 0..255, chroma about 0. */
CLONES static void decode_samples(const Transform *t, const Plane *plane, int component) {
    float shift = component ? 0 : t->level;
    int64_t count = 8 * plane->rows * plane->stride;
    float *x = plane->samples;
    if (t->rounding)
        for (int64_t i = 0; i < count; i++) {
            float sample = floorf(x[i] + 128.5f);
            x[i] = (sample < 0 ? 0 : sample > 255 ? 255 : sample) - 128 + shift;
        }
    else
        for (int64_t i = 0; i < count; i++) x[i] += shift;
}

/* libjpeg's triangle: each sample is 3/4 the nearer, 1/4 the farther. */
INLINE void upsample_row(
    const Transform *t, const Plane *plane, int64_t y, float *restrict tall, float *restrict row) {
    int64_t width = divided(t->width, 2);
    const float *near = row_of(plane, y / t->v);
    if (is_narrow(t)) {
        for (int64_t x = 0; x < width; x++) row[2 * x] = row[2 * x + 1] = near[x];
        return;
    }
    tall++;
    if (t->v == 2) {
        const float *far = row_of(plane, farther(y, divided(t->height, 2)));
        for (int64_t x = 0; x < width; x++) tall[x] = 0.75f * near[x] + 0.25f * far[x];
    } else {
        memcpy(tall, near, width * sizeof(float));
    }
    tall[-1] = tall[0], tall[width] = tall[width - 1];
    /* The bias must be exact even where a quarter sum came out a hair below its value. */
    float low = (t->v == 1 ? 0.25f : 0.5f) + 1e-3f, high = (t->v == 1 ? 0.5f : 0.4375f) + 1e-3f;
    for (int64_t x = 0; x < width; x++) {
        float even = 0.75f * tall[x] + 0.25f * tall[x - 1];
        float odd = 0.75f * tall[x] + 0.25f * tall[x + 1];
        row[2 * x] = t->rounding ? floorf(even + low) : even;
        row[2 * x + 1] = t->rounding ? floorf(odd + high) : odd;
    }
}

INLINE void write_row(
    int64_t width, int rounding, const float *y, const float *cb, const float *cr,
    float *restrict r, float *restrict g, float *restrict b, int64_t step) {
    for (int64_t x = 0; x < width; x++) {
        r[x * step] = to_unit(y[x] + TO_RGB[0][2] * cr[x], rounding);
        g[x * step] = to_unit(y[x] + TO_RGB[1][1] * cb[x] + TO_RGB[1][2] * cr[x], rounding);
        b[x * step] = to_unit(y[x] + TO_RGB[2][1] * cb[x], rounding);
    }
}

/* `scratch`: three times the padded width. */
CLONES static void planes_to_image(
    const Transform *t, const Plane planes[3], float *scratch, float *image) {
    int64_t padded = padded_width(t), step = t->stride[3];
    for (int64_t y = 0; y < t->height; y++) {
        float *to = image + y * t->stride[2];
        const float *luma = row_of(&planes[0], y);
        if (t->channels == 1) {
            for (int64_t x = 0; x < t->width; x++) to[x * step] = luma[x] / 255;
            continue;
        }
        const float *chroma[2];
        for (int c = 0; c < 2; c++) {
            if (t->h == 1) {
                chroma[c] = row_of(&planes[c + 1], y);
            } else {
                upsample_row(t, &planes[c + 1], y, scratch, scratch + (c + 1) * padded);
                chroma[c] = scratch + (c + 1) * padded;
            }
        }
        float *g = to + t->stride[1], *b = to + 2 * t->stride[1];
        if (step == 1 && t->rounding)
            write_row(t->width, 1, luma, chroma[0], chroma[1], to, g, b, 1);
        else if (step == 1)
            write_row(t->width, 0, luma, chroma[0], chroma[1], to, g, b, 1);
        else
            write_row(t->width, t->rounding, luma, chroma[0], chroma[1], to, g, b, step);
    }
}

/* The adjoint of upsample_row, added to the rows of the plane that it reads. `row` has a float
   before it and one after. */
INLINE void downsample_gradient(
    const Transform *t, float *restrict row, const Plane *plane, int64_t y) {
    int64_t width = divided(t->width, 2);
    float *near = row_of(plane, y / t->v);
    if (is_narrow(t)) {
        for (int64_t x = 0; x < width; x++) near[x] += row[2 * x] + row[2 * x + 1];
        return;
    }
    row[-1] = row[0], row[2 * width] = row[2 * width - 1];
    float share = t->v == 2 ? 0.75f : 1;
    float *far = row_of(plane, t->v == 2 ? farther(y, divided(t->height, 2)) : y);
    for (int64_t x = 0; x < width; x++) {
        float sum = 0.75f * (row[2 * x] + row[2 * x + 1]) + 0.25f * (row[2 * x - 1] + row[2 * x + 2]);
        near[x] += share * sum;
        if (t->v == 2) far[x] += 0.25f * sum;
    }
}

INLINE void read_gradient(
    const Transform *t, const float *r, const float *g, const float *b, float *restrict y,
    float *restrict cb, float *restrict cr, int64_t step) {
    for (int64_t x = 0; x < t->width; x++) {
        float red = r[x * step] / 255, green = g[x * step] / 255, blue = b[x * step] / 255;
        y[x] = red + green + blue;
        cb[x] = TO_RGB[1][1] * green + TO_RGB[2][1] * blue;
        cr[x] = TO_RGB[0][2] * red + TO_RGB[1][2] * green;
    }
}

/* The adjoint of planes_to_image; `scratch`: twice the padded width. */
CLONES static void scatter_gradient(
    const Transform *t, const float *image, const Plane planes[3], float *scratch) {
    int64_t padded = padded_width(t), step = t->stride[3];
    for (int c = 0; c < t->channels; c++)
        memset(planes[c].samples, 0, 8 * planes[c].rows * planes[c].stride * sizeof(float));
    memset(scratch, 0, 2 * padded * sizeof(float));
    for (int64_t y = 0; y < t->height; y++) {
        const float *from = image + y * t->stride[2];
        float *luma = row_of(&planes[0], y);
        if (t->channels == 1) {
            for (int64_t x = 0; x < t->width; x++) luma[x] = from[x * step] / 255;
            continue;
        }
        float *cb = scratch + 1, *cr = scratch + padded + 1;
        if (t->h == 1) cb = row_of(&planes[1], y), cr = row_of(&planes[2], y);
        const float *g = from + t->stride[1], *b = from + 2 * t->stride[1];
        if (step == 1)
            read_gradient(t, from, g, b, luma, cb, cr, 1);
        else if (step == 3) /* channels last */
            read_gradient(t, from, g, b, luma, cb, cr, 3);
        else
            read_gradient(t, from, g, b, luma, cb, cr, step);
        if (t->h == 1) continue;
        /* A last column of odd width has no pixel. */
        if (t->width & 1) cb[t->width] = cr[t->width] = 0;
        downsample_gradient(t, cb, &planes[1], y);
        downsample_gradient(t, cr, &planes[2], y);
    }
}

/* One row of pixels' gradient from that of a plane that repeats its last column. */
INLINE void spread_row(
    const float *from, int64_t columns, int64_t width, int h, float scale, float *restrict row) {
    int64_t last = (width - 1) / h;
    if (h == 1)
        for (int64_t x = 0; x < last; x++) row[x] = scale * from[x];
    else
        for (int64_t x = 0; x < last; x++) row[2 * x] = row[2 * x + 1] = scale * from[x];
    float beyond = 0;
    for (int64_t x = last + 1; x < columns; x++) beyond += from[x];
    if (h == 2 && !(width & 1)) row[width - 2] = scale * from[last];
    row[width - 1] = scale * (from[last] * (h * (last + 1) - width + 1) + h * beyond);
}

/* The adjoint of image_to_planes; `scratch`: three times the width. */
CLONES static void gather_gradient(
    const Transform *t, const Plane planes[3], float *scratch, float *image) {
    for (int c = 0; c < t->channels; c++) {
        int64_t height = extent_of(t, c).height;
        float *last = row_of(&planes[c], height - 1);
        for (int64_t y = height; y < 8 * planes[c].rows; y++)
            for (int64_t x = 0; x < planes[c].stride; x++) last[x] += row_of(&planes[c], y)[x];
    }
    float *row[3] = {scratch, scratch + t->width, scratch + 2 * t->width};
    for (int64_t y = 0; y < t->height; y++) {
        for (int c = 0; c < t->channels; c++) {
            int v = c ? t->v : 1, h = c ? t->h : 1;
            /* An odd last row is its own neighbour. */
            float scale = 255.0f / (v * h) * (v == 2 && y + 1 == t->height && !(y & 1) ? 2 : 1);
            spread_row(row_of(&planes[c], y / v), planes[c].stride, t->width, h, scale, row[c]);
        }
        for (int c = 0; c < t->channels; c++) {
            float *to = image + y * t->stride[2] + c * t->stride[1];
            if (t->channels == 1)
                memcpy(to, row[0], t->width * sizeof(float));
            else
                for (int64_t x = 0; x < t->width; x++)
                    to[x] = channel_gradient(c, row[0][x], row[1][x], row[2][x]);
        }
    }
}

#endif
