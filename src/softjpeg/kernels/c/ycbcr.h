/* Full-range BT.601 (JFIF) of level-shifted samples on the scale 0..255, and both adjoints. */
#ifndef SOFTJPEG_YCBCR_H
#define SOFTJPEG_YCBCR_H

#include <math.h>

#include "lanes.h"

static const float TO_YCBCR[3][3] = {
    {0.299f, 0.587f, 0.114f},
    {-0.168735892f, -0.331264108f, 0.5f},
    {0.5f, -0.418687589f, -0.081312411f},
};
static const float TO_RGB[3][3] = {
    {1, 0, 1.402f},
    {1, -0.344136286f, -0.714136286f},
    {1, 1.772f, 0},
};

INLINE float rounded(float x) { return floorf(x + 0.5f); }

INLINE float clamped(float x) { return x < 0 ? 0 : x > 255 ? 255 : x; }

/* libjpeg's own weights: of whole pixels every sum is exact. */
static const float TO_YCBCR_EXACT[3][3] = {
    {19595 / 65536.0f, 38470 / 65536.0f, 7471 / 65536.0f},
    {-11059 / 65536.0f, -21709 / 65536.0f, 0.5f},
    {0.5f, -27439 / 65536.0f, -5329 / 65536.0f},
};

/* RGB in [0, 1] to component c: Y - 128, or Cb or Cr about 0; rounded as libjpeg's encoder does. */
INLINE float to_component(int c, float r, float g, float b, int rounding) {
    r *= 255, g *= 255, b *= 255;
    if (rounding) {
        /* Chroma half-way between two integers goes down. */
        float half = c == 0 ? 0.5f : 0.5f - 1.0f / 65536;
        float exact = TO_YCBCR_EXACT[c][0] * r + TO_YCBCR_EXACT[c][1] * g + TO_YCBCR_EXACT[c][2] * b;
        return floorf(exact + half) - (c == 0 ? 128 : 0);
    }
    return TO_YCBCR[c][0] * r + TO_YCBCR[c][1] * g + TO_YCBCR[c][2] * b - (c == 0 ? 128 : 0);
}

/* A decoded sample of any component, level-shifted, as a decoder holds it. */
INLINE float decoded(float x, int rounding) {
    return rounding ? clamped(rounded(x + 128)) - 128 : x;
}

/* A sample 0..255 to [0, 1]. Eight bits are divided exactly; a product is faster. */
INLINE float to_unit(float x, int rounding) {
    return rounding ? clamped(rounded(x)) / 255 : x * (1.0f / 255);
}

/* Channel c in [0, 1] of decoded components. */
INLINE float to_channel(int c, float y, float cb, float cr, int rounding) {
    float x = y + 128 + TO_RGB[c][1] * cb + TO_RGB[c][2] * cr;
    return to_unit(x, rounding);
}

/* The gradient of component c from those of the channels. */
INLINE float component_gradient(int c, float r, float g, float b) {
    return TO_RGB[0][c] * r + TO_RGB[1][c] * g + TO_RGB[2][c] * b;
}

/* The gradient of channel c from those of the components. */
INLINE float channel_gradient(int c, float y, float cb, float cr) {
    return TO_YCBCR[0][c] * y + TO_YCBCR[1][c] * cb + TO_YCBCR[2][c] * cr;
}

#endif
