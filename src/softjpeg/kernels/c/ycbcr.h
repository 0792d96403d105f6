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

/* RGB in [0, 1] to component c: Y - 128, or Cb or Cr about 0. */
INLINE float to_component(int c, float r, float g, float b, int rounding) {
    float x = 255 * (TO_YCBCR[c][0] * r + TO_YCBCR[c][1] * g + TO_YCBCR[c][2] * b);
    float shift = c == 0 ? 0 : 128;
    return (rounding ? rounded(x + shift) - shift : x) - (c == 0 ? 128 : 0);
}

/* A decoded sample of any component, level-shifted, as a decoder holds it. */
INLINE float decoded(float x, int rounding) {
    return rounding ? clamped(rounded(x + 128)) - 128 : x;
}

/* Channel c in [0, 1] of decoded components. */
INLINE float to_channel(int c, float y, float cb, float cr, int rounding) {
    float x = y + 128 + TO_RGB[c][1] * cb + TO_RGB[c][2] * cr;
    return (rounding ? clamped(rounded(x)) : x) * (1.0f / 255);
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
