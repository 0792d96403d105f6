/* From an image to the coefficients of its components, as libjpeg does it. */
#ifndef SOFTJPEG_ANALYSIS_H
#define SOFTJPEG_ANALYSIS_H

#include "transform.h"
#include "ycbcr.h"

/* One row of one channel on the scale 0..255. */
INLINE void read_row(const Transform *t, const void *image, int64_t offset, float *row) {
    int64_t step = t->stride[3];
    if (t->is_float) {
        const float *from = (const float *)image + offset;
        if (step == 1)
            for (int64_t x = 0; x < t->width; x++) row[x] = from[x] * 255;
        else
            for (int64_t x = 0; x < t->width; x++) row[x] = from[x * step] * 255;
    } else {
        const uint8_t *from = (const uint8_t *)image + offset;
        if (step == 1)
            for (int64_t x = 0; x < t->width; x++) row[x] = from[x];
        else if (step == 3)
            for (int64_t x = 0; x < t->width; x++) row[x] = from[x * 3];
        else
            for (int64_t x = 0; x < t->width; x++) row[x] = from[x * step];
    }
}

/* Red, green and blue rows become Y - level, Cb and Cr, in place. */
INLINE void to_ycbcr(const Transform *t, float *restrict r, float *restrict g, float *restrict b) {
    const float(*w)[3] = t->rounding ? TO_YCBCR_EXACT : TO_YCBCR;
    float level = t->level;
    /* libjpeg rounds half-way chroma down. */
    const float half = 128.5f - 1 / 65536.0f;
    for (int64_t x = 0; x < t->width; x++) {
        float y = w[0][0] * r[x] + w[0][1] * g[x] + w[0][2] * b[x];
        float cb = w[1][0] * r[x] + w[1][1] * g[x] + w[1][2] * b[x];
        float cr = w[2][0] * r[x] + w[2][1] * g[x] + w[2][2] * b[x];
        r[x] = (t->rounding ? floorf(y + 0.5f) : y) - level;
        g[x] = t->rounding ? floorf(cb + half) - 128 : cb;
        b[x] = t->rounding ? floorf(cr + half) - 128 : cr;
    }
}

static inline void repeat_last(float *row, int64_t from, int64_t to) {
    for (int64_t x = from; x < to; x++) row[x] = row[from - 1];
}

/* The mean of v rows and h columns; libjpeg's bias alternates along the row. */
INLINE void downsample_row(
    const Transform *t, const float *upper, const float *lower, float *restrict row, int64_t width) {
    float low = t->v == 1 ? 0 : 0.25f, high = 0.5f;
    if (t->v == 1)
        for (int64_t x = 0; x < width; x++) row[x] = 0.5f * (upper[2 * x] + upper[2 * x + 1]);
    else
        for (int64_t x = 0; x < width; x++)
            row[x] = 0.25f * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]);
    if (t->rounding)
        for (int64_t x = 0; x < width; x++) row[x] = floorf(row[x] + (x & 1 ? high : low));
}

/* The planes of one image, or of a strip of it that begins at a whole row of blocks. `scratch`
   holds three channels of v rows, each as wide as h times a chroma row. */
CLONES static void image_to_planes(
    const Transform *t, const void *image, const Plane planes[3], float *scratch) {
    Extent chroma = extent_of(t, 1);
    int64_t across = t->channels == 1 ? planes[0].stride : planes[1].stride * t->h;
    int in_place = t->v * t->h == 1;
    for (int64_t y = 0; y < t->height; y += t->v) {
        float *rows[3][2];
        for (int i = 0; i < t->v; i++) {
            for (int c = 0; c < 3; c++) rows[c][i] = scratch + (c * t->v + i) * across;
            if (y + i == t->height) {
                for (int c = 1; c < 3; c++) rows[c][i] = rows[c][i - 1];
                break;
            }
            float *luma = planes[0].samples + (y + i) * planes[0].stride;
            for (int c = 0; c < t->channels; c++)
                read_row(t, image, (y + i) * t->stride[2] + c * t->stride[1], rows[c][i]);
            if (t->channels == 3)
                to_ycbcr(t, rows[0][i], rows[1][i], rows[2][i]);
            else
                for (int64_t x = 0; x < t->width; x++)
                    rows[0][i][x] = (t->rounding ? floorf(rows[0][i][x] + 0.5f) : rows[0][i][x]) - t->level;
            for (int c = 0; c < t->channels; c++) repeat_last(rows[c][i], t->width, across);
            memcpy(luma, rows[0][i], planes[0].stride * sizeof(float));
        }
        for (int c = 1; c < t->channels; c++) {
            float *row = planes[c].samples + y / t->v * planes[c].stride;
            if (in_place)
                memcpy(row, rows[c][0], planes[c].stride * sizeof(float));
            else
                downsample_row(t, rows[c][0], rows[c][t->v - 1], row, planes[c].stride);
        }
    }
    for (int c = 0; c < t->channels; c++) {
        int64_t height = c ? chroma.height : t->height, width = planes[c].stride;
        for (int64_t y = height; y < 8 * planes[c].rows; y++)
            memcpy(planes[c].samples + y * width, planes[c].samples + (height - 1) * width, width * sizeof(float));
    }
}

#endif
